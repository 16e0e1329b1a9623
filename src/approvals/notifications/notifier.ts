// Turns the audit log into deliveries, and sees each of them delivered or given up. It owns the when: what is due, who sends it, how
// often it is tried. Every channel has its own few sends at once, so one that is slow delays nobody else. Several services may do
// this on one store: a delivery is claimed for a time, and one that died while sending leaves it to the others.
import type { Channel } from "../../config/config.ts"
import type { CurrentConfig } from "../../config/current_config.ts"
import type { Clock, Timer } from "../../core/clock.ts"
import { newNotificationId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import { note } from "../journal.ts"
import type { People } from "../people/people.ts"
import type { Change, EventRecord, Reader, Store } from "../store.ts"
import type { Notice } from "./notice.ts"
import type { Delivery } from "./outbox.ts"
import type { Sent } from "./post.ts"
import { hears, recipientsOf } from "./recipients.ts"
import { Sender } from "./sender.ts"

export interface NotifierOptions {
  readonly current: CurrentConfig
  readonly store: Store
  readonly people: Pick<People, "list">
  readonly clock: Clock
  readonly log: Log
  /** A factor around 1 for each wait, so that many that failed together do not come back together. */
  readonly jitter?: () => number
}

export class Notifier {
  readonly #options: NotifierOptions
  readonly #sender: Sender
  readonly #sending = new Map<string, Set<Promise<void>>>()
  readonly #unsubscribe: () => void
  readonly #stop = new AbortController()
  readonly #begun = Promise.withResolvers<void>()
  #timer: Timer | undefined
  #round: Promise<void> | undefined
  #woken = false
  /** Every event up to this one was looked at. */
  #through: number | undefined

  constructor(options: NotifierOptions) {
    this.#options = options
    this.#sender = new Sender(options)
    this.#unsubscribe = options.store.onCommit((events) => void (events.some((event) => this.#isHeard(event)) && this.#wake()))
    if (this.#channels.length > 0) this.#wake()
    else this.#begun.resolve()
  }

  /** Settles when it is known what is past: whatever happens from then on is told. */
  get begun(): Promise<void> {
    return this.#begun.promise
  }

  /** The channels may be others now. */
  reloaded(): void {
    if (this.#channels.length > 0) this.#wake()
  }

  get #channels(): readonly Channel[] {
    return this.#options.current().notify
  }

  /** What is being sent is stopped; it stays in the store and is tried again by whoever is next. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.#unsubscribe()
    this.#timer?.cancel()
    this.#sender.stop()
    await this.#round
    await Promise.all([...this.#sending.values()].flatMap((sends) => [...sends]))
    await this.#sender.close()
  }

  #wake(): void {
    this.#woken = true
    if (this.#stop.signal.aborted) return
    this.#round ??= this.#rounds().finally(() => {
      this.#round = undefined
      if (this.#woken) this.#wake()
    })
  }

  async #rounds(): Promise<void> {
    const { clock, log, store } = this.#options
    this.#timer?.cancel()
    let next_at = clock.now() + limits.notification_sweep_ms
    while (this.#woken && !this.#stop.signal.aborted) {
      this.#woken = false // before looking: what comes from here on wakes it again
      try {
        await this.#spread()
        const channels = this.#channels
        for (const channel of channels) await this.#start(channel)
        const free = channels.filter(({ name }) => this.#free(name) > 0).map(({ name }) => name)
        next_at = Math.min(clock.now() + limits.notification_sweep_ms, (await store.nextDelivery(free)) ?? Infinity)
      } catch (err) {
        log.warn({ err }, "notifications have to wait: the store cannot be used")
        next_at = clock.now() + limits.notification_sweep_ms
      }
    }
    this.#begun.resolve() // or the store cannot be used, and then nothing happens
    if (!this.#stop.signal.aborted) this.#timer = clock.after(Math.max(0, next_at - clock.now()), () => this.#wake())
  }

  #isHeard({ kind }: EventRecord): boolean {
    return this.#channels.some((channel) => hears(channel, kind))
  }

  /** From the log to deliveries: all of a batch and how far it went, in one change. */
  async #spread(): Promise<void> {
    const { store } = this.#options
    this.#through ??= (await store.outboxThrough()) ?? (await this.#begin())
    for (;;) {
      const events = await store.events(this.#through, limits.notification_events_max)
      const last = events.at(-1)
      if (!last) return
      const lag = last.sequence - ((await store.outboxThrough()) ?? 0)
      if (events.some((event) => this.#isHeard(event)) || lag > limits.notification_lag_max) {
        const from = this.#through
        await store.change((change) => this.#deliver(change, events, from))
      }
      this.#through = last.sequence
      if (events.length < limits.notification_events_max) return
    }
  }

  /** Whoever is told for the first time is not told of the past. */
  #begin(): Promise<number> {
    return this.#options.store.change(async (change) => {
      const known = await change.outboxThrough()
      if (known !== undefined) return known
      const present = (await change.nextSequence()) - 1
      await change.setOutboxThrough(present)
      return present
    })
  }

  async #deliver(change: Change, events: readonly EventRecord[], from: number): Promise<void> {
    const { people, clock, log } = this.#options
    const now = clock.now()
    const everybody = await people.list()
    const channels = this.#channels
    // Another service may have been quicker.
    const through = Math.max(from, (await change.outboxThrough()) ?? 0)
    const room = new Map<string, number>()
    for (const { name } of channels) room.set(name, limits.notification_waiting_max - (await change.waitingDeliveries(name)))
    for (const event of events) {
      const give_up_at = event.at + limits.notification_ms_max
      if (event.sequence <= through || now >= give_up_at || !this.#isHeard(event)) continue
      const notice = await noticeOf(change, event)
      for (const channel of channels.filter((one) => hears(one, event.kind))) {
        for (const recipient of recipientsOf(channel, notice, everybody)) {
          const left = room.get(channel.name) ?? 0
          room.set(channel.name, left - 1)
          const { sequence } = event
          if (left > 0)
            await change.addDelivery({ id: newNotificationId(), channel: channel.name, recipient, sequence, next_at: now, give_up_at })
          else log.error({ channel: channel.name, sequence }, "a notification is not sent: too many wait for this channel already")
        }
      }
    }
    await change.setOutboxThrough(Math.max(through, events.at(-1)?.sequence ?? 0))
    await change.removeDeliveriesOver(now - limits.notification_ms_max)
  }

  #free(channel: string): number {
    return limits.notification_sends_max - (this.#sending.get(channel)?.size ?? 0)
  }

  /** Takes as much as may be sent at once, and does not wait for it. */
  async #start(channel: Channel): Promise<void> {
    const { store, clock } = this.#options
    const limit = this.#free(channel.name)
    const now = clock.now()
    const due = await store.nextDelivery([channel.name])
    if (limit === 0 || due === undefined || due > now) return
    const until = now + limits.notification_claim_ms
    const claimed = await store.change((change) => change.claimDeliveries({ channel: channel.name, now, until, limit }))
    const sends = this.#sending.get(channel.name) ?? new Set()
    this.#sending.set(channel.name, sends)
    for (const delivery of claimed) {
      const send = this.#send(channel, delivery)
      sends.add(send)
      void send.finally(() => {
        sends.delete(send)
        if (sends.size === 0 && this.#sending.get(channel.name) === sends) this.#sending.delete(channel.name)
        this.#wake()
      })
    }
  }

  async #send(channel: Channel, delivery: Delivery): Promise<void> {
    const { store, clock, log } = this.#options
    const { id, sequence, attempts } = delivery
    const about = { channel: channel.name, notification: id, sequence, attempts }
    try {
      const sent = await this.#attempt(channel, delivery)
      if (this.#stop.signal.aborted && !sent.done) return
      if (sent.done) {
        await store.change((change) => change.removeDelivery(id))
        log.info(about, "a notification was delivered")
        return
      }
      const next_at =
        clock.now() + Math.round(Math.max(this.#backOff(attempts), Math.min(sent.retry_ms ?? 0, limits.notification_retry_ms_max)))
      if (sent.never || next_at >= delivery.give_up_at) {
        await store.change((change) => giveUp(change, { channel, delivery, why: sent.why, now: clock.now() }))
        log.error({ ...about, why: sent.why }, "a notification was given up")
        return
      }
      await store.change((change) => change.retryDelivery(delivery, next_at))
      log.warn({ ...about, why: sent.why, next_at }, "a notification could not be delivered; it is tried again")
    } catch (err) {
      // The claim ends by itself, and then it is tried again.
      log.warn({ ...about, err }, "a notification has to wait: the store cannot be used")
    }
  }

  async #attempt(channel: Channel, delivery: Delivery): Promise<Sent> {
    const { store } = this.#options
    const [event] = await store.events(delivery.sequence - 1, 1)
    if (event?.sequence !== delivery.sequence) return { done: false, why: "its event is not there", never: true }
    return this.#sender.send(channel, { delivery, notice: await noticeOf(store, event) })
  }

  #backOff(attempts: number): number {
    const { jitter = () => 0.75 + Math.random() / 2 } = this.#options
    return Math.min(limits.notification_retry_ms_min * 2 ** (attempts - 1), limits.notification_retry_ms_max) * jitter()
  }
}

async function giveUp(
  change: Change,
  { channel, delivery, why, now }: { readonly channel: Channel; readonly delivery: Delivery; readonly why: string; readonly now: number },
): Promise<void> {
  await change.removeDelivery(delivery.id)
  const [event] = await change.events(delivery.sequence - 1, 1)
  const { id, attempts, recipient, sequence } = delivery
  await note(change, {
    at: now,
    kind: "notification.failed",
    actor: { actor: "policy", by: `notify.${channel.name}`, from: null },
    reason: why,
    request: event?.request ?? null,
    grant: event?.grant ?? null,
    session: event?.session ?? null,
    detail: { id, channel: channel.name, recipient, sequence, attempts },
  })
}

async function noticeOf(reader: Reader, event: EventRecord): Promise<Notice> {
  const session = event.session === null ? undefined : await reader.session(event.session)
  const grant = event.grant === null ? undefined : await reader.grant(event.grant)
  const id = event.request ?? grant?.request
  return { event, session, grant, request: id === undefined ? undefined : await reader.request(id) }
}
