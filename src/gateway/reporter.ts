// Tells the approval service which sessions started and ended, in order and until it is heard. Nothing waits for it: a session
// whose report is late is on record all the same.
import type { ApiClient } from "../api/client.ts"
import type { SessionReport } from "../api/schema.ts"
import type { Clock, Timer } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import type { Log } from "../observe/log.ts"
import type { Siblings } from "./siblings.ts"

const batch_max = 500

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
  #attempts = 0
  /** Whether the service knows that this gateway has started anew: what it left open before is interrupted. */
  #begun = false

  constructor(options: ReporterOptions) {
    this.#options = options
    const { gateway, siblings } = options
    this.gateway = siblings.count === 1 ? gateway : `${gateway}/${siblings.index}`
  }

  start(): void {
    this.#send()
  }

  push(report: SessionReport): void {
    if (this.#queue.length >= limits.session_reports_max) {
      this.#dropped++
      return
    }
    this.#queue.push(report)
    this.#send()
  }

  /** Settles when everything was sent, or could not be. */
  async flush(): Promise<void> {
    this.#retry?.cancel()
    this.#retry = undefined
    this.#send()
    await this.#sending
  }

  #send(): void {
    if (this.#sending || this.#retry || (this.#begun && this.#queue.length === 0)) return
    this.#sending = this.#sendAll().finally(() => (this.#sending = undefined))
  }

  async #sendAll(): Promise<void> {
    const { api, siblings, clock, log } = this.#options
    const { gateway } = this
    try {
      // The first of several also speaks for those that there were in an earlier run and are not any more.
      const workers = siblings.index === 0 ? { workers: siblings.count } : {}
      if (!this.#begun) await api.call("report", { body: { gateway, live: [], ...workers, reports: [] } })
      this.#begun = true
      while (this.#queue.length > 0) {
        const reports = this.#queue.slice(0, batch_max)
        await api.call("report", { body: { gateway, reports } })
        this.#queue.splice(0, reports.length)
        this.#attempts = 0
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
}
