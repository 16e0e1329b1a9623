// One live session: the lease, the recorder and the dialer that must die together, and the order in which they do. Nobody makes
// one but `gate.ts`, after the grant check.
//
// The end, from a cut or from a closed connection, is always the same:
//   1. the signal aborts: from here no byte is forwarded in either direction (the pump sees to it)
//   2. side by side, each with its bound: what runs upstream is cancelled, and at a cut the client is told why
//   3. upstream and client are destroyed
//   4. the recording is closed, the catalogue told
import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import { setImmediate as nextTurn } from "node:timers/promises"
import { trace, type Span } from "@opentelemetry/api"
import type { Action } from "../core/action.ts"
import type { Clock } from "../core/clock.ts"
import { GatewayError, type CutCode, type ErrorCode } from "../core/errors.ts"
import { formatDuration } from "../core/duration.ts"
import type { Grant } from "../core/grant.ts"
import type { GrantId, RequestId, SessionId } from "../core/ids.ts"
import type { Identity } from "../core/identity.ts"
import { limits } from "../core/limits.ts"
import type { Target } from "../core/target.ts"
import { metrics } from "../observe/metrics.ts"
import type { Log } from "../observe/log.ts"
import type { DiskRecorder } from "../record/disk_recorder.ts"
import type { Outcome } from "../record/events.ts"
import type { Recorder } from "../record/recorder.ts"
import { boundedBy } from "./bounded.ts"
import type { Decision, Estimate, Exact, Opening, Session, UpstreamTls } from "./contract.ts"
import { Decisions } from "./actions/decisions.ts"
import { Dialer, type Connect } from "./dial.ts"
import type { GrantService } from "./control_plane/grant_service.ts"
import type { HoldService } from "./actions/hold_book.ts"
import type { Lease, LeaseBook } from "./lease_book.ts"
import type { SessionRules } from "./actions/session_rules.ts"

/** Who ended it and in what words: for the record and the log, never for the client. */
export interface CutDetail {
  readonly by?: string
  readonly reason?: string
}

/** What the end of a session has started and must finish. */
interface Closing {
  readonly reason: GatewayError | undefined
  readonly detail: CutDetail
  readonly began: number
  readonly cancelled: Promise<void>
  readonly said: Promise<void>
}

export interface SessionOptions {
  readonly id: SessionId
  readonly opening: Opening
  readonly groups: readonly string[]
  readonly target: Target
  readonly grant: Grant
  readonly recorder: DiskRecorder
  readonly leases: LeaseBook
  readonly clock: Clock
  readonly log: Log
  readonly connect: Connect
  readonly service: Pick<GrantService, "use" | "certify">
  readonly rules: () => SessionRules
  readonly holds: HoldService
  ask(target: string, reader: string): string
  extend(grant: GrantId, reader: string): string
  approve(request: RequestId): string
  onFlagged(session: LiveSession, flagged: { readonly rule: string; readonly text: string }): void
  onEnded(session: LiveSession, why: ErrorCode | "closed"): void
}

export class LiveSession implements Omit<Session, symbol> {
  readonly id: SessionId
  readonly identity: Identity
  readonly groups: readonly string[]
  readonly target: Target
  readonly ended: Promise<void>

  readonly #options: SessionOptions
  readonly #controller = new AbortController()
  readonly #dialer: Dialer
  readonly #lease: Lease
  readonly #recorder: DiskRecorder
  readonly #span: Span
  #grant: Grant
  #bytes = { up: 0, down: 0 }
  /** Dialled after the end, to cancel: they may still be secured. */
  readonly #cancelling = new WeakSet<Duplex>()
  readonly #decisions: Decisions
  /** No action may begin any more; those that have may finish. */
  #spent = false
  #over = false
  #settle!: () => void

  constructor(options: SessionOptions) {
    this.#options = options
    this.id = options.id
    this.identity = options.opening.identity
    this.groups = options.groups
    this.target = options.target
    this.#grant = options.grant
    this.#recorder = options.recorder
    this.#dialer = new Dialer(options.target.address, options.connect)
    this.ended = new Promise((resolve) => (this.#settle = resolve))
    const { id, grant, target, opening } = options
    this.#decisions = new Decisions({
      session: id,
      protocol: target.protocol,
      recorder: options.recorder,
      service: options.service,
      rules: options.rules,
      holds: options.holds,
      clock: options.clock,
      signal: this.#controller.signal,
      approve: options.approve,
      grant: () => this.#grant,
      ending: () => this.#checkEnd(),
      reason: (code) => this.#reason(code),
      ask: options.ask(target.name, opening.identity.subject),
      onFlagged: (flagged) => options.onFlagged(this, flagged),
    })
    this.#span = trace.getTracer("sluice").startSpan("sluice.session", {
      attributes: { "sluice.session": id, "sluice.grant": grant.id, "sluice.target": target.name, "enduser.id": opening.identity.subject },
    })
    this.#lease = options.leases.open({
      ends_at: options.grant.ends_at,
      onEnd: () => this.cut("expired"),
      onWarning: (left_ms) => this.#warn(left_ms),
    })
  }

  get grant(): Grant {
    return this.#grant
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get recorder(): Recorder {
    return this.#recorder
  }

  get idle(): boolean {
    return this.#options.opening.idle?.() ?? false
  }

  decide(action: Action, exact?: () => Promise<Exact>, estimate?: () => Promise<Estimate>): Decision {
    return this.#decisions.decide({ action, exact, estimate })
  }

  decidePart(action: Action): Decision {
    return this.#decisions.decidePart(action)
  }

  covers(action: Action): boolean {
    return this.#decisions.covers(action)
  }

  /** The timer may be late: the process was busy, or the clock has jumped. */
  #checkEnd(): GatewayError | undefined {
    if (this.#options.clock.now() >= this.#grant.ends_at) this.cut("expired")
    return this.#over ? this.#ending : undefined
  }

  outcome(outcome: Outcome): void {
    this.#recorder.note({ kind: "outcome", ...outcome })
  }

  dial(): Promise<Duplex> {
    return this.#unlessOver(() => this.#dialer.dial())
  }

  secure(upstream: Duplex, options: UpstreamTls): Promise<Duplex> {
    const make = () => this.#dialer.secure(upstream, options)
    return this.#cancelling.has(upstream) ? make() : this.#unlessOver(make)
  }

  async certify({ login, key }: { readonly login: string; readonly key: string }): Promise<string> {
    if (this.#over) throw this.#ending
    const certificate = await this.#options.service.certify(this.#grant.id, { session: this.id, login, key })
    if (this.#over) throw this.#ending
    return certificate
  }

  count(direction: "up" | "down", bytes: number): void {
    this.#bytes[direction] += bytes
  }

  end(): void {
    this.#finish(undefined, {})
  }

  /** Ends the session now, whatever it is doing. Only the first cause counts. */
  cut(code: CutCode, detail: CutDetail = {}): void {
    this.#finish(this.#reason(code), detail)
  }

  /** The approval service made a newer revision of the grant. */
  update(grant: Grant, detail: CutDetail): void {
    if (grant.revision <= this.#grant.revision) return
    const moved = grant.ends_at !== this.#grant.ends_at
    this.#grant = grant
    if (grant.status === "spent") return void this.#finishSpent()
    if (grant.status !== "active") return this.cut(grant.status, detail)
    if (!moved) return
    this.#recorder.write({ kind: "extended", ends_at: grant.ends_at })
    this.#lease.renew(grant.ends_at)
  }

  /** The last use was taken: what has begun may finish, and then it is over. */
  async #finishSpent(): Promise<void> {
    if (this.#spent) return
    this.#spent = true
    const { opening, log } = this.#options
    await this.#decisions.spend()
    await opening.finished?.().catch((err: unknown) => log.warn({ err }, "could not wait for the last action"))
    this.cut("spent")
  }

  /** The approval service counts its revisions anew (a restored store): whatever comes next is newer. */
  otherHistory(): void {
    this.#grant = { ...this.#grant, revision: -1 }
  }

  get #ending(): GatewayError {
    return this.#controller.signal.reason as GatewayError
  }

  /** The dialer outlives the cut for what cancels, and for that alone. */
  async #unlessOver(make: () => Promise<Duplex>): Promise<Duplex> {
    if (this.#over) throw this.#ending
    const upstream = await make().catch((failure: unknown) => this.#fail(failure))
    if (!this.#over) return upstream
    upstream.destroy()
    throw this.#ending
  }

  async #dialToCancel(): Promise<Duplex> {
    const upstream = await this.#dialer.dial()
    this.#cancelling.add(upstream)
    return upstream
  }

  #reason(code: CutCode): GatewayError {
    return new GatewayError(code, {
      target: this.target.name,
      session: this.id,
      grant: this.#grant.id,
      at: this.#options.clock.now(),
      ask: this.#options.ask(this.target.name, this.identity.subject),
    })
  }

  #fail(failure: unknown): never {
    const error = GatewayError.from(failure, "target_unreachable").with({ session: this.id })
    this.#options.log.warn({ err: error, code: error.code }, "the target failed")
    throw error
  }

  #warn(left_ms: number): void {
    const ends_at = this.#grant.ends_at
    const time = new Date(ends_at).toISOString().slice(11, 19)
    this.#recorder.write({ kind: "warning", left_ms })
    const say = `sluice: your access to ${this.target.name} ends in ${formatDuration(left_ms)} (${time} UTC). Extend: ${this.#options.extend(this.#grant.id, this.identity.subject)}`
    try {
      this.#options.opening.warn?.({ left_ms, ends_at, say })
    } catch (err) {
      this.#options.log.warn({ err }, "could not warn of the end")
    }
  }

  #finish(reason: GatewayError | undefined, detail: CutDetail): void {
    if (this.#over) return
    this.#over = true
    const began = performance.now()
    this.#lease.end()
    this.#controller.abort(reason ?? new GatewayError("target_broke", { session: this.id }))
    this.#dialer.destroyUnsent()
    if (reason) this.#recorder.write({ kind: "cut", code: reason.code, ...detail })
    // Both begin in the breath of the abort: a protocol that sees its relay stop must find its last words already said.
    const { opening, log } = this.#options
    const failed = (words: string) => (err: unknown) => log.warn({ err }, words)
    const cancelled = boundedBy(limits.cancel_ms_max, async () => opening.cancel?.(() => this.#dialToCancel())).catch(
      failed("could not cancel upstream"),
    )
    const said = reason
      ? boundedBy(limits.farewell_ms_max, async () => opening.farewell(reason)).catch(failed("could not say goodbye"))
      : Promise.resolve()
    void this.#close({ reason, detail, began, cancelled, said })
  }

  async #close({ reason, detail, began, cancelled, said }: Closing): Promise<void> {
    const { opening, log } = this.#options
    await said
    try {
      opening.client.destroy()
    } catch (err) {
      log.warn({ err }, "could not close the client")
    }
    if (reason) metrics.cut(performance.now() - began)
    await cancelled
    // The bookkeeping of this session can wait until every other that ends now has let its client go.
    await nextTurn()
    if (reason) log.info({ code: reason.code, ...detail }, "session cut")
    this.#dialer.close(reason ?? new GatewayError("target_broke", { session: this.id }))
    const why = reason?.code ?? "closed"
    for (const direction of ["up", "down"] as const) metrics.forwarded(this.target.protocol, direction, this.#bytes[direction])
    this.#span.setAttribute("sluice.end", why).end()
    await this.#recorder.close({ kind: "end", code: why, bytes_up: this.#bytes.up, bytes_down: this.#bytes.down })
    this.#options.onEnded(this, why)
    this.#settle()
  }
}

/** The brand is only ever given here, to a session that has been opened with a grant that covers it. */
export function asSession(session: LiveSession): Session {
  assert(session.grant.subject === session.identity.subject && session.grant.target === session.target.name)
  return session as unknown as Session
}
