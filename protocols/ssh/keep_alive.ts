// Whether the other side of one connection is still there: who was silent for an interval is asked for a sign of life, and who has
// stayed silent through all the questions is gone. Anything that comes is a sign. What then becomes of the connection is the
// caller's. ssh2 has the same for each role, on timers that nobody else can move, and tells nobody why it closed.
import type { Clock, Millis, Timer } from "../../src/core/clock.ts"
import { limits } from "../../src/core/limits.ts"

export interface KeepAliveOptions {
  readonly clock: Clock
  readonly interval_ms: number
  /** Asks the other side for an answer. */
  ask(): void
  /** Called once; `for_ms`: for how long nothing has come. */
  onSilent(for_ms: number): void
}

export class KeepAlive {
  readonly #options: KeepAliveOptions
  #timer: Timer | undefined
  #heard = false
  #stopped = false
  /** When the interval began in which something came last, or the watch. */
  #since: Millis
  #asked = 0

  constructor(options: KeepAliveOptions) {
    this.#options = options
    this.#since = options.clock.now()
    this.#wait()
  }

  /** Something came. Called for every packet, so it does next to nothing. */
  heard(): void {
    this.#heard = true
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #wait(): void {
    const { clock, interval_ms } = this.#options
    this.#timer = clock.after(interval_ms, () => this.#look())
  }

  /** Questions are counted, not time, and what has come is read before the next: a gateway that slept is the one that did not hear. */
  #look(): void {
    const { clock, ask, onSilent } = this.#options
    if (this.#heard) {
      this.#heard = false
      this.#asked = 0
      this.#since = clock.now()
    } else if (this.#asked++ >= limits.ssh_keepalives_max) return onSilent(clock.now() - this.#since)
    else ask()
    setImmediate(() => this.#stopped || this.#wait())
  }
}
