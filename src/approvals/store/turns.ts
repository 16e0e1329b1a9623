// One change after the other, in one process. It owns the waiting alone.
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"

export class Turns {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs `work` when those before it are done. Throws `stale` when that takes too long, and `work` does not run. */
  take<T>(work: () => Promise<T>): Promise<T> {
    const until = performance.now() + limits.store_turn_ms_max
    const turn = this.#last.then(() => {
      if (performance.now() > until) throw new GatewayError("stale")
      return work()
    })
    this.#last = turn.catch(() => {})
    return turn
  }

  /** Settles when nothing runs or waits. */
  async idle(): Promise<void> {
    await this.#last
  }
}
