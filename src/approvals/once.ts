// What may be shown once alone, remembered until it is over by itself. Of this service, since it was started: another one of the
// same store has not seen it. So it is for what no other takes; `shared_once.ts` is for the rest.
import type { Clock, Millis } from "../core/clock.ts"
import { limits } from "../core/limits.ts"

export class Once {
  readonly #clock: Clock
  /** In the order of arrival, and so nearly of their ends. */
  readonly #taken = new Map<string, Millis>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Throws, with words for the log, when `id` was taken before, or there is no room to remember it: it is not taken then. */
  take(id: string, until: Millis): void {
    const now = this.#clock.now()
    for (const [old, end] of this.#taken) {
      if (end >= now) break
      this.#taken.delete(old)
    }
    if (this.#taken.has(id)) throw new Error("it was shown before")
    if (this.#taken.size >= limits.gateway_assertions_max) throw new Error("too many were shown lately to remember another")
    this.#taken.set(id, until)
  }
}
