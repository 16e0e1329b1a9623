// Long polls: who waits for which request to be settled. It owns the waiting, bounded in number and time; the answer is read
// again from the store by the one who waited.
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { RequestId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { EventKind, Store } from "../store.ts"

export interface Waiter {
  /** Settles when the request was settled, or an estimate of what it holds came, since `enter`, after `time_ms`, or when `signal` aborts. */
  settled(time_ms: number, signal: AbortSignal): Promise<void>
  /** Frees its place; must be called. */
  leave(): void
}

const settling: ReadonlySet<EventKind> = new Set([
  "request.approved",
  "request.denied",
  "request.withdrawn",
  "request.lapsed",
  "hold.estimated",
])

export class Waiters {
  readonly #clock: Clock
  readonly #waiting = new Map<RequestId, Set<() => void>>()
  readonly #ofSubject = new Map<string, number>()
  readonly #unsubscribe: () => void
  #count = 0

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#clock = clock
    this.#unsubscribe = store.onCommit((events) => {
      for (const { kind, request } of events) if (request !== null && settling.has(kind)) this.#wake(request)
    })
  }

  /** How many wait now. */
  get count(): number {
    return this.#count
  }

  /** Listens from this moment on: read the request after, so that no change falls between. Throws `too_many`. */
  enter(request: RequestId, subject: string): Waiter {
    const own = this.#ofSubject.get(subject) ?? 0
    if (this.#count >= limits.long_polls_max || own >= limits.long_polls_per_subject_max) throw new GatewayError("too_many")
    this.#count++
    this.#ofSubject.set(subject, own + 1)
    const { promise, resolve } = Promise.withResolvers<void>()
    const others = this.#waiting.get(request) ?? new Set()
    this.#waiting.set(request, others.add(resolve))
    return {
      settled: async (time_ms, signal) => {
        const timer = this.#clock.after(Math.min(time_ms, limits.long_poll_ms_max), resolve)
        const onAbort = (): void => resolve()
        signal.addEventListener("abort", onAbort, { once: true })
        if (signal.aborted) resolve()
        await promise
        timer.cancel()
        signal.removeEventListener("abort", onAbort)
      },
      leave: () => {
        if (others.delete(resolve)) this.#leave(request, subject, others)
      },
    }
  }

  close(): void {
    this.#unsubscribe()
    for (const request of this.#waiting.keys()) this.#wake(request)
  }

  #wake(request: RequestId): void {
    for (const resolve of this.#waiting.get(request) ?? []) resolve()
  }

  #leave(request: RequestId, subject: string, others: ReadonlySet<unknown>): void {
    if (others.size === 0 && this.#waiting.get(request) === others) this.#waiting.delete(request)
    this.#count--
    const own = (this.#ofSubject.get(subject) ?? 1) - 1
    if (own > 0) this.#ofSubject.set(subject, own)
    else this.#ofSubject.delete(subject)
  }
}
