// How times, durations, people's words and accounts are written everywhere on the command line. All times are UTC, and say so.
import type { RequestView } from "../api/schema.ts"
import type { Millis } from "../core/clock.ts"
import { formatDuration } from "../core/duration.ts"
import { visible } from "../core/visible.ts"
import { indented } from "./fact_lines.ts"

/** "14:30:00" today, "2026-01-15 14:30:00" on another day: for a column whose head says UTC. */
export function columnTime(at: Millis, now: Millis): string {
  const [day, clock] = new Date(at).toISOString().split("T") as [string, string]
  const today = new Date(now).toISOString().slice(0, 10)
  return `${day === today ? "" : `${day} `}${clock.slice(0, 8)}`
}

/** "14:30:00 UTC" today, "2026-01-15 14:30:00 UTC" on another day. */
export const time = (at: Millis, now: Millis): string => `${columnTime(at, now)} UTC`

/** "in 42m", "5m ago", "now". */
export function distance(at: Millis, now: Millis): string {
  const duration = formatDuration(Math.abs(at - now))
  if (duration === "0s") return "now"
  return at > now ? `in ${duration}` : `${duration} ago`
}

export const until = (at: Millis, now: Millis): string => `${time(at, now)} (${distance(at, now)})`

/** "root, deploy"; a request for all a target offers names none. */
export const accounts = (as: readonly string[] | null): string => (as === null ? "any" : visible(as.join(", ")))

/** "prod-host as root" */
export const targetAs = (target: string, as: readonly string[] | null): string =>
  visible(target) + (as === null ? "" : ` as ${visible(as.join(", "))}`)

/** A reason in its row: visible, and something even when there is none. */
export const reasonOf = (reason: string): string => (reason === "" ? "(no reason given)" : visible(reason))

/** How many actions, in words; undefined for any number. */
export function usesOf({ uses_max, uses_left }: Limited): string | undefined {
  if (uses_max === null) return undefined
  return uses_left === uses_max || uses_left === null
    ? uses_max === 1
      ? "one use"
      : `${uses_max} uses`
    : `${uses_left} of ${uses_max} uses left`
}

/** Lines that say whose approval a request waits for, where that is more than one of one kind. */
export function stillNeeded({ steps, order, escalates }: Pick<RequestView, "steps" | "order" | "escalates">, now: Millis): string[] {
  const open = steps.filter(({ count, approved_by }) => approved_by.length < count)
  const kinds = open.map(({ by, count, approved_by }) => `${count - approved_by.length} of ${visible(by.join(", "))}`)
  const joined = kinds.join(order === "sequence" ? ", then " : " and ")
  return [
    ...(steps.length > 1 || steps.some(({ count }) => count > 1) ? [`Still needed: ${joined}.`] : []),
    ...(escalates ? [`From ${until(escalates.at, now)} on ${visible(escalates.to.join(", "))} may decide as well.`] : []),
  ]
}

export interface Limited {
  readonly actions: readonly string[] | null
  readonly uses_max: number | null
  readonly uses_left: number | null
}

/** Lines that say what a grant or request is held to; none when it covers everything. */
export function limited(what: Limited, columns: number): string[] {
  const uses = usesOf(what)
  const { actions } = what
  if (actions === null) return uses === undefined ? [] : [`Only for ${uses}; one is an action of any kind.`]
  return [`Only for ${these(actions)}${uses === undefined ? "" : `, ${uses}`}:`, ...actionLines(actions, columns)]
}

/** The same below a table, about the row that `name` names. */
export const listing = (name: string, actions: readonly string[], columns: number): string[] => [
  "",
  `${name}, only for ${these(actions)}:`,
  ...actionLines(actions, columns),
]

const these = ({ length }: readonly string[]): string => (length === 1 ? "this action" : "these actions")
const actionLines = (actions: readonly string[], columns: number): string[] => actions.map((action) => indented(visible(action), columns))
