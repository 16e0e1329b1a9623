// What was committed, by whichever service, told to the listeners here: every event once, in the order of the log. PostgreSQL's
// NOTIFY says that there is something; what it is comes from the log, read on from the last event that was told. So a word that
// is lost, or a connection, delays and never hides. It owns the connection that listens.
import type { Client } from "pg"
import { type Clock, type Timer } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import type { EventRecord } from "../store.ts"

export interface TailOptions {
  /** The sequence of the last event that needs no telling. */
  readonly seen: number
  read(after: number, limit: number): Promise<readonly EventRecord[]>
  connect(): Promise<Client>
  /** The name that commits are notified under. */
  readonly channel: string
  /** What this service's own words end with: what it has committed it tells by itself. */
  readonly service: string
  readonly clock: Clock
  readonly log: Log
}

type Listener = (events: readonly EventRecord[]) => void

export class CommitTail {
  readonly #options: TailOptions
  readonly #listeners = new Set<Listener>()
  #seen: number
  #reading: Promise<void> | undefined
  #again = false
  #client: Client | undefined
  #timer: Timer | undefined
  #attempts = 0
  #closed = false

  constructor(options: TailOptions) {
    this.#options = options
    this.#seen = options.seen
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Rejects when the database cannot be listened to; later losses are repaired here. */
  async start(): Promise<void> {
    await this.#connect()
    this.#poll()
  }

  /** What this service has just committed: told at once, unless something before it has not been. */
  committed(events: readonly EventRecord[]): void {
    if (events.length === 0) return
    if (!this.#reading && events[0]?.sequence === this.#seen + 1) this.#tell(events)
    else this.look()
  }

  /** Reads on from the last event that was told: something may have been committed. */
  look(): void {
    this.#again = true
    this.#reading ??= this.#read()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#client?.end().catch(() => {})
    await this.#reading
  }

  async #connect(): Promise<void> {
    const client = await this.#options.connect()
    client.on("notification", ({ payload }) => void (payload?.endsWith(` ${this.#options.service}`) || this.look()))
    client.once("end", () => this.#lost(client))
    this.#client = client
    await client.query(`listen ${client.escapeIdentifier(this.#options.channel)}`)
    if (this.#closed) await client.end()
    this.#attempts = 0
    this.look() // what was committed while nobody listened
  }

  #lost(client: Client): void {
    if (this.#client !== client || this.#closed) return
    this.#client = undefined
    const { clock, log } = this.#options
    log.warn({}, "lost the store's notifications; connecting again")
    this.#timer?.cancel()
    this.#timer = clock.after(Math.min(100 * 2 ** this.#attempts++, limits.feed_retry_ms_max), () => void this.#reconnect())
  }

  async #reconnect(): Promise<void> {
    try {
      await this.#connect()
      this.#options.log.info({}, "the store's notifications are back")
    } catch (err) {
      if (this.#closed) return
      this.#options.log.debug({ err }, "the store's notifications are still lost")
      const client = this.#client
      if (client) void client.end().catch(() => {})
      this.#client = undefined
      this.#timer = this.#options.clock.after(Math.min(100 * 2 ** this.#attempts++, limits.feed_retry_ms_max), () => void this.#reconnect())
      return
    }
    this.#poll()
  }

  /** In case a word got lost, and to notice a connection that is dead without saying so. */
  #poll(): void {
    if (this.#closed) return
    this.#timer?.cancel()
    this.#timer = this.#options.clock.after(limits.heartbeat_ms, () => {
      const client = this.#client
      if (!client) return
      this.look()
      client.query("select 1").then(
        () => this.#poll(),
        () => void client.end().catch(() => {}), // then `end` comes, and with it `#lost`
      )
    })
  }

  async #read(): Promise<void> {
    await Promise.resolve() // so that `#reading` is set before it can be cleared
    while (this.#again && !this.#closed) {
      this.#again = false
      try {
        const events = await this.#options.read(this.#seen, limits.feed_lines_max)
        this.#tell(events)
        if (events.length === limits.feed_lines_max) this.#again = true
      } catch (err) {
        this.#options.log.debug({ err }, "the store's log cannot be read now") // the next word, or the next look, tries again
      }
    }
    this.#reading = undefined // in the same breath as the last look at `#again`: no word falls between
  }

  #tell(events: readonly EventRecord[]): void {
    const last = events.at(-1)
    if (!last) return
    this.#seen = last.sequence
    for (const listener of this.#listeners) listener(events)
  }
}
