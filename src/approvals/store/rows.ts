// Rows of the store as the values of `store.ts`.
import type { Selectable } from "kysely"
import type { ApprovalPlan } from "../../core/approval_plan.ts"
import type { GrantView, SessionView } from "../../api/schema.ts"
import type { DecisionRecord, EventRecord, HoldRecord, RequestRecord } from "../store.ts"
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

export function toRequest(row: RequestRow): RequestRecord {
  const { groups, accounts, approve_by, actions, decisions_json, grant_json, plan, ...others } = row
  const {
    escalate_at,
    escalate_to,
    escalated,
    review_by,
    review_due_at,
    reviewed_by,
    reviewed_at,
    review_note,
    hold,
    hold_grant: _hold_grant,
    hold_session: _hold_session,
    hold_digest: _hold_digest,
    lapse_told: _lapse,
    overdue_told: _overdue,
    ...rest
  } = others
  const grant = parsed(grant_json)
  return {
    ...(rest as unknown as Omit<RequestRecord, "groups" | "as" | "approve_by" | "actions" | "decisions" | "grant" | "hold" | keyof Ruled>),
    hold: hold === null ? null : (JSON.parse(hold) as HoldRecord),
    plan: plan === null ? planBefore(list(approve_by), row.approvals_needed) : (JSON.parse(plan) as ApprovalPlan),
    escalation: escalate_at === null || escalate_to === null ? null : { at: escalate_at, to: list(escalate_to) },
    escalated: escalated === 1,
    review: review_by === null || review_due_at === null ? null : { by: list(review_by), due_at: review_due_at },
    reviewed: reviewed_by === null || reviewed_at === null ? null : { by: reviewed_by, at: reviewed_at, note: review_note ?? "" },
    groups: list(groups),
    as: listOrNull(accounts),
    approve_by: list(approve_by),
    actions: listOrNull(actions),
    decisions: parsed(decisions_json).map(toDecision),
    grant: grant && toGrant(grant),
  }
}

type Ruled = Pick<RequestRecord, "plan" | "escalation" | "escalated" | "review" | "reviewed">

/** Of a request from before there were steps: all in one. */
const planBefore = (by: readonly string[], count: number): ApprovalPlan => ({ order: "any", steps: count === 0 ? [] : [{ by, count }] })

function toDecision({ by_name, actor, verdict, reason, at, steps }: DecisionRow): DecisionRecord {
  return { by: by_name, actor, verdict, reason, at, steps: steps === null ? [0] : (JSON.parse(steps) as number[]) } as DecisionRecord
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
