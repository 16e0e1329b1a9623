// A held action as its approver reads it in a terminal: every word that came from outside escaped, so that nothing in it can look
// like the lines around it.
import type { Estimate, HeldAction } from "../api/hold_schema.ts"
import type { RequestView } from "../api/schema.ts"
import { visible } from "../core/visible.ts"
import { accounts, reasonOf, until } from "./words.ts"

/** All that is known of it, a fact a line. */
export function heldFacts(request: RequestView & { readonly action: HeldAction }, now: number): string {
  const { action, subject, target, as, reason, rule, status, run_at, created_at, duration_ms, estimate } = request
  const { text, values, action_kind, tables, calls, notes, recent, digest, session } = action
  return [
    `  who     ${visible(subject)}`,
    `  target  ${visible(target)}`,
    `  as      ${accounts(as)}`,
    `  action  ${visible(text)}`,
    ...values.map((value, at) => `  $${at + 1}      ${value === null ? "NULL" : `'${visible(value)}'`}`),
    ...(action_kind === null ? [] : [`  does    ${action_kind}${tables.length === 0 ? "" : ` on ${visible(tables.join(", "))}`}`]),
    ...(calls.length === 0 ? [] : [`  calls   ${visible(calls.join(", "))}`]),
    ...(estimate === null ? [] : [`  rows    ${estimateText(estimate)}`]),
    ...notes.map((words) => `  note    ${visible(words)}`),
    ...recent.map((earlier) => `  before  ${visible(earlier)}`),
    `  reason  ${reasonOf(reason)}`,
    `  rule    ${visible(rule)}`,
    `  session ${session}`,
    `  digest  ${digest}`,
    ...(status === "pending" ? [`  until   ${until(created_at + duration_ms, now)}`] : []),
    ...(run_at === null ? [] : [`  ran     ${until(run_at, now)}`]),
  ].join("\n")
}

/** "about 120 by the planner (cost 35.5)" */
export function estimateText({ rows, cost, why }: Estimate): string {
  return why === null ? `about ${rows} by the planner (cost ${cost})` : `no estimate: ${visible(why)}`
}

/** The same in one line, for a list. */
export function heldLine({ id, action }: RequestView): string[] {
  if (action === null) return []
  const { text, action_kind, tables } = action
  const kind = action_kind === null ? "" : ` (${action_kind}${tables.length === 0 ? "" : ` on ${visible(tables.join(", "))}`})`
  return [`Request ${id} holds an action${kind}:`, `  ${visible(text)}`]
}

export const isHeld = (request: RequestView): request is RequestView & { readonly action: HeldAction } => request.action !== null
