// The feed: every change of a grant and every kill, pushed to gateways in the order of the audit log, whose tail it is. Each
// subscriber reads the log from its own place, so one that joins while changes commit misses none and sees none twice; one that
// does not read is let go, and resumes from its sequence.
import type { Writable } from "node:stream"
import type { FeedLine } from "../api/feed_schema.ts"
import type { HoldStanding } from "../api/hold_schema.ts"
import type { GrantView, LoginStanding, PersonStanding } from "../api/schema.ts"
import type { Clock } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import type { ServiceId } from "../core/ids.ts"
import { limits } from "../core/limits.ts"
import type { Log } from "../observe/log.ts"
import { fed } from "./store/reads.ts"
import type { EventKind, EventRecord, Store } from "./store.ts"

export interface FeedOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** This start of this service: whose clock it is that lines are sent by. */
  readonly service: ServiceId
}

const pushed: ReadonlySet<EventKind> = new Set(fed)

export interface Following {
  /** The last sequence that was heard, and whose it is; undefined: from now on. */
  readonly after: number | undefined
  readonly history?: string | undefined
  /** Whether it may still follow; looked at before each line. */
  stands(): boolean
}

export class Feed {
  readonly #options: FeedOptions
  readonly #subscribers = new Set<Subscriber>()
  readonly #unsubscribe: () => void

  constructor(options: FeedOptions) {
    this.#options = options
    this.#unsubscribe = options.store.onCommit((events) => {
      if (events.some(({ kind }) => pushed.has(kind))) for (const subscriber of this.#subscribers) subscriber.wake()
    })
  }

  get subscribers(): number {
    return this.#subscribers.size
  }

  /** Throws `too_many`. */
  checkRoom(): void {
    if (this.#subscribers.size >= limits.feed_subscribers_max) throw new GatewayError("too_many")
  }

  /** Writes lines until `out` closes: those after what was heard already. Settles then; never rejects. */
  async serve(out: Writable, following: Following): Promise<void> {
    const subscriber = new Subscriber(out, this.#options)
    this.#subscribers.add(subscriber)
    try {
      await subscriber.run(following)
    } catch (err) {
      this.#options.log.error({ err }, "a feed broke off")
    } finally {
      this.#subscribers.delete(subscriber)
      out.destroy()
    }
  }

  close(): void {
    this.#unsubscribe()
    for (const subscriber of this.#subscribers) subscriber.stop()
  }
}

class Subscriber {
  readonly #out: Writable
  readonly #options: FeedOptions
  #wake: () => void = () => {}
  #woken = false
  #stopped = false

  constructor(out: Writable, options: FeedOptions) {
    this.#out = out
    this.#options = options
    out.once("close", () => this.stop()).on("error", () => this.stop())
  }

  wake(): void {
    this.#woken = true
    this.#wake()
  }

  stop(): void {
    this.#stopped = true
    this.wake()
  }

  async run({ after, history, stands }: Following): Promise<void> {
    const { store, clock, service } = this.#options
    const asked_at = clock.now()
    const present = await store.sequence()
    const told = await store.history()
    // It followed another history (a store that was restored), and sees so by `hello`. What it holds may be over in this one: it
    // hears all of it. Ahead of us without naming a history: it begins here.
    let through = history !== undefined && history !== told ? 0 : Math.min(after ?? present, present)
    let beat_at = clock.now()
    await this.#write([{ kind: "hello", sequence: present, history: told, at: asked_at, service }])
    while (!this.#stopped && stands()) {
      this.#woken = false // before reading: what commits from here on wakes it again
      const at = clock.now() // before reading: what a beat says is so at least since then
      const batch = await store.feed(through, limits.feed_lines_max)
      through = batch.through
      const lines = batch.events.map(lineOf)
      const caughtUp = lines.length < limits.feed_lines_max
      if (caughtUp && clock.now() >= beat_at) {
        lines.push({ kind: "beat", sequence: through, at })
        beat_at = clock.now() + limits.heartbeat_ms
      }
      await this.#write(lines)
      if (caughtUp) await this.#pause(beat_at - clock.now())
    }
  }

  /** Until woken, or `time_ms`. */
  async #pause(time_ms: number): Promise<void> {
    if (this.#woken || this.#stopped) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    const timer = this.#options.clock.after(Math.max(0, time_ms), resolve)
    await promise
    timer.cancel()
  }

  /** One batch at a time waits in memory; a reader that does not take it in time is let go. */
  async #write(lines: readonly FeedLine[]): Promise<void> {
    if (lines.length === 0 || this.#stopped) return
    if (this.#out.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(""))) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = this.#options.clock.after(limits.feed_drain_ms_max, () => {
      this.#options.log.warn({ waiting: this.#out.writableLength }, "a feed's subscriber does not read; let go")
      this.stop()
      resolve()
    })
    this.#out.once("drain", resolve).once("close", resolve)
    await promise
    timer.cancel()
    this.#out.off("drain", resolve).off("close", resolve)
  }
}

const settled = {
  "request.approved": "approved",
  "request.denied": "denied",
  "request.withdrawn": "withdrawn",
  "request.lapsed": "lapsed",
} as const
const isSettled = (kind: EventKind): kind is keyof typeof settled => Object.hasOwn(settled, kind)

function lineOf({ kind, sequence, detail, session, request, by, reason }: EventRecord): FeedLine {
  if (isSettled(kind) && request !== null) return { kind: "request", sequence, request, status: settled[kind], by, reason }
  if (kind === "session.killed" && session) return { kind: "kill", sequence, session, by, reason }
  if (kind === "hold.settled") return { kind: "hold", sequence, hold: detail as Omit<HoldStanding, "url"> }
  if (kind === "hold.estimate_asked" && request !== null) return { kind: "estimate", sequence, request, by }
  if (kind === "login.ended") return { kind: "login", sequence, login: detail as LoginStanding }
  if (kind.startsWith("person.")) return { kind: "person", sequence, person: detail as PersonStanding }
  // The grant as that change left it, not as it is by now: a resumed feed tells the same story.
  return { kind: "grant", sequence, grant: detail as GrantView }
}
