// A clock that moves when the test says so.
import type { Clock, Millis } from "../../src/core/clock.ts"

export class FakeClock implements Clock {
  #now: Millis
  #timers: { at: Millis; task: () => void }[] = []

  constructor(now: Millis = Date.UTC(2026, 0, 15, 12)) {
    this.#now = now
  }

  now(): Millis {
    return this.#now
  }

  after(delay_ms: number, task: () => void): { cancel(): void } {
    const timer = { at: this.#now + delay_ms, task }
    this.#timers.push(timer)
    return { cancel: () => void (this.#timers = this.#timers.filter((other) => other !== timer)) }
  }

  /** Moves on, running what falls due in order, each at its own time. */
  advance(by_ms: number): void {
    const until = this.#now + by_ms
    for (;;) {
      const due = this.#timers.filter((timer) => timer.at <= until).sort((a, b) => a.at - b.at)[0]
      if (!due) break
      this.#timers = this.#timers.filter((timer) => timer !== due)
      this.#now = Math.max(this.#now, due.at)
      due.task()
    }
    this.#now = until
  }

  /** The clock jumps (a laptop slept): time passes and no timer runs until the next `advance`. */
  jump(by_ms: number): void {
    this.#now += by_ms
    for (const timer of this.#timers) timer.at += by_ms
  }
}
