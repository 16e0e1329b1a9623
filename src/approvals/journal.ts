// The audit log's pen: every change of state writes its event here, inside the change that makes it. Who, when, from where, why,
// by which rule, and what it left behind.
import type { Millis } from "../core/clock.ts"
import type { LoginId } from "../core/ids.ts"
import type { Change, EventRecord } from "./store.ts"
import type { Person } from "./policy.ts"

/** How fresh and how strong the login behind a call is: what a rule that asks for a fresh login looks at. */
export interface Proof {
  /** When the person last proved who they are (OpenID Connect's `auth_time`). */
  readonly at: Millis
  /** Authentication context class (OpenID Connect's `acr`); null when the login has none. */
  readonly acr: string | null
}

/** A person at work through the API. */
export interface Caller {
  readonly person: Person
  /** Null: the credential behind the call says nothing of a login (a token fetched with an SSH key). */
  readonly proof: Proof | null
  /** The login behind the call; null as above. */
  readonly login: LoginId | null
  /** When that login ends, or else what they showed: nothing that is given for it may last longer. */
  readonly until: Millis
  /** The network address the call came from. */
  readonly from: string
}

/** Who does something, as the audit log names them. */
export type Actor = Pick<EventRecord, "actor" | "by" | "from">

export const byPerson = ({ person, from }: Caller): Actor => ({ actor: "person", by: person.name, from })

/** A rule that decides by itself. Its name stands where a person's would, and `actor` says that it is none. */
export const byRule = (rule: string): Actor => ({ actor: "policy", by: rule, from: null })

/** The service itself: no person, and no rule either. */
export const byService: Actor = { actor: "policy", by: "sluice", from: null }

type Entry = Pick<EventRecord, "at" | "kind" | "detail"> & { readonly actor: Actor } & Partial<
    Pick<EventRecord, "reason" | "rule" | "request" | "grant" | "session">
  >

/** Writes one event as the next in the log. Answers its sequence. */
export async function note(change: Change, { actor, ...entry }: Entry): Promise<number> {
  const sequence = await change.nextSequence()
  await change.append({ reason: "", rule: null, request: null, grant: null, session: null, ...entry, ...actor, sequence })
  return sequence
}
