// Who, after a credential was verified. An Identity can be had only from `mintIdentity`, and only `identity/` calls that:
// the brand keeps other code from compiling one, and the register keeps a cast from working at run time.
import assert from "node:assert/strict"
import type { Millis } from "./clock.ts"
import type { LoginId } from "./ids.ts"

declare const minted: unique symbol

export interface IdentityFacts {
  /** The key of this person everywhere: in grants, decisions, recordings. */
  readonly subject: string
  readonly groups: readonly string[]
  /** How it was proven, for the record: "ssh-key SHA256:…", "token". */
  readonly via: string
  /** When the proof ends. A running session does not end with it: it lives by its grant. */
  readonly until: Millis
  /** The login that the proof came from: once it has ended nothing new is opened. Undefined: from none. */
  readonly login?: LoginId | undefined
  /** What signed the token that was shown: once it is trusted no more nothing new is opened. Undefined: none was. */
  readonly token_key?: string | undefined
}

export type Identity = IdentityFacts & { readonly [minted]: true }

const register = new WeakSet<object>()

/** Only for `identity/`, after it has verified a credential. */
export function mintIdentity(facts: IdentityFacts): Identity {
  const identity = Object.freeze({ ...facts, groups: Object.freeze([...facts.groups]) }) as Identity
  register.add(identity)
  return identity
}

export function assertMinted(identity: Identity): void {
  assert(register.has(identity), "an Identity that no credential stands behind")
}
