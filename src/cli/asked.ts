// What became of a request, in words for the one who asked: while it waits, when it is decided, and what its grant is for.
import { setTimeout as sleep } from "node:timers/promises"
import type { ApiClient } from "../api/client.ts"
import type { GrantView, RequestView } from "../api/schema.ts"
import type { Millis } from "../core/clock.ts"
import { formatDuration } from "../core/duration.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import { visible } from "../core/visible.ts"
import type { Context } from "./context.ts"
import { limited, reasonOf, stillNeeded, targetAs, until } from "./words.ts"

/**
 * Stays until somebody has decided, also over a restart of the service. Ctrl-C takes the request back, so that no approver reads what
 * nobody waits for. Throws `stale` when the service has not answered for `wait_away_ms_max`.
 */
export async function decided(context: Context, asked: RequestView): Promise<RequestView> {
  const { io } = context
  const api = await context.api()
  io.error(`${waiting(context, asked)}\nWaiting for a decision; Ctrl-C takes the request back.\n`)
  let request = asked
  try {
    while (request.status === "pending") request = await nextNews(context, api, asked.id)
    return request
  } catch (failure) {
    if (io.signal.aborted) {
      await api.call("withdraw", { id: asked.id, body: {} })
      io.error(`Request ${asked.id} was taken back.\n`)
    }
    throw failure
  }
}

/** The request when it is decided, or after the time of one long poll. */
async function nextNews({ io, now }: Context, api: ApiClient, id: RequestView["id"]): Promise<RequestView> {
  const since = now()
  for (let told = false; ;) {
    try {
      return await api.call("request", { id, query: { wait_ms: limits.long_poll_ms_max } }, { signal: io.signal })
    } catch (failure) {
      const away = failure instanceof GatewayError && failure.code === "stale"
      if (!away || now() - since > limits.wait_away_ms_max) throw failure
      if (!told) io.error("The approval service does not answer now; the request stands, and this waits on.\n")
      told = true
      await sleep(limits.wait_retry_ms, undefined, { signal: io.signal })
    }
  }
}

export function answer(context: Context, request: RequestView): string {
  const { id, grant, decisions } = request
  switch (request.status) {
    case "approved":
      return grant ? given(context, request, grant) : `Request ${id} was approved.`
    case "pending": {
      const again = request.extends_grant === null ? `request ${visible(request.target)}` : `extend ${request.extends_grant}`
      return `${waiting(context, request)}\n\`${context.call} ${again} … --wait\` waits for the decision.`
    }
    case "denied": {
      const denial = decisions.find((decision) => decision.verdict === "deny")
      return `Request ${id} was denied${denial ? ` by ${visible(denial.by)}: ${reasonOf(denial.reason)}` : ""}`
    }
    case "withdrawn":
      return `Request ${id} was taken back.`
    case "lapsed":
      return `Nobody decided about request ${id} in time; it is over.`
  }
}

function given(context: Context, request: RequestView, grant: GrantView): string {
  const { id, decisions, approvals_needed, extends_grant } = request
  const now = context.now()
  const by =
    request.break_glass !== null
      ? "at once (break-glass)"
      : approvals_needed === 0
        ? "by a rule"
        : `by ${visible(decisions.map((decision) => decision.by).join(", "))}`
  const what = targetAs(grant.target, grant.as)
  if (extends_grant !== null)
    return `Request ${id} was approved ${by}: ${what} until ${until(grant.ends_at, now)}, grant ${grant.id}. Open sessions go on.`
  const from = grant.starts_at > now ? ` from ${until(grant.starts_at, now)}` : ""
  const time =
    grant.first_use_ms === null
      ? `until ${until(grant.ends_at, now)}`
      : `for ${formatDuration(grant.first_use_ms)} from its first use, which must come before ${until(grant.ends_at, now)}`
  const use = context.useLine(grant.target, grant.as?.[0])
  return [
    `Request ${id} was approved ${by}: ${what}${from} ${time}, grant ${grant.id}.`,
    ...reviewed(request, now),
    ...limited(grant, context.io.columns),
    ...(use ? [use] : []),
  ].join("\n")
}

function reviewed({ break_glass }: RequestView, now: Millis): string[] {
  if (!break_glass || break_glass.reviewed) return []
  const by = visible(break_glass.review_by.join(", "))
  return [`Everybody concerned is told. One of ${by} reviews what was done, before ${until(break_glass.due_at, now)}.`]
}

function waiting(context: Context, request: RequestView): string {
  const { id, target, as, duration_ms, starts_at, approvals_needed, decisions, extends_grant, extends_to } = request
  const now = context.now()
  const from = starts_at !== null && starts_at > now ? ` from ${until(starts_at, now)}` : ""
  const left = approvals_needed - new Set(decisions.filter(({ verdict }) => verdict === "approve").map(({ by }) => by)).size
  const { steps } = request
  const of = steps.length === 1 ? ` of ${visible(steps[0]!.by.join(" or "))}` : ""
  const people = `${left === 1 ? "one approval" : `${left} approvals`}${of}`
  const what =
    extends_grant === null || extends_to === null
      ? `for ${targetAs(target, as)}, ${formatDuration(duration_ms)}${from},`
      : `to extend ${targetAs(target, as)} (grant ${extends_grant}) until ${until(extends_to, now)}`
  const page = context.pageOf(id)
  return [
    `Request ${id} ${what} needs ${people}. A colleague who may gives it with: ${context.callOfOthers} approve ${id}`,
    ...(page === undefined ? [] : [`or on its page: ${page}`]),
    ...stillNeeded(request, now),
    ...limited({ actions: request.actions, uses_max: request.uses, uses_left: request.uses }, context.io.columns),
  ].join("\n")
}
