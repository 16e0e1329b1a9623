// `sluice requests`: those you made and those you may decide about.
import { Option } from "commander"
import type { RequestView } from "../../api/schema.ts"
import { formatDuration } from "../../core/duration.ts"
import { visible } from "../../core/visible.ts"
import { facts, readingIn } from "./approve.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { Failure } from "../failure.ts"
import { mayHavePlan } from "../../core/statement.ts"
import { heldLine } from "../held_words.ts"
import { requestNumber } from "../ids.ts"
import { andNext, inPages, limitOption, type PageOptions } from "../pages.ts"
import { table } from "../table.ts"
import { distance, listing, reasonOf, stillNeeded, targetAs, time, until, usesOf } from "../words.ts"

const heads = ["REQUEST", "WHO", "TARGET", "FOR", "ASKED", "STATUS", "REASON"]

export const addRequests: AddVerb = (program, context) => {
  program
    .command("requests")
    .argument("[request]", "all about this one", requestNumber)
    .description("requests: yours, and those you may decide about")
    .addOption(new Option("--pending", "only those nobody has decided about yet").conflicts("unreviewed"))
    .option("--estimate", "with a request's number: have the target's planner guess how many rows a held SQL statement is about")
    .option("--unreviewed", "only what a break-glass gave and nobody has reviewed yet")
    .option(...limitOption)
    .option("--before <request>", "only those before this one: the next page", requestNumber)
    .option(...jsonOption)
    .action(
      async (
        id: number | undefined,
        options: JsonOption & PageOptions<number> & { readonly pending?: true; readonly unreviewed?: true; readonly estimate?: true },
      ) => {
        if (options.estimate && id === undefined)
          throw new Failure("which request?", `${context.call} requests 57 --estimate`, { status: 2 })
        if (id !== undefined) {
          const api = await context.api()
          const { signal } = context.io
          const one = options.estimate
            ? await api.call("estimate", { id, body: {} }, { signal })
            : await api.call("request", { id, query: {} }, { signal })
          if (options.estimate && one.estimate === null)
            throw new Failure("the gateway that holds it has not answered", `Look again: ${context.call} requests ${id} --estimate`)
          return show(context, options, one, () =>
            [`Request ${id} is ${one.status}.`, facts(one, readingIn(context)), ...deciding(one, context.call)].join("\n"),
          )
        }
        const query = options.pending ? ({ status: "pending" } as const) : options.unreviewed ? ({ status: "unreviewed" } as const) : {}
        const api = await context.api()
        const { items: requests, next } = await inPages(options, async (page) => {
          const answer = await api.call("requests", { query: { ...query, ...page } }, { signal: context.io.signal })
          return { items: answer.requests, next: answer.next }
        })
        show(context, options, { requests, next }, () => {
          const text = requestTable(requests, context.now(), context.io.columns)
          const mine = requests.filter((request) => request.may_decide)
          const told =
            mine.length === 0
              ? text
              : `${text}\n\nYou may decide about ${mine.map(({ id }) => id).join(", ")}: ${context.call} approve ${mine[0]!.id}`
          const which = options.pending ? " --pending" : options.unreviewed ? " --unreviewed" : ""
          return andNext(told, `${context.call} requests${which}`, { limit: options.limit, next })
        })
      },
    )
}

/** For who may decide: how, and, of a statement that has a plan, what else they can ask. */
function deciding({ id, may_decide, action, estimate }: RequestView, call: string): string[] {
  if (!may_decide) return []
  return [
    `You may decide about it: ${call} approve ${id}, or deny ${id} --reason "..."`,
    ...(action && mayHavePlan(action) && estimate === null
      ? [`How many rows it is about, by the planner: ${call} requests ${id} --estimate`]
      : []),
  ]
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
      request.status === "approved" && request.run_at !== null ? "run" : request.status,
      reasonOf(request.reason),
    ]),
    { columns, nothing: "There are no requests." },
  )
  const pending = requests.filter(({ status }) => status === "pending")
  return [
    rows,
    ...pending.flatMap((request) => stillNeeded(request, now).map((line) => `Request ${request.id}: ${line}`)),
    ...requests.flatMap((request) => unreviewed(request, now)),
    ...pending.flatMap((request) => heldLine(request, columns)),
    ...pending.flatMap(({ id, actions }) => (actions === null ? [] : listing(`Request ${id}`, actions, columns))),
  ].join("\n")
}

function unreviewed({ id, break_glass }: RequestView, now: number): string[] {
  if (!break_glass || break_glass.reviewed) return []
  const due = now >= break_glass.due_at ? `was due ${until(break_glass.due_at, now)}` : `is due before ${until(break_glass.due_at, now)}`
  return [`Request ${id} was a break-glass: a review by ${visible(break_glass.review_by.join(", "))} ${due}.`]
}

/** "1h", "30m more, until 14:30:00 UTC", "1h from first use, 3 uses": all that somebody who decides must know of its times. */
function lasting(request: RequestView, now: number): string {
  if (request.action !== null) return "an action"
  const { duration_ms, starts_at, extends_to, first_use_within_ms, uses } = request
  const use = first_use_within_ms === null ? "" : ` from first use within ${formatDuration(first_use_within_ms)}`
  return [
    extends_to === null ? `${formatDuration(duration_ms)}${use}` : `${formatDuration(duration_ms)} more, until ${time(extends_to, now)}`,
    ...(starts_at !== null && starts_at > now ? [`from ${time(starts_at, now)}`] : []),
    ...(uses === null ? [] : [usesOf({ actions: null, uses_max: uses, uses_left: uses })]),
  ].join(", ")
}
