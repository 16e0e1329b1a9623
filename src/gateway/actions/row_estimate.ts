// Whether a held statement may be shown to the target's planner. Planning runs code: functions that are declared immutable or stable
// are evaluated on the way. So only what is known to call nothing of that kind is planned.
import type { Estimate } from "../../api/hold_schema.ts"
import type { Action } from "../../core/action.ts"
import { planned, type StatementFacts, type StatementKind } from "../../core/statement.ts"

export const noEstimate = (why: string): Estimate => ({ rows: null, cost: null, why })

/** A text with anything else in it has no plan, or more in it than a plan. */
const hasPlan = (kind: StatementKind): boolean => (planned as readonly StatementKind[]).includes(kind)

/** In words, why not; undefined: it may. */
export function whyNoEstimate(action: Action, facts: StatementFacts | undefined): string | undefined {
  if (action.kind !== "postgres.statement") return "only an SQL statement has an estimate"
  if (!facts) return "no rule looks into SQL here, so it is not known what planning it would run"
  if (action.inexact || action.values?.some(({ redacted }) => redacted)) return "a secret in it is not shown, so it cannot be planned"
  const other = facts.parts.find(({ kind }) => !hasPlan(kind))
  if (facts.calls.length > 0 || other?.kind === "unknown") return "planning it may run code that its text does not show"
  return other && `what is ${other.kind} has no plan`
}
