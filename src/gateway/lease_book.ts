// When every lease ends, and one timer for all of them. It owns time and nothing else: what an end means is the session's.
//
// The timer never sleeps longer than `tick_ms_max`, and each time it looks at the clock, not at how long it slept. So a
// laptop that slept, a clock that was set, and a grant of 60 days (longer than setTimeout can count) need no cases of their own.
// A look is one pass over the live leases: some tens of microseconds for thousands of them, once a second.
import type { Clock, Millis, Timer } from "../core/clock.ts"
import { limits } from "../core/limits.ts"

export interface Lease {
  /** A new end, later or earlier; warnings that are due again are given again. */
  renew(ends_at: Millis): void
  /** The session is over: nothing will be called any more. Safe to call twice. */
  end(): void
}

export interface LeaseOptions {
  readonly ends_at: Millis
  onEnd(): void
  onWarning(left_ms: number): void
}

interface Entry extends LeaseOptions {
  ends_at: Millis
  /** Times before the end at which a warning is still owed, the earliest last. */
  owed: number[]
}

export class LeaseBook {
  readonly #clock: Clock
  readonly #entries = new Set<Entry>()
  #timer: { readonly at: Millis; readonly timer: Timer } | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#entries.size
  }

  open(options: LeaseOptions): Lease {
    const entry: Entry = { ...options, owed: this.#owed(options.ends_at) }
    this.#entries.add(entry)
    this.#wakeBy(nextOf(entry))
    return {
      renew: (ends_at) => {
        if (!this.#entries.has(entry) || ends_at === entry.ends_at) return
        entry.ends_at = ends_at
        entry.owed = this.#owed(ends_at)
        this.#wakeBy(nextOf(entry))
      },
      end: () => void this.#entries.delete(entry),
    }
  }

  /** Only warnings that still lie ahead: whoever opens three minutes before the end was told the end when the grant was made. */
  #owed(ends_at: Millis): number[] {
    const left_ms = ends_at - this.#clock.now()
    return limits.warnings_ms_before.filter((before) => before < left_ms).sort((a, b) => a - b)
  }

  #wakeBy(due: Millis): void {
    const now = this.#clock.now()
    const at = due > now ? Math.min(due, now + limits.tick_ms_max) : now
    if (this.#timer && this.#timer.at <= at) return
    this.#timer?.timer.cancel()
    this.#timer = { at, timer: this.#clock.after(at - now, () => this.#look()) }
  }

  #look(): void {
    this.#timer = undefined
    const now = this.#clock.now()
    let next = Infinity
    const mistakes: unknown[] = []
    for (const entry of this.#entries) {
      try {
        this.#lookAt(entry, now)
      } catch (mistake) {
        mistakes.push(mistake) // told below: first everybody else's end
      }
      if (this.#entries.has(entry)) next = Math.min(next, nextOf(entry))
    }
    if (this.#entries.size > 0) this.#wakeBy(next)
    if (mistakes.length > 0) throw new AggregateError(mistakes, "a lease's end or warning failed")
  }

  #lookAt(entry: Entry, now: Millis): void {
    // Asked this way round, an end that is no number has come.
    if (!(now < entry.ends_at)) {
      this.#entries.delete(entry)
      return entry.onEnd()
    }
    let warned: number | undefined
    for (let before = entry.owed.at(-1); before !== undefined && entry.ends_at - before <= now; before = entry.owed.at(-1)) {
      warned = entry.owed.pop()
    }
    if (warned !== undefined) entry.onWarning(entry.ends_at - now)
  }
}

function nextOf(entry: Entry): Millis {
  return entry.ends_at - (entry.owed.at(-1) ?? 0)
}
