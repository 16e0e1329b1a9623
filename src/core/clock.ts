// The one clock. Grants end at a wall-clock time, so the clock tells wall time, but it never goes back: a clock set back
// would make grants longer. It follows jumps forward (a laptop that slept, an NTP step), which only make them end on time.

/** Milliseconds since the Unix epoch. */
export type Millis = number

export interface Timer {
  cancel(): void
}

export interface Clock {
  now(): Millis
  /** Runs `task` once, `delay_ms` from now. Delays beyond `timer_delay_ms_max` are the lease book's work, not a timer's. */
  after(delay_ms: number, task: () => void): Timer
}

export function systemClock(wall: () => Millis = Date.now, monotonic: () => number = () => performance.now()): Clock {
  let anchor = { wall: wall(), monotonic: monotonic() }
  return {
    now() {
      const elapsed = monotonic() - anchor.monotonic
      const current = Math.max(Math.floor(anchor.wall + elapsed), wall())
      if (current > anchor.wall + elapsed + 1) anchor = { wall: current, monotonic: monotonic() }
      return current
    },
    after(delay_ms, task) {
      const timer = setTimeout(task, delay_ms)
      timer.unref()
      return { cancel: () => clearTimeout(timer) }
    },
  }
}
