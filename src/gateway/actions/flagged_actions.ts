// Actions that a rule flags, on their way to who is told of them: the first at once, what the same rule flags of the same person on the
// same target in the minute after it together. It tells nobody itself, and keeps no record: that is there already.
import type { SessionReport } from "../../api/schema.ts"
import type { Clock, Millis, Timer } from "../../core/clock.ts"
import type { SessionId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"

export interface FlaggedAction {
  readonly session: SessionId
  readonly subject: string
  readonly target: string
  readonly rule: string
  /** Shortened. */
  readonly text: string
}

interface Following {
  readonly timer: Timer
  /** Undefined: nothing came since the last report. */
  since: { readonly at: Millis; readonly first: FlaggedAction; count: number; readonly texts: string[] } | undefined
}

export class FlaggedActions {
  readonly #clock: Clock
  readonly #report: (report: SessionReport) => void
  readonly #following = new Map<string, Following>()

  constructor(clock: Clock, report: (report: SessionReport) => void) {
    this.#clock = clock
    this.#report = report
  }

  add(one: FlaggedAction): void {
    const key = JSON.stringify([one.subject, one.target, one.rule])
    const following = this.#following.get(key)
    if (!following) {
      if (this.#following.size >= limits.flagged_followed_max) return
      this.#follow(key)
      return this.#tell({ at: this.#clock.now(), first: one, count: 1, texts: [one.text] })
    }
    following.since ??= { at: this.#clock.now(), first: one, count: 0, texts: [] }
    following.since.count++
    if (following.since.texts.length < limits.flagged_told_max) following.since.texts.push(one.text)
  }

  /** What was not told yet is told now. */
  flush(): void {
    for (const { timer, since } of this.#following.values()) {
      timer.cancel()
      if (since) this.#tell(since)
    }
    this.#following.clear()
  }

  #follow(key: string): void {
    const timer = this.#clock.after(limits.flagged_ms, () => {
      const since = this.#following.get(key)?.since
      this.#following.delete(key)
      if (!since) return
      this.#follow(key)
      this.#tell(since)
    })
    this.#following.set(key, { timer, since: undefined })
  }

  #tell({ at, first, count, texts }: NonNullable<Following["since"]>): void {
    this.#report({ event: "flagged", id: first.session, rule: first.rule, count, actions: texts, since: at })
  }
}
