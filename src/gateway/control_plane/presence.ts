// Tells the approval service that this process is there, now and then, and at the end that it goes. The answer says what the service
// lacks; how long the way took says how the service's clock stands to ours. Nothing waits for it.
import type { ApiClient } from "../../api/client.ts"
import type { PresenceAnswer } from "../../api/schema.ts"
import type { Clock, Millis, Timer } from "../../core/clock.ts"
import { newInstanceId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import { version } from "../../observe/version.ts"
import type { Siblings } from "../siblings.ts"

export interface PresenceOptions {
  /** The name its sessions are listed under. */
  readonly gateway: string
  readonly siblings: Siblings
  readonly api: ApiClient
  readonly clock: Clock
  readonly log: Log
  /** The service answered what was asked at `asked_at`. */
  onAnswer(answer: Pick<PresenceAnswer, "service" | "at"> & { readonly asked_at: Millis }): void
  /** The service does not know what this gateway holds. */
  onForgotten(): void
}

export class Presence {
  readonly #options: PresenceOptions
  readonly #instance = newInstanceId()
  readonly #started_at: Millis
  #listening: Readonly<Record<string, string>> = {}
  #timer: Timer | undefined
  #telling: Promise<void> | undefined
  #begun = false
  #closed = false
  #superseded = false

  constructor(options: PresenceOptions) {
    this.#options = options
    this.#started_at = options.clock.now()
  }

  /** `listening`: addresses, by protocol. */
  start(listening: Readonly<Record<string, string>>): void {
    this.#listening = listening
    this.#begun = true
    this.tell()
  }

  /** At once: the service is there again. */
  tell(): void {
    if (!this.#begun || this.#closed || this.#telling) return
    this.#timer?.cancel()
    this.#telling = this.#tell().finally(() => {
      this.#telling = undefined
      if (!this.#closed) this.#timer = this.#options.clock.after(limits.gateway_word_ms, () => this.tell())
    })
  }

  /** Says that it goes. Settles when that was heard, or could not be. */
  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#telling
    if (!this.#begun || this.#superseded) return
    await this.#options.api
      .call("presence", { body: { ...this.#word(), leaving: true } })
      .catch((err: unknown) => this.#options.log.debug({ err }, "could not tell the approval service that this gateway goes"))
  }

  #word() {
    return { gateway: this.#options.gateway, instance: this.#instance, version, started_at: this.#started_at, listening: this.#listening }
  }

  async #tell(): Promise<void> {
    const { api, siblings, clock, log, onAnswer, onForgotten } = this.#options
    // The first of several also speaks for those that there were in an earlier run and are not any more.
    const workers = siblings.index === 0 ? { workers: siblings.count } : {}
    const asked_at = clock.now()
    try {
      const { announce, superseded, ...answer } = await api.call("presence", { body: { ...this.#word(), ...workers } })
      onAnswer({ ...answer, asked_at })
      if (superseded && !this.#superseded)
        log.error({ name: this.#options.gateway }, "another gateway has this name: give each a `gateway.name` of its own")
      this.#superseded = superseded
      if (announce) onForgotten()
    } catch (err) {
      log.debug({ err }, "could not tell the approval service that this gateway is there; trying again")
    }
  }
}
