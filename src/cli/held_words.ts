// A held action as its approver reads it in a terminal: every word that came from outside escaped, so that nothing in it can look
// like the lines around it.
import type { Estimate, HeldAction } from "../api/hold_schema.ts"
import type { RequestView } from "../api/schema.ts"
import { visible, visibleLines } from "../core/visible.ts"
import { factLines, indented } from "./fact_lines.ts"
import { accounts, reasonOf, until } from "./words.ts"

/** When it is read, and on how wide a screen. */
export interface Reading {
  readonly now: number
  readonly columns: number
}

/** All that is known of it, a fact a line. */
export function heldFacts(request: RequestView & { readonly action: HeldAction }, { now, columns }: Reading): string {
  const fact = (label: string, text: string): string => factLines(label, text, columns)
  const { action, subject, target, as, reason, rule, status, run_at, created_at, duration_ms, estimate } = request
  const { text, values, action_kind, tables, calls, notes, recent, digest, session } = action
  return [
    fact("who", visible(subject)),
    fact("target", visible(target)),
    fact("as", accounts(as)),
    fact("action", visibleLines(text)),
    ...values.map((value, at) => fact(`$${at + 1}`, value === null ? "NULL" : `'${visibleLines(value)}'`)),
    ...(action_kind === null ? [] : [fact("does", `${action_kind}${tables.length === 0 ? "" : ` on ${visible(tables.join(", "))}`}`)]),
    ...(calls.length === 0 ? [] : [fact("calls", visible(calls.join(", ")))]),
    ...(estimate === null ? [] : [fact("rows", estimateText(estimate))]),
    ...notes.map((words) => fact("note", visible(words))),
    ...recent.map((earlier) => fact("before", visible(earlier))),
    fact("reason", reasonOf(reason)),
    fact("rule", visible(rule)),
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
export function heldLine({ id, action }: RequestView, columns: number): string[] {
  if (action === null) return []
  const { text, action_kind, tables } = action
  const kind = action_kind === null ? "" : ` (${action_kind}${tables.length === 0 ? "" : ` on ${visible(tables.join(", "))}`})`
  return [`Request ${id} holds an action${kind}:`, indented(visible(text), columns)]
}

export const isHeld = (request: RequestView): request is RequestView & { readonly action: HeldAction } => request.action !== null
