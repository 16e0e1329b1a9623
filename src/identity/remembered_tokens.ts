// A signature is checked once and not at each call: whoever works shows the same token again and again. It remembers digests of tokens
// and what was found, for as long as nothing that the check depends on has changed.
import { hash } from "node:crypto"
import { LRUCache } from "lru-cache"
import type { Clock, Millis } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import type { TokenUse, TokenVerifier, VerifiedToken } from "./tokens.ts"

export interface RememberedTokensOptions {
  readonly verifier: TokenVerifier
  /** The keys that it checks with now: another object when they may be others, undefined when that is not known. */
  keys(): object | undefined
  readonly clock: Clock
}

interface Remembered {
  readonly token: VerifiedToken
  readonly keys: object
  /** A token's beginning was looked at then; before that it may be from the future. */
  readonly at: Millis
}

/** Answers as `verifier` does. */
export function rememberTokens({ verifier, keys, clock }: RememberedTokensOptions): TokenVerifier {
  const known = new LRUCache<string, Remembered>({ max: limits.api_tokens_max })
  return {
    trusts: (key) => verifier.trusts(key),
    async verify(token, use) {
      const name = nameOf(token, use)
      const at = clock.now()
      const now = keys()
      const before = known.get(name)
      if (before && before.keys === now && before.at <= at && at < before.token.expires_at) return before.token
      known.delete(name)
      const found = await verifier.verify(token, use)
      // They may have become others meanwhile, and then it is not known which it was checked with.
      if (now && now === keys()) known.set(name, { token: found, keys: now, at })
      return found
    },
  }
}

/** The token itself is nobody's to keep. */
const nameOf = (token: string, { use, ...target }: TokenUse): string =>
  `${use} ${"target" in target ? target.target : ""} ${hash("sha256", token, "base64url")}`
