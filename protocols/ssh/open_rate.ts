// How often one client may ask for a connection to somewhere: each costs a line on record and a socket of a target's.
import type { Clock } from "../../src/core/clock.ts"
import { limits } from "../../src/core/limits.ts"

export class OpenRate {
  readonly #clock: Clock
  #second = 0
  #spent = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** "first": too many in this second, and nobody was told yet. */
  take(): "taken" | "first" | "more" {
    const second = Math.floor(this.#clock.now() / 1000)
    if (second !== this.#second) [this.#second, this.#spent] = [second, 0]
    this.#spent++
    if (this.#spent <= limits.ssh_forwards_per_second_max) return "taken"
    return this.#spent === limits.ssh_forwards_per_second_max + 1 ? "first" : "more"
  }
}
