// Those who stand at a gate without a grant and ask from there: what they write is filed, and they wait for what becomes of it. It
// owns the waiting, bounded in number and time, and every way in which that ends. What may be asked and who decides is the approval
// service's; what opens a target is the gate's.
import { LRUCache } from "lru-cache"
import type { Offer } from "../api/asking_schema.ts"
import type { FeedLine } from "../api/feed_schema.ts"
import { type RequestView, words as plainWords } from "../api/schema.ts"
import type { Clock, Timer } from "../core/clock.ts"
import { formatDuration } from "../core/duration.ts"
import { type ErrorCode, GatewayError } from "../core/errors.ts"
import type { Grant } from "../core/grant.ts"
import { newWaiterId, type RequestId } from "../core/ids.ts"
import { limits } from "../core/limits.ts"
import type { ProtocolName } from "../core/target.ts"
import { visible } from "../core/visible.ts"
import type { AskingService, Waiting } from "./control_plane/asking_service.ts"
import type { Asking, AskWords } from "./contract.ts"

export interface WaitingRoomOptions {
  readonly service: AskingService
  readonly clock: Clock
  /** Where people look at a request. */
  link(request: RequestId): string
  /** A line to paste that takes it back. */
  withdraw(request: RequestId, reader: string): string
}

export interface Visit extends Asking {
  readonly offer: Offer
  readonly wait_ms: number
  readonly client: string
  readonly protocol: ProtocolName
  /** What they are told when they would rather not. */
  readonly refusal: GatewayError
  /** Whether something opens the target now. Throws `stale` when that cannot be said. */
  opens(): Promise<boolean>
  /** A grant that came with the answer: known from then on, whatever the feed's delay. */
  onGrant(grant: Grant): void
}

type Settled = Extract<FeedLine, { kind: "request" }>

export class WaitingRoom {
  readonly #options: WaitingRoomOptions
  readonly #waits = new Set<Wait>()
  readonly #ofSubject = new Map<string, number>()
  /** A decision may be heard of before the answer that says which request it is about. */
  readonly #settled = new LRUCache<number, Settled>({ max: limits.ask_settled_max })
  #inside = 0
  #closed = false

  constructor(options: WaitingRoomOptions) {
    this.#options = options
  }

  /** How many are inside, writing or waiting. */
  get count(): number {
    return this.#inside
  }

  /** As `Gate.ask`. */
  async visit(visit: Visit): Promise<void> {
    const leave = this.#enter(visit.identity.subject)
    try {
      await this.#askAndWait(visit)
    } finally {
      leave()
    }
  }

  /** From the feed. */
  onSettled(line: Settled): void {
    this.#settled.set(line.request, line)
    for (const wait of this.#waits) if (wait.request === line.request) wait.settle(line)
  }

  onGrant({ subject, target }: Grant): void {
    for (const wait of this.#waits) if (wait.subject === subject && wait.target === target) wait.look()
  }

  /** What they wait for may not be there any more. */
  otherHistory(): void {
    this.#settled.clear()
    for (const wait of this.#waits) wait.fail(new GatewayError("stale"))
  }

  /** Nobody waits any longer; what they asked stays, and is found again when they come back. Answers whether somebody did. */
  close(): boolean {
    const waited = this.#inside > 0
    this.#closed = true
    for (const wait of this.#waits) wait.fail(new GatewayError("shutdown"))
    return waited
  }

  #enter(subject: string): () => void {
    if (this.#closed) throw new GatewayError("shutdown")
    const own = this.#ofSubject.get(subject) ?? 0
    if (this.#inside >= limits.asking_max || own >= limits.asking_per_subject_max) throw new GatewayError("busy")
    this.#inside++
    this.#ofSubject.set(subject, own + 1)
    return () => {
      this.#inside--
      const left = (this.#ofSubject.get(subject) ?? 1) - 1
      if (left > 0) this.#ofSubject.set(subject, left)
      else this.#ofSubject.delete(subject)
    }
  }

  async #askAndWait(visit: Visit): Promise<void> {
    const { service, clock, link } = this.#options
    const { identity, client, signal, wait_ms } = visit
    const waiting: Waiting = { waiter: newWaiterId(), identity, client }
    const view = await this.#file(visit, waiting)
    if (view.grant && view.status === "approved") visit.onGrant(view.grant)
    const wait = new Wait(visit, view, clock)
    this.#waits.add(wait)
    // From here on nothing is missed; what came before is looked for.
    const timer = clock.after(wait_ms, () => wait.fail(this.#tooLate(view.id, visit)))
    const onLeft = (): void => wait.fail(left())
    signal.addEventListener("abort", onLeft, { once: true })
    try {
      const known = this.#settled.get(view.id)
      if (signal.aborted) onLeft()
      else if (this.#closed) wait.fail(new GatewayError("shutdown"))
      else if (known) wait.settle(known)
      else wait.look()
      if (view.status === "pending") visit.told({ request: view.id, link: link(view.id), say: saying(view) })
      await wait.over
    } finally {
      timer.cancel()
      signal.removeEventListener("abort", onLeft)
      this.#waits.delete(wait)
      if (wait.pending && (signal.aborted || wait.opened)) void service.leave(view.id, waiting)
    }
  }

  async #file(visit: Visit, waiting: Waiting): Promise<RequestView> {
    const { service, clock } = this.#options
    const { offer, target, as, protocol, wait_ms } = visit
    const usual_ms = Math.min(limits.ask_duration_ms, offer.max_ms)
    const silent = offer.at_once
    let problem: GatewayError | undefined
    for (let tries = 0; tries < limits.ask_tries_max; tries++) {
      const said = silent ? { reason: "", duration_ms: undefined } : await this.#words(visit, problem?.message)
      if (visit.signal.aborted) throw left()
      if (!said) throw visit.refusal
      const reason = plainWords.safeParse(said.reason)
      if (!reason.success) {
        problem = new GatewayError("invalid", { what: `a reason is plain words, ${limits.reason_chars_max} characters at most` })
        continue
      }
      const duration_ms = said.duration_ms ?? usual_ms
      const until = clock.now() + wait_ms
      try {
        return await service.ask({ ...waiting, protocol, target, as, until, duration_ms, reason: reason.data })
      } catch (failure) {
        const error = GatewayError.from(failure, "stale")
        if (error.code === "not_askable" || error.code === "login_needed" || error.code === "not_found") throw visit.refusal
        if (silent || !mendable.has(error.code)) throw error
        problem = error
      }
    }
    throw problem ?? visit.refusal
  }

  /** A person writes, and not for ever. */
  async #words({ offer, words, signal }: Visit, problem: string | undefined): Promise<AskWords | undefined> {
    if (signal.aborted) throw left()
    const { promise: bound, reject } = Promise.withResolvers<never>()
    const timer = this.#options.clock.after(limits.ask_answer_ms_max, () => reject(new GatewayError("handshake_timeout")))
    const onLeft = (): void => reject(left())
    signal.addEventListener("abort", onLeft, { once: true })
    try {
      return await Promise.race([bound, words(offer, problem)])
    } finally {
      timer.cancel()
      signal.removeEventListener("abort", onLeft)
    }
  }

  #tooLate(request: RequestId, { wait_ms, identity }: Pick<Visit, "wait_ms" | "identity">): GatewayError {
    const what = `nobody has decided about request ${request} in ${formatDuration(wait_ms)}. It still can be: connect again then, or take it back: ${this.#options.withdraw(request, identity.subject)}`
    return new GatewayError("not_given", { what })
  }
}

/** One who waits. */
class Wait {
  readonly request: RequestId
  readonly over: Promise<void>
  /** Whether nobody has decided about the request, as far as is known. */
  pending: boolean
  /** Whether something opens the target. */
  opened = false
  readonly #visit: Visit
  readonly #clock: Clock
  readonly #resolve: () => void
  readonly #reject: (why: GatewayError) => void
  #again: Timer | undefined
  #done = false

  constructor(visit: Visit, { id, status }: RequestView, clock: Clock) {
    this.#visit = visit
    this.request = id
    this.pending = status === "pending"
    this.#clock = clock
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.over = promise
    this.over.catch(() => {}) // it may end before anybody listens
    this.#resolve = resolve
    this.#reject = reject
  }

  get subject(): string {
    return this.#visit.identity.subject
  }

  get target(): string {
    return this.#visit.target
  }

  settle(line: Settled): void {
    this.pending = false
    if (line.status === "approved") return this.look()
    this.fail(refusalOf(line))
  }

  /** A grant may have come. While that cannot be said (the feed is catching up), it is looked for again. */
  look(): void {
    if (this.#done) return
    this.#again?.cancel()
    this.#again = undefined
    this.#visit.opens().then(
      (opens) => {
        if (!opens || this.#done) return
        this.opened = true
        this.#end()
        this.#resolve()
      },
      (failure: unknown) => {
        const error = GatewayError.from(failure, "stale")
        if (error.code !== "stale") return this.fail(error)
        if (!this.#done) this.#again ??= this.#clock.after(limits.heartbeat_ms, () => this.look())
      },
    )
  }

  fail(why: GatewayError): void {
    if (this.#done) return
    this.#end()
    this.#reject(why)
  }

  #end(): void {
    this.#done = true
    this.#again?.cancel()
  }
}

/** What other words could make good. */
const mendable: ReadonlySet<ErrorCode> = new Set(["invalid", "too_long", "already_asked"])

const left = (): GatewayError => new GatewayError("not_given", { what: "the client left" })

function refusalOf({ request, status, by, reason }: Settled): GatewayError {
  const words = reason === "" ? "no reason given" : visible(reason)
  const what = {
    approved: "",
    denied: `request ${request} was denied by ${visible(by)}: ${words}`,
    withdrawn: `request ${request} was taken back`,
    lapsed: `nobody decided about request ${request} in time`,
  }[status]
  return new GatewayError("not_given", { what })
}

/** What the one who asked is told. */
function saying({ id, target, as, duration_ms, steps, order }: RequestView): string {
  const open = steps.filter(({ count, approved_by }) => approved_by.length < count)
  const who = open.map(({ by, count, approved_by }) => {
    const left_count = count - approved_by.length
    return `${left_count === 1 ? "" : `${left_count} of `}${visible(by.join(" or "))}`
  })
  const needed = who.length === 0 ? "" : ` To be approved by ${who.join(order === "sequence" ? ", then " : " and ")}.`
  const account = as === null ? "" : ` as ${visible(as.join(", "))}`
  return `Request ${id} for ${visible(target)}${account}, ${formatDuration(duration_ms)}.${needed}`
}
