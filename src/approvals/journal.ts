// The audit log's pen: every change of state writes its event here, inside the change that makes it. Who, when, from where, why,
// by which rule, and what it left behind.
import type { Change, EventRecord } from "./store.ts"
import type { Person } from "./policy.ts"

/** A person at work through the API. */
export interface Caller {
  readonly person: Person
  /** The network address the call came from. */
  readonly from: string
}

/** Who does something, as the audit log names them. */
export type Actor = Pick<EventRecord, "actor" | "by" | "from">

export const byPerson = ({ person, from }: Caller): Actor => ({ actor: "person", by: person.name, from })

/** A rule that decides by itself. Its name stands where a person's would, and `actor` says that it is none. */
export const byRule = (rule: string): Actor => ({ actor: "policy", by: rule, from: null })

type Entry = Pick<EventRecord, "at" | "kind" | "detail"> & { readonly actor: Actor } & Partial<
    Pick<EventRecord, "reason" | "rule" | "request" | "grant" | "session">
  >

/** Writes one event as the next in the log. Answers its sequence. */
export async function note(change: Change, { actor, ...entry }: Entry): Promise<number> {
  const sequence = await change.nextSequence()
  await change.append({ reason: "", rule: null, request: null, grant: null, session: null, ...entry, ...actor, sequence })
  return sequence
}
