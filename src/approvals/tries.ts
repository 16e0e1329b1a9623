// How often somebody may try something that can be guessed or piled up, within a while. In memory, so each service counts for itself.
import { LRUCache } from "lru-cache"
import type { Clock, Millis } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"

export class Tries {
  readonly #clock: Clock
  readonly #max: number
  readonly #made = new LRUCache<string, { since: Millis; count: number }>({ max: limits.tries_remembered_max })

  constructor(clock: Clock, max: number) {
    this.#clock = clock
    this.#max = max
  }

  /** Throws `too_many` when `who` has used up what there is. */
  check(who: string): void {
    if (this.#of(who).count >= this.#max) throw new GatewayError("too_many", { what: "too many tries; wait ten minutes" })
  }

  count(who: string): void {
    this.#of(who).count++
  }

  #of(who: string): { since: Millis; count: number } {
    const now = this.#clock.now()
    const known = this.#made.get(who)
    if (known && now - known.since < limits.tries_ms) return known
    const fresh = { since: now, count: 0 }
    this.#made.set(who, fresh)
    return fresh
  }
}
