// The client's messages. What will run is decided about and put on record before its bytes pass: a simple query, the execution
// of a portal with the statement and values behind it, a function call. Everything else passes and is remembered as asked.
//
// A denied query is replaced by a Sync, and the refusal goes in before the ReadyForQuery that answers it: the server keeps its
// turn and says truly where the transaction stands. In a transaction it is replaced by a query that cannot be parsed, so that what
// comes after it is not committed as if it had run. A denied Execute is replaced by one of a portal that cannot exist: the
// server itself fails there, skips to Sync and rolls back, and its error is replaced by the refusal. A grant for certain actions
// is held against the text of a Parse too, so that the server never prepares another; it is refused as an Execute is. What
// follows in such a series is dropped up to its Sync, as the server itself would.
// Source: "Protocol Flow", "Message Formats".
import { isUtf8 } from "node:buffer"
import { randomBytes } from "node:crypto"
import type { Action, BoundValue } from "../../src/core/action.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Pattern } from "../../src/core/pattern.ts"
import type { Decided, Waiting } from "../../src/gateway/contract.ts"
import { byteOf, cutAt, endOfString, int32, message, sync, text } from "./codec.ts"
import type { Conversation } from "./conversation.ts"
import { redact, redactValue } from "./redaction.ts"
import { denial, notice } from "./refusal.ts"
import { unknown_type, type Fate, type MessageReader, type Seen } from "./scanner.ts"
import { mayRename, nameKey, type Portal, type Statement } from "./statements.ts"
import { readValues } from "./values.ts"

const header_bytes = 5
const name_bytes_max = 1_024 // the server looks at 63 of them

const Q = byteOf("Q")
const P = byteOf("P")
const B = byteOf("B")
const D = byteOf("D")
const E = byteOf("E")
const C = byteOf("C")
const S = byteOf("S")
const H = byteOf("H")
const F = byteOf("F")
const X = byteOf("X")
const copyData = byteOf("d")
const copyDone = byteOf("c")
const copyFail = byteOf("f")

/** What the server understands while it takes in a COPY; and the client may always leave. */
const during_copy: ReadonlySet<number> = new Set([copyData, copyDone, copyFail, H, S, X])

const nothing: Fate = Buffer.alloc(0)

const wants = new Int32Array(256).fill(unknown_type)
for (const type of [S, H, X, copyData, copyDone, copyFail]) wants[type] = 0
for (const type of [D, E, C]) wants[type] = name_bytes_max
wants[Q] = limits.recorded_sql_bytes_max
wants[P] = limits.recorded_sql_bytes_max
wants[B] = limits.recorded_values_bytes_max
wants[F] = limits.recorded_values_bytes_max

/** What the client's messages need of the connection. */
export interface Outside {
  /** A message that waited for a decision can be read again. */
  readOn(): void
  /** A message of ours, at the next place between two of the server's. */
  say(words: Buffer): void
}

export class Frontend implements MessageReader {
  readonly wants = wants
  readonly #talk: Conversation
  readonly #outside: Outside
  readonly #patterns: readonly Pattern[]
  #waiting: Waiting | undefined
  #terminated = false
  /** About the message that waited, which is the next one to be read. */
  #decided: Decided | undefined
  /** Something in a series was refused: what comes before its Sync is as if it had not been sent. */
  #refusedSeries = false

  constructor(conversation: Conversation, outside: Outside) {
    this.#talk = conversation
    this.#outside = outside
    const { target } = conversation.session
    this.#patterns = target.protocol === "postgres" ? target.redact : []
  }

  /** Whether what waits is decided about, and only to be read again. */
  get decided(): boolean {
    return this.#decided !== undefined
  }

  /** Whether a statement waits for a decision; it is taken back. */
  withdraw(): boolean {
    this.#waiting?.withdraw()
    return this.#waiting !== undefined
  }

  /** Whether the client has said goodbye. */
  get terminated(): boolean {
    return this.#terminated
  }

  read(seen: Seen): Fate {
    const talk = this.#talk
    if (talk.held && !this.#decided) return "wait"
    if (this.#refusedSeries && seen.type !== S && seen.type !== X) return nothing
    // The server would end the COPY over it without having looked at it; newer ones end the connection.
    if (talk.copying && !during_copy.has(seen.type)) throw broken("a message that has no place in a COPY")
    if (talk.pending.size >= limits.postgres_pending_max) {
      if (!talk.skipping) return "wait"
      talk.skipped() // nothing will be answered before a Sync, so there is nothing to wait for
    }
    switch (seen.type) {
      case Q:
        return this.#query(seen)
      case P:
        return this.#parse(seen)
      case B:
        return this.#bind(seen)
      case E:
        return this.#execute(seen)
      case D:
        talk.ask("describe")
        return "pass"
      case C:
        return this.#close(seen)
      case S:
        if (!talk.copying) talk.askSync()
        this.#refusedSeries = false
        return "pass"
      case F:
        return this.#functionCall(seen)
      case copyData: {
        const running = talk.pending.first
        if (talk.copying && running) running.bytes_up += seen.size - header_bytes
        return "pass"
      }
      case copyDone:
      case copyFail:
        if (talk.copying) talk.copying = false
        else if (talk.pending.size > 0) talk.ask("copy_end")
        return "pass"
      case X:
        this.#terminated = true
        return "pass"
      default:
        return "pass"
    }
  }

  /** Undefined: a decision is being made, and the message is to be read again when `readOn` says so. */
  #decide(action: Action): Decided | undefined {
    const talk = this.#talk
    const made = this.#decided
    if (made) {
      this.#decided = undefined
      talk.held = false
      return made
    }
    const decision = talk.session.decide(action)
    if (decision.verdict !== "hold") return decision
    talk.held = true
    this.#waiting = decision
    void decision.asked.then((asked) => {
      if (asked) this.#outside.say(notice(asked.say))
    })
    void decision.decided.then((decided) => {
      this.#waiting = undefined
      this.#decided = decided
      this.#outside.readOn()
    })
    return undefined
  }

  #sql(seen: Seen, start: number): Sql {
    return sqlAt(seen, start, this.#patterns)
  }

  #recordable(values: readonly BoundValue[]): readonly BoundValue[] {
    const patterns = this.#patterns
    return patterns.length === 0 ? values : values.map((value) => redactValue(value, patterns))
  }

  #query(seen: Seen): Fate {
    const talk = this.#talk
    const { sql, sql_bytes, inexact } = this.#sql(seen, seen.start)
    const ambiguous = !talk.reading.reads(sql)
    const decision = this.#decide(
      sql_bytes === undefined && !inexact && !ambiguous
        ? { kind: "postgres.statement", how: "simple", sql }
        : { kind: "postgres.statement", how: "simple", sql, ...doubts({ sql_bytes, inexact, ambiguous }) },
    )
    if (!decision) return "wait"
    if (decision.verdict === "deny") return this.#denyQuery(decision.error)
    talk.askToRun("query", decision.action, mayRename(sql) ? sql : undefined)
    return "pass"
  }

  #parse(seen: Seen): Fate {
    const { bytes, start, end } = seen
    const nameEnd = endOfString(bytes, start, end)
    const { sql, sql_bytes, inexact, after } = this.#sql(seen, nameEnd + 1)
    const oids: number[] = []
    if (sql_bytes === undefined && after + 2 <= end) {
      const count = bytes.readUInt16BE(after)
      for (let at = after + 2; at + 4 <= end && oids.length < count; at += 4) oids.push(bytes.readUInt32BE(at))
    }
    const ambiguous = !this.#talk.reading.reads(sql)
    const statement: Statement = { sql, sql_bytes, inexact, ambiguous, oids, renames: mayRename(sql) }
    if (sql.length > this.#talk.room) throw new GatewayError("too_large")
    const name = nameKey(bytes, start, nameEnd)
    const { session } = this.#talk
    if (session.grant.actions !== null) {
      const action: Action = {
        kind: "postgres.statement",
        how: "execute",
        sql,
        ...(name ? { statement: printable(name) } : {}),
        ...doubts({ sql_bytes, inexact, ambiguous }),
      }
      // What is covered is decided about when it runs.
      const decision = session.covers(action) ? undefined : session.decide(action)
      if (decision?.verdict === "deny") return this.#denyInSeries(decision.error)
    }
    this.#talk.ask("parse", { name, statement })
    return "pass"
  }

  #bind(seen: Seen): Fate {
    const talk = this.#talk
    const { bytes, start, end, size } = seen
    const portalEnd = endOfString(bytes, start, end)
    const statementEnd = endOfString(bytes, portalEnd + 1, end)
    const statementName = nameKey(bytes, portalEnd + 1, statementEnd)
    const found = talk.pending.find("statement", statementName, talk.statements)
    if (found === "unsettled") return "wait"
    const { value: statement, certain } = found
    const partial = size - header_bytes > end - start
    const room = Math.min(limits.recorded_values_bytes_max, talk.room)
    const read = readValues({ bytes, start: statementEnd + 1, end, partial, oids: statement?.oids ?? [], room })
    const name = nameKey(bytes, start, portalEnd)
    const values = this.#recordable(read.values)
    const portal: Portal = { name, statementName, statement, certain, values, leftOut: read.leftOut, bytes: read.bytes }
    talk.ask("bind", { name, portal })
    return "pass"
  }

  #execute(seen: Seen): Fate {
    const talk = this.#talk
    const name = nameKey(seen.bytes, seen.start, endOfString(seen.bytes, seen.start, seen.end))
    const found = talk.pending.find("portal", name, talk.statements)
    if (found === "unsettled") return "wait"
    const portal = found.value
    const certain = found.certain && portal?.certain === true
    const { statement, values, statementName, leftOut } = portal ?? {}
    const decision = this.#decide({
      kind: "postgres.statement",
      how: "execute",
      sql: statement?.sql ?? "",
      ...(statement === undefined ? {} : doubts(statement)),
      ...(statementName ? { statement: printable(statementName) } : {}),
      ...(name ? { portal: printable(name) } : {}),
      ...(values?.length ? { values } : {}),
      ...(leftOut ? { values_left_out: leftOut } : {}),
      ...(certain ? {} : { unresolved: true }),
    })
    if (!decision) return "wait"
    if (decision.verdict === "deny") return this.#denyInSeries(decision.error)
    // Without a text we do not know, so it may.
    const renaming = statement === undefined || !certain ? (statement?.sql ?? "") : statement.renames ? statement.sql : undefined
    talk.askToRun("execute", decision.action, renaming)
    return "pass"
  }

  #close({ bytes, start, end }: Seen): Fate {
    if (start >= end) throw broken("a Close without its kind")
    const name = nameKey(bytes, start + 1, endOfString(bytes, start + 1, end))
    this.#talk.ask(bytes[start] === S ? "close_statement" : "close_portal", { name })
    return "pass"
  }

  #functionCall({ bytes, start, end, size }: Seen): Fate {
    const talk = this.#talk
    if (start + 4 > end) throw broken("a FunctionCall without its function")
    const partial = size - header_bytes > end - start
    const read = readValues({ bytes, start: start + 4, end, partial, oids: [], room: limits.recorded_values_bytes_max })
    const { leftOut } = read
    const decision = this.#decide({
      kind: "postgres.statement",
      how: "function_call",
      sql: `function ${bytes.readUInt32BE(start)}`,
      values: this.#recordable(read.values),
      ...(leftOut > 0 ? { values_left_out: leftOut } : {}),
    })
    if (!decision) return "wait"
    if (decision.verdict === "deny") return this.#denyWithSync(decision.error)
    talk.askToRun("call", decision.action, undefined)
    return "pass"
  }

  #denyInSeries(error: GatewayError): Fate {
    const talk = this.#talk
    if (talk.session.signal.aborted) return nothing
    this.#refusedSeries = true
    talk.ask("execute", { denial: denial(error) })
    return message("E", `sluice denied ${randomBytes(16).toString("hex")}`, int32(0))
  }

  /** Where no transaction can be open nothing has to fail; in one the server fails as over any error, and it is aborted. */
  #denyQuery(error: GatewayError): Fate {
    const talk = this.#talk
    if (talk.session.signal.aborted) return nothing
    if (!talk.inTransaction && talk.pending.size === 0) return this.#denyWithSync(error)
    this.#checkBetween(error)
    talk.ask("query", { denial: denial(error) })
    return message("Q", `sluice denied ${randomBytes(16).toString("hex")}`)
  }

  #denyWithSync(error: GatewayError): Fate {
    if (this.#talk.session.signal.aborted) return nothing
    this.#checkBetween(error)
    this.#talk.ask("sync", { denial: denial(error) })
    return sync()
  }

  #checkBetween(error: GatewayError): void {
    const { pending, skipping } = this.#talk
    // In the middle of an unfinished series a Sync of ours would end what the client has not ended: no client mixes the two.
    if (skipping || (pending.last && pending.last.kind !== "sync" && pending.last.kind !== "query" && pending.last.kind !== "call"))
      throw error
  }
}

type Doubtful = Pick<Statement, "sql_bytes" | "inexact" | "ambiguous">

interface Sql {
  /** As it is recorded. */
  readonly sql: string
  /** Its size, when it goes on beyond what was seen. */
  readonly sql_bytes: number | undefined
  /** Whether it is not the very bytes that run; "secret": because a password was taken out. */
  readonly inexact: boolean | "secret"
  /** Where what follows it starts. */
  readonly after: number
}

/** The NUL-terminated SQL at `start`. */
function sqlAt({ bytes, start: body, end, size }: Seen, start: number, patterns: readonly Pattern[]): Sql {
  const nul = bytes.indexOf(0, start)
  const whole = size - header_bytes - (start - body)
  const ends = nul >= 0 && nul < end
  if (!ends && whole <= end - start) throw broken("SQL without its end")
  const until = ends ? nul : cutAt(bytes, start, end)
  const said = text(bytes, start, until)
  const sql = redact(said, patterns)
  const garbled = /[^\0-\x7f]/.test(said) && !isUtf8(bytes.subarray(start, until))
  const inexact = garbled || (sql !== said && "secret")
  return { sql, sql_bytes: ends ? undefined : whole - 1, inexact, after: ends ? nul + 1 : end }
}

/** What keeps a text from being all that runs. */
const doubts = ({ sql_bytes, inexact, ambiguous }: Doubtful): { sql_bytes?: number; inexact?: true; ambiguous?: true; secret?: true } => ({
  ...(ambiguous ? { ambiguous: true } : {}),
  ...(sql_bytes === undefined ? {} : { sql_bytes }),
  ...(inexact ? { inexact: true } : {}),
  ...(inexact === "secret" ? { secret: true } : {}),
})

/** A name from the wire, one character a byte, for the record. */
const printable = (name: string): string => Buffer.from(name, "latin1").toString()

const broken = (why: string) => new GatewayError("protocol_broken", {}, new Error(why))
