// One action that waits for somebody: shown whole, asked about, told to who waits, and let go when it is approved, denied, taken back,
// over by its time, or when its session ends. Each step is on record before the next. Whether it then runs is `decisions.ts`'s.
import type { Action } from "../../core/action.ts"
import type { ActionRule } from "../../core/action_rules.ts"
import type { Clock } from "../../core/clock.ts"
import { formatDuration } from "../../core/duration.ts"
import { GatewayError } from "../../core/errors.ts"
import type { Grant } from "../../core/grant.ts"
import type { RequestId, SessionId } from "../../core/ids.ts"
import type { StatementFacts } from "../../core/statement.ts"
import { visible } from "../../core/visible.ts"
import type { ProtocolName } from "../../core/target.ts"
import type { Recorder } from "../../record/recorder.ts"
import type { Estimate, Exact } from "../contract.ts"
import type { Hold, HoldEnd, HoldService } from "./hold_book.ts"
import { noEstimate, whyNoEstimate } from "./row_estimate.ts"
import { type Shown, shownAction } from "./shown_action.ts"
import type { Wait } from "../waiting.ts"

export interface Holder {
  readonly session: SessionId
  readonly protocol: ProtocolName
  readonly recorder: Pick<Recorder, "write"> & { readonly next: number }
  readonly holds: HoldService
  readonly clock: Clock
  /** Aborted at the end of the session. */
  readonly signal: AbortSignal
  readonly recent: readonly string[]
  grant(): Grant
  /** A line that approves a request. */
  approve(request: RequestId): string
}

export interface HeldAction {
  readonly action: Action
  readonly facts: StatementFacts | undefined
  readonly rule: ActionRule
  readonly wait: Wait
  readonly exact: (() => Promise<Exact>) | undefined
  readonly estimate: (() => Promise<Estimate>) | undefined
  /** Why it may not run although it was approved; undefined: it may. Asked before the approval is taken. */
  changed(): Promise<GatewayError | undefined>
}

/** `held`: the number of its event, when it came to that. `error`: why it may not run; none: its approval is taken. */
export interface HeldEnd {
  readonly held: number | undefined
  readonly error: GatewayError | undefined
}

/** Never rejects. */
export async function holdAction(holder: Holder, wanted: HeldAction): Promise<HeldEnd> {
  const { session, signal, clock, recorder } = holder
  let held: number | undefined
  try {
    const shown = shownAction(wanted.action, wanted.facts, await wanted.exact?.())
    const hold = await ask(holder, wanted, shown)
    // Left meanwhile: nobody is to be asked any more.
    if (signal.aborted || wanted.wait.stopped === "withdrawn") {
      hold.withdraw()
      return { held, error: new GatewayError("hold_withdrawn", { session }) }
    }
    held = recorder.next
    const { action, rule } = wanted
    if (!recorder.write({ kind: "held", action, rule: rule.name, request: hold.request, digest: shown.digest })) {
      hold.withdraw()
      return { held, error: new GatewayError("recorder_failed", { session }) }
    }
    if (hold.open) tell(holder, wanted.wait, hold)
    const began = clock.now()
    const end = await ended(hold, wanted.wait, signal)
    const { how, by, reason } = end
    const said = reason === "" ? {} : { reason }
    recorder.write({ kind: "settled", held, request: hold.request, how, by, ...said, waited_ms: clock.now() - began })
    if (how !== "approved") return { held, error: refusal(hold.request, end, session) }
    const error = await wanted.changed()
    if (!error) await hold.redeem()
    return { held, error }
  } catch (failure) {
    const error = GatewayError.from(failure, "stale")
    return { held, error: (error.code === "over" ? new GatewayError("hold_over", { what: gone }) : error).with({ session }) }
  }
}

/** On record before it is asked for, and what came of it. */
async function estimated(
  { recorder, request, by }: Pick<Holder, "recorder"> & { readonly request: RequestId; readonly by: string },
  estimate: string | (() => Promise<Estimate>) | undefined,
): Promise<Estimate> {
  if (typeof estimate !== "function") return noEstimate(estimate ?? "only an SQL statement has an estimate")
  if (!recorder.write({ kind: "estimate", request, by })) return noEstimate("this session cannot be recorded")
  const found = await estimate()
  recorder.write({ kind: "estimated", request, rows: found.rows, cost: found.cost, why: found.why })
  return found
}

const gone = "the approval of this action is gone: it was used, or the grant has ended"

function ask(holder: Holder, { rule, action, facts, estimate }: HeldAction, shown: Shown): Promise<Hold> {
  const { session, protocol, holds, recent, grant, recorder } = holder
  return holds.hold({
    estimate: (request, by) => estimated({ recorder, request, by }, whyNoEstimate(action, facts) ?? estimate),
    action: { session, grant: grant().id, protocol, ...shown, recent: [...recent] },
    rule: { index: rule.index, digest: rule.digest },
    // An HTTP request is asked for again, over whatever session there is by then.
    binding: protocol === "http" ? "identity" : "session",
  })
}

function tell({ approve, clock }: Holder, wait: Wait, { request, url, expires_at, approvers }: Hold): void {
  const left = formatDuration(Math.max(1_000, expires_at - clock.now()))
  const of = approvers ? visible(approvers.of.join(" or ")) : "somebody"
  const whom = approvers && approvers.count > 1 ? `${approvers.count} people of ${of} approve` : `${of} approves`
  const say = `sluice: held: request ${request} waits until ${whom} it, for at most ${left}: ${approve(request)}  or  ${url}`
  wait.tell({ request, url, expires_at, say })
}

type End = Omit<HoldEnd, "how"> & { readonly how: HoldEnd["how"] | "left" }

async function ended(hold: Hold, wait: Wait, signal: AbortSignal): Promise<End> {
  const { promise, resolve } = Promise.withResolvers<End>()
  const stop = (how: "withdrawn" | "left"): void => {
    resolve({ how, by: [], reason: "" })
    if (how === "left") hold.leave()
    else hold.withdraw()
  }
  const onAbort = (): void => stop("withdrawn")
  signal.addEventListener("abort", onAbort, { once: true })
  if (signal.aborted) onAbort()
  wait.onStop(stop)
  const end = await Promise.race([promise, hold.ended])
  signal.removeEventListener("abort", onAbort)
  return end
}

/** The decider's words were checked when they were given: no control characters, one line. */
function refusal(request: RequestId, { how, by, reason }: End, session: SessionId): GatewayError {
  switch (how) {
    case "denied":
      return new GatewayError("hold_denied", {
        session,
        what: `request ${request} was denied by ${by.join(", ")}${reason === "" ? "" : `: ${reason}`}`,
      })
    case "lapsed":
      return new GatewayError("hold_over", { session, what: `nobody approved request ${request} in time` })
    case "left":
    case "withdrawn":
    case "approved":
      return new GatewayError("hold_withdrawn", { session })
  }
}
