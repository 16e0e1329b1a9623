// Tells the approval service which sessions started and ended, in order and until it is heard; and all of those that are live, at the
// start and when the service does not know them any more. Nothing waits for it: a session whose report is late is on record all the same.
import type { ApiClient } from "../../api/client.ts"
import type { SessionReport } from "../../api/schema.ts"
import type { Clock, Timer } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import type { Siblings } from "../siblings.ts"

const batch_max = 500

type Started = Extract<SessionReport, { event: "started" }>

export interface ReporterOptions {
  /** The gateway's name. */
  readonly gateway: string
  readonly siblings: Siblings
  readonly api: ApiClient
  readonly clock: Clock
  readonly log: Log
}

export class Reporter {
  readonly #options: ReporterOptions
  /** The name its sessions are listed under: of several processes, each has its own. */
  readonly gateway: string
  #queue: SessionReport[] = []
  #dropped = 0
  #sending: Promise<void> | undefined
  #retry: Timer | undefined
  /** Runs from one call's answer to the next call. Of this process, not of the clock: nothing that ends depends on it. */
  #pause: NodeJS.Timeout | undefined
  #attempts = 0
  #live: () => readonly Started[] = () => []
  /** Whether the service must hear which sessions are live: at first, so that what an earlier run left open is interrupted. */
  #announcing = false

  constructor(options: ReporterOptions) {
    this.#options = options
    const { gateway, siblings } = options
    this.gateway = siblings.count === 1 ? gateway : `${gateway}/${siblings.index}`
  }

  /** `live`: reports of the sessions that are live when it is asked. */
  start(live: () => readonly Started[]): void {
    this.#live = live
    this.announce()
  }

  /** All live sessions anew: the service has forgotten, or given up on, what it was told. */
  announce(): void {
    this.#announcing = true
    this.#send()
  }

  push(report: SessionReport): void {
    if (this.#queue.length >= limits.session_reports_max) {
      this.#dropped++
      this.#announcing = true // what is missing then comes out
      return
    }
    this.#queue.push(report)
    this.#send()
  }

  /** Settles when everything was sent, or could not be. */
  async flush(): Promise<void> {
    this.#retry?.cancel()
    this.#retry = undefined
    this.#goOn()
    await this.#sending
  }

  #send(): void {
    if (this.#sending || this.#retry || this.#pause || (!this.#announcing && this.#queue.length === 0)) return
    this.#sending = this.#sendAll().finally(() => {
      this.#sending = undefined
      this.#pause = setTimeout(() => this.#goOn(), limits.session_reports_pause_ms).unref()
    })
  }

  /** Sends what came meanwhile. */
  #goOn(): void {
    clearTimeout(this.#pause)
    this.#pause = undefined
    this.#send()
  }

  async #sendAll(): Promise<void> {
    const { clock, log } = this.#options
    try {
      await this.#sendQueue()
      while (this.#announcing) {
        this.#announcing = false
        await this.#sendLive().catch((failure: unknown) => {
          this.#announcing = true
          throw failure
        })
      }
    } catch (err) {
      log.warn({ err, waiting: this.#queue.length, dropped: this.#dropped }, "could not report sessions; trying again")
      const delay_ms = Math.min(100 * 2 ** this.#attempts++, limits.feed_retry_ms_max)
      this.#retry = clock.after(delay_ms, () => {
        this.#retry = undefined
        this.#send()
      })
    }
  }

  async #sendQueue(): Promise<void> {
    const { gateway } = this
    while (this.#queue.length > 0) {
      const reports = this.#queue.slice(0, batch_max)
      await this.#options.api.call("report", { body: { gateway, reports } })
      this.#queue.splice(0, reports.length)
      this.#attempts = 0
    }
  }

  /** What ends or starts meanwhile waits in the queue, so that the service hears it after this. */
  async #sendLive(): Promise<void> {
    const { api, siblings } = this.#options
    const { gateway } = this
    const all = this.#live()
    for (let at = 0; at < all.length; at += batch_max)
      await api.call("report", { body: { gateway, reports: all.slice(at, at + batch_max) } })
    await this.#sendQueue()
    // Nothing waits: these are all there are, and what else the service believes to be live is over.
    const live = this.#live().map(({ session }) => session.id)
    // The first of several also speaks for those that there were in an earlier run and are not any more.
    const workers = siblings.index === 0 ? { workers: siblings.count } : {}
    if (live.length <= limits.announced_sessions_max) await api.call("report", { body: { gateway, live, ...workers, reports: [] } })
    this.#attempts = 0
    await this.#sendQueue()
  }
}
