// `sluice requests`: those you made and those you may decide about.
import type { RequestView } from "../api/schema.ts"
import { formatDuration } from "../core/duration.ts"
import { visible } from "../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "./context.ts"
import { table } from "./table.ts"
import { distance, listing, reasonOf, targetAs, time, usesOf } from "./words.ts"

const heads = ["REQUEST", "WHO", "TARGET", "FOR", "ASKED", "STATUS", "REASON"]

export const addRequests: AddVerb = (program, context) => {
  program
    .command("requests")
    .description("requests: yours, and those you may decide about")
    .option("--pending", "only those nobody has decided about yet")
    .option(...jsonOption)
    .action(async (options: JsonOption & { readonly pending?: true }) => {
      const query = options.pending ? ({ status: "pending" } as const) : {}
      const answer = await (await context.api()).call("requests", { query }, { signal: context.io.signal })
      show(context, options, answer, () => {
        const text = requestTable(answer.requests, context.now(), context.io.columns)
        const mine = answer.requests.filter((request) => request.may_decide)
        return mine.length === 0
          ? text
          : `${text}\n\nYou may decide about ${mine.map(({ id }) => id).join(", ")}: ${context.call} approve ${mine[0]!.id}`
      })
    })
}

/** The table, and below it what those ask for that do not ask for everything: the exact words, for those who decide. */
export function requestTable(requests: readonly RequestView[], now: number, columns: number): string {
  const rows = table(
    heads,
    requests.map((request) => [
      String(request.id),
      visible(request.subject),
      targetAs(request.target, request.as),
      lasting(request, now),
      distance(request.created_at, now),
      request.status,
      reasonOf(request.reason),
    ]),
    { columns, nothing: "There are no requests." },
  )
  const held = requests.filter(({ actions, status }) => actions !== null && status === "pending")
  return [rows, ...held.flatMap(({ id, actions }) => listing(`Request ${id}`, actions ?? []))].join("\n")
}

/** "1h", "30m more, until 14:30:00 UTC", "1h from first use, 3 uses": all that somebody who decides must know of its times. */
function lasting(request: RequestView, now: number): string {
  const { duration_ms, starts_at, extends_to, first_use_within_ms, uses } = request
  const use = first_use_within_ms === null ? "" : ` from first use within ${formatDuration(first_use_within_ms)}`
  return [
    extends_to === null ? `${formatDuration(duration_ms)}${use}` : `${formatDuration(duration_ms)} more, until ${time(extends_to, now)}`,
    ...(starts_at !== null && starts_at > now ? [`from ${time(starts_at, now)}`] : []),
    ...(uses === null ? [] : [usesOf({ actions: null, uses_max: uses, uses_left: uses })]),
  ].join(", ")
}
