// Rows of the store as the values of `store.ts`.
import type { Selectable } from "kysely"
import type { GrantView, SessionView } from "../../api/schema.ts"
import type { DecisionRecord, EventRecord, RequestRecord } from "../store.ts"
import type { DecisionsTable, EventsTable, GrantsTable, RequestsTable, SessionsTable } from "./tables.ts"

type GrantRow = Selectable<GrantsTable>
type DecisionRow = Omit<Selectable<DecisionsTable>, "rowid" | "request">

/** A row of `requests` and, as JSON, what belongs to it. SQLite gives JSON as text, PostgreSQL parsed. */
export interface RequestRow extends Selectable<RequestsTable> {
  readonly decisions_json: readonly DecisionRow[] | string
  readonly grant_json: GrantRow | string | null
}

const list = (json: string): string[] => JSON.parse(json) as string[]
const listOrNull = (json: string | null): string[] | null => (json === null ? null : list(json))
const parsed = <T>(json: T | string): T => (typeof json === "string" ? (JSON.parse(json) as T) : json)

/** How a list is written, so that equal ones are equal text. */
export const listText = (names: readonly string[]): string => JSON.stringify(names)
export const listTextOrNull = (names: readonly string[] | null): string | null => (names === null ? null : listText(names))

export function toRequest({ groups, accounts, approve_by, actions, decisions_json, grant_json, ...rest }: RequestRow): RequestRecord {
  const grant = parsed(grant_json)
  return {
    ...(rest as unknown as Omit<RequestRecord, "groups" | "as" | "approve_by" | "actions" | "decisions" | "grant">),
    groups: list(groups),
    as: listOrNull(accounts),
    approve_by: list(approve_by),
    actions: listOrNull(actions),
    decisions: parsed(decisions_json).map(toDecision),
    grant: grant && toGrant(grant),
  }
}

function toDecision({ by_name, actor, verdict, reason, at }: DecisionRow): DecisionRecord {
  return { by: by_name, actor, verdict, reason, at } as DecisionRecord
}

export function toGrant({ accounts, actions, ...rest }: GrantRow): GrantView {
  return { ...(rest as unknown as Omit<GrantView, "as" | "actions">), as: listOrNull(accounts), actions: listOrNull(actions) }
}

export function toSession({ account, grant_id, ...rest }: Selectable<SessionsTable>): SessionView {
  return { ...(rest as unknown as Omit<SessionView, "as" | "grant">), as: account, grant: grant_id as SessionView["grant"] }
}

export function toEvent({ by_name, from_address, grant_id, session_id, detail, ...rest }: Selectable<EventsTable>): EventRecord {
  return {
    ...rest,
    by: by_name,
    from: from_address,
    grant: grant_id,
    session: session_id,
    detail: JSON.parse(detail) as unknown,
  } as EventRecord
}
