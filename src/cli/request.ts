// `sluice request`: asks for a target, and with --wait stays until somebody has decided. Ctrl-C then takes the request back, so that
// no approver reads what nobody waits for.
import { InvalidArgumentError } from "commander"
import type { RequestView } from "../api/schema.ts"
import { formatDuration, parseDuration } from "../core/duration.ts"
import { limits } from "../core/limits.ts"
import { visible } from "../core/visible.ts"
import { jsonOption, show, type AddVerb, type Context, type JsonOption } from "./context.ts"
import { reasonOf, targetAs, until } from "./words.ts"

interface Options extends JsonOption {
  readonly for: number
  readonly reason: string
  readonly as?: readonly string[]
  readonly at?: number
  readonly wait?: true
}

export const addRequest: AddVerb = (program, context) => {
  program
    .command("request")
    .argument("<target>", "its name")
    .description("ask for a target")
    .requiredOption("--for <duration>", "how long, such as 30m, 1h, 2d", duration)
    .option("--reason <words>", "why; those who approve read it", "")
    .option("--as <account>", "a login or role; may be repeated, left out: all that the rule allows", collect)
    .option("--at <time>", "start later, such as 2026-01-15T14:00Z", instant)
    .option("--wait", "until somebody has decided; Ctrl-C takes the request back")
    .option(...jsonOption)
    .action(async (target: string, options: Options) => {
      const body = {
        target,
        duration_ms: options.for,
        reason: options.reason,
        ...(options.as ? { as: [...options.as] } : {}),
        ...(options.at === undefined ? {} : { starts_at: options.at }),
      }
      const asked = await (await context.api()).call("ask", { body }, { signal: context.io.signal })
      const request = options.wait && asked.status === "pending" ? await decided(context, asked) : asked
      if (request.status !== "approved" && (options.wait || request.status !== "pending")) context.status = 1
      show(context, options, request, () => answer(context, request))
    })
}

async function decided(context: Context, asked: RequestView): Promise<RequestView> {
  const { io } = context
  const api = await context.api()
  io.error(`${waiting(context, asked)}\nWaiting for a decision; Ctrl-C takes the request back.\n`)
  let request = asked
  try {
    while (request.status === "pending") {
      request = await api.call("request", { id: asked.id, query: { wait_ms: limits.long_poll_ms_max } }, { signal: io.signal })
    }
    return request
  } catch (failure) {
    if (io.signal.aborted) {
      await api.call("withdraw", { id: asked.id, body: {} })
      io.error(`Request ${asked.id} was taken back.\n`)
    }
    throw failure
  }
}

function answer(context: Context, request: RequestView): string {
  const { id, grant, decisions } = request
  const now = context.now()
  switch (request.status) {
    case "approved": {
      if (!grant) return `Request ${id} was approved.`
      const by = request.approvals_needed === 0 ? "by a rule" : `by ${visible(decisions.map((decision) => decision.by).join(", "))}`
      const from = grant.starts_at > now ? ` from ${until(grant.starts_at, now)}` : ""
      const use = context.useLine(grant.target, grant.as?.[0])
      const words = `Request ${id} was approved ${by}: ${targetAs(grant.target, grant.as)}${from} until ${until(grant.ends_at, now)}, grant ${grant.id}.`
      return use ? `${words}\n${use}` : words
    }
    case "pending":
      return `${waiting(context, request)}\n\`${context.call} request ${visible(request.target)} … --wait\` waits for the decision.`
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

function waiting(context: Context, { id, target, as, duration_ms, approvals_needed, decisions }: RequestView): string {
  const left = approvals_needed - decisions.filter((decision) => decision.verdict === "approve").length
  const people = left === 1 ? "one approval" : `${left} approvals`
  return `Request ${id} for ${targetAs(target, as)}, ${formatDuration(duration_ms)}, needs ${people}. A colleague who may gives it with: ${context.call} approve ${id}`
}

export function duration(text: string): number {
  const duration_ms = parseDuration(text)
  if (duration_ms === undefined) throw new InvalidArgumentError("A duration looks like 90s, 15m, 1h30m or 2d.")
  return duration_ms
}

function instant(text: string): number {
  // Without a zone, Date would read it in the zone of whichever machine this is.
  const at =
    /^\d{4}-\d\d-\d\d[T ]\d\d:\d\d/.test(text) && /(Z|UTC|[+-]\d\d:?\d\d)$/.test(text)
      ? Date.parse(text.replace(/ ?UTC$/, "Z").replace(" ", "T"))
      : NaN
  if (Number.isNaN(at)) throw new InvalidArgumentError("A time says its zone: 2026-01-15T14:00Z or 2026-01-15T16:00+02:00.")
  return at
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]
