// Rows of the embedded store as the values of `store.ts`. SQL keeps lists as JSON and has no `as`, `by` or `from` as names.
import type { SQLOutputValue } from "node:sqlite"
import type { GrantView, SessionView } from "../api/schema.ts"
import type { DecisionRecord, EventRecord, RequestRecord } from "./store.ts"

export type Row = Record<string, SQLOutputValue>

const list = (json: SQLOutputValue | undefined): string[] => JSON.parse(String(json)) as string[]
const listOrNull = (json: SQLOutputValue | undefined): string[] | null => (json === null || json === undefined ? null : list(json))

/** How a list is written, so that equal ones are equal text. */
export const listText = (names: readonly string[] | null): string | null => (names === null ? null : JSON.stringify(names))

export function toRequest(row: Row, decisions: readonly DecisionRecord[], grant: GrantView | undefined): RequestRecord {
  const { groups, accounts, approve_by, ...rest } = row
  return {
    ...(rest as unknown as Omit<RequestRecord, "groups" | "as" | "approve_by" | "decisions" | "grant">),
    groups: list(groups),
    as: listOrNull(accounts),
    approve_by: list(approve_by),
    decisions,
    grant: grant ?? null,
  }
}

export function toDecision({ by_name, actor, verdict, reason, at }: Row): DecisionRecord {
  return { by: by_name, actor, verdict, reason, at } as DecisionRecord
}

export function toGrant({ accounts, ...rest }: Row): GrantView {
  return { ...(rest as unknown as Omit<GrantView, "as">), as: listOrNull(accounts) }
}

export function toSession({ account, grant_id, ...rest }: Row): SessionView {
  return {
    ...(rest as unknown as Omit<SessionView, "as" | "grant">),
    as: account as string | null,
    grant: grant_id as SessionView["grant"],
  }
}

export function toEvent({ by_name, from_address, grant_id, session_id, detail, ...rest }: Row): EventRecord {
  return {
    ...rest,
    by: by_name,
    from: from_address,
    grant: grant_id,
    session: session_id,
    detail: JSON.parse(String(detail)) as unknown,
  } as EventRecord
}
