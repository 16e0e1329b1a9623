// `sluice requests`: those you made and those you may decide about.
import type { RequestView } from "../api/schema.ts"
import { formatDuration } from "../core/duration.ts"
import { visible } from "../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "./context.ts"
import { table } from "./table.ts"
import { distance, reasonOf, targetAs } from "./words.ts"

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

export const requestTable = (requests: readonly RequestView[], now: number, columns: number): string =>
  table(
    heads,
    requests.map((request) => [
      String(request.id),
      visible(request.subject),
      targetAs(request.target, request.as),
      formatDuration(request.duration_ms),
      distance(request.created_at, now),
      request.status,
      reasonOf(request.reason),
    ]),
    { columns, nothing: "There are no requests." },
  )
