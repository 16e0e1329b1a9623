// The state of one relayed connection that both directions share: what is asked and not answered, what names stand for, where
// the transaction stands. `frontend.ts` asks, `backend.ts` answers.
import type { Clock } from "../../src/core/clock.ts"
import { limits } from "../../src/core/limits.ts"
import type { Session } from "../../src/gateway/contract.ts"
import { asked, Pending, type Asked } from "./pending.ts"
import { Statements } from "./statements.ts"

export class Conversation {
  readonly session: Session
  readonly clock: Clock
  readonly statements = new Statements()
  readonly pending = new Pending()
  /** The server takes in a COPY: it ignores Sync and Flush until CopyDone or CopyFail. */
  copying = false
  /** The server has failed in a series of the extended protocol and reads on to the next Sync, answering nothing. */
  skipping = false
  #interrupted = false

  constructor(session: Session, clock: Clock) {
    this.session = session
    this.clock = clock
  }

  /** Whether something runs on the target. */
  get busy(): boolean {
    return this.pending.size > 0 || this.#interrupted
  }

  /** Memory that texts and values may still take. */
  get room(): number {
    return Math.max(0, limits.postgres_statement_bytes_max - this.statements.bytes - this.pending.bytes)
  }

  ask(kind: Asked["kind"], more?: Partial<Asked>): void {
    this.pending.push(asked(kind, more))
  }

  /** The client sends a Sync: what the server has not looked at because of an error will not run any more. */
  askSync(): void {
    if (this.skipping) this.skipped()
    this.skipping = false
    this.ask("sync")
  }

  /** Everything up to the next Sync was read over by the server. */
  skipped(): void {
    for (let one = this.pending.first; one && one.kind !== "sync"; one = this.pending.first) {
      this.pending.shift()
      this.settle(one, { status: "error", tag: "skipped" })
    }
  }

  /** Puts on record what became of an action. */
  settle(one: Asked, became: { status: "ok" | "error" | "cancelled" | "cut" | "lost"; tag?: string; bytes_down?: number }): void {
    if (one.action < 0) return
    const tag = became.tag ?? one.tag
    this.session.outcome({
      action: one.action,
      status: became.status,
      duration_ms: this.clock.now() - one.since,
      ...(tag === undefined ? {} : { tag }),
      ...(one.tag === undefined ? {} : { rows: one.rows }),
      ...(one.sqlstate === undefined ? {} : { sqlstate: one.sqlstate }),
      ...(one.bytes_up === 0 ? {} : { bytes_up: one.bytes_up }),
      ...(became.bytes_down === undefined ? {} : { bytes_down: became.bytes_down }),
    })
  }

  /** The session is over: what still ran has no other outcome. */
  close(status: "cut" | "lost"): void {
    if (this.pending.size > 0) this.#interrupted = true
    for (let one = this.pending.shift(); one; one = this.pending.shift()) this.settle(one, { status })
  }
}
