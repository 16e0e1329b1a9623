// The state of one relayed connection that both directions share: what is asked and not answered, what names stand for, where
// the transaction stands. `frontend.ts` asks, `backend.ts` answers.
import type { Clock } from "../../src/core/clock.ts"
import { limits } from "../../src/core/limits.ts"
import type { PostgresPooler } from "../../src/core/target.ts"
import type { Session } from "../../src/gateway/contract.ts"
import type { Outcome } from "../../src/record/events.ts"
import { Asked, Pending } from "./pending.ts"
import { hangsOnSettings, ReadingSettings } from "./reading_settings.ts"
import type { Seen } from "./scanner.ts"
import { type Running, Statements } from "./statements.ts"
import { Unseen } from "./unseen.ts"

export class Conversation {
  readonly session: Session
  readonly clock: Clock
  readonly #pooler: PostgresPooler
  readonly pending = new Pending()
  /** The server takes in a COPY: it ignores Sync and Flush until CopyDone or CopyFail. */
  copying = false
  /** The server has failed in a series of the extended protocol and reads on to the next Sync, answering nothing. */
  skipping = false
  /** The server's last word was ReadyForQuery, to the last question, and nothing that it would answer went to it since. */
  quiet = true
  /** Settings of the server by which the same bytes are another text: as it last reported them. */
  readonly reading = new ReadingSettings()
  /** By its last ReadyForQuery. */
  inTransaction = false
  /** The client's next message waits for a decision. */
  held = false
  #waiting: (() => void)[] = []
  /** Made when a name first comes: many a connection never uses one. */
  #statements: Statements | undefined
  #unseen: Unseen | undefined

  constructor(session: Session, clock: Clock, pooler: PostgresPooler) {
    this.session = session
    this.clock = clock
    this.#pooler = pooler
  }

  /**
   * Behind a pooler, which has its own connection to the server, breaking ours does not keep the server from what it holds already:
   * so it never gets more than a cancel can end, one query or one series up to its Sync.
   */
  get oneByOne(): boolean {
    return this.#pooler !== "none"
  }

  get statements(): Statements {
    return (this.#statements ??= new Statements(this.#pooler === "transaction"))
  }

  get unseen(): Unseen {
    return (this.#unseen ??= new Unseen())
  }

  /** No transaction is open any more, by the server's word: its portals are gone. */
  transactionOver(): void {
    this.#statements?.transactionOver()
    this.#unseen?.transactionOver()
  }

  /** Whether something may run on the target; true also after `close`. Kept apart from `pending`, which may be out of step. */
  get busy(): boolean {
    return !this.quiet
  }

  /** Whether the last thing it was asked is whole, and its ReadyForQuery is yet to come. */
  get answering(): boolean {
    const kind = this.pending.question?.kind
    return (kind === "sync" || kind === "query" || kind === "call") && !this.copying && !this.skipping
  }

  /** Settles when nothing runs on the target any more and nothing waits to. */
  finished(): Promise<void> {
    if (this.quiet && !this.held) return Promise.resolve()
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** The server has answered to the last question. */
  rest(): void {
    this.quiet = true
    if (!this.held) for (const resolve of this.#waiting.splice(0)) resolve()
  }

  /** Memory that texts and values may still take. */
  get room(): number {
    return Math.max(0, limits.postgres_statement_bytes_max - this.statements.bytes - this.pending.bytes)
  }

  /** How the server will read a text in this message; "wait": it is about to say. */
  readingOf({ bytes, start, end }: Seen): ((sql: string) => boolean) | "wait" {
    const { pending, reading } = this
    if (pending.size === 0 || !hangsOnSettings(bytes.toString("latin1", start, end))) return (sql) => reading.reads(sql)
    const rereads = pending.rereads(reading.steady)
    return rereads === "answered" ? "wait" : (sql) => rereads === "no" && reading.reads(sql)
  }

  ask(kind: Asked["kind"], more?: Partial<Asked>): void {
    const one = new Asked(kind)
    if (more) Object.assign(one, more)
    this.#push(one)
  }

  /** An action that is on record and runs. */
  askToRun(kind: "query" | "call" | "execute", action: number, { sql, renaming }: Running): void {
    const one = new Asked(kind)
    one.action = action
    one.since = this.clock.now()
    one.sql = sql
    one.renaming = renaming
    this.#push(one)
  }

  #push(one: Asked): void {
    this.quiet = false
    this.pending.push(one)
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
      one.tag = "skipped"
      this.settle(one, "error")
    }
  }

  /** Puts on record what became of an action. A Bind comes here only when it did not succeed. */
  settle(one: Asked, status: Outcome["status"], bytes_down?: number): void {
    if (one.portal) this.unseen.settled(one.portal)
    if (one.action < 0) return
    const outcome: { -readonly [Fact in keyof Outcome]: Outcome[Fact] } = {
      action: one.action,
      status,
      duration_ms: this.clock.now() - one.since,
    }
    if (one.tag !== undefined) {
      outcome.tag = one.tag
      outcome.rows = one.rows
    }
    if (one.sqlstate !== undefined) outcome.sqlstate = one.sqlstate
    if (one.bytes_up > 0) outcome.bytes_up = one.bytes_up
    if (bytes_down !== undefined) outcome.bytes_down = bytes_down
    this.session.outcome(outcome)
  }

  /** The session is over: what still ran has no other outcome. */
  close(status: "cut" | "lost"): void {
    for (let one = this.pending.shift(); one; one = this.pending.shift()) this.settle(one, status)
    this.#statements?.forget()
  }
}
