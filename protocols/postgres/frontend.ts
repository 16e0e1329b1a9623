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
import { randomBytes } from "node:crypto"
import type { Action, BoundValue } from "../../src/core/action.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Pattern } from "../../src/core/pattern.ts"
import type { Decided, Estimate, Waiting } from "../../src/gateway/contract.ts"
import { type ColumnValues, type Hidden, type HiddenParams } from "./column_values.ts"
import { byteOf, endOfString, int32, message, nothing, printable, sync } from "./codec.ts"
import type { Conversation } from "./conversation.ts"
import { redact, redactValue } from "./redaction.ts"
import { denial, notice } from "./refusal.ts"
import { header_bytes, unknown_type, type Fate, type MessageReader, type Seen } from "./scanner.ts"
import { doubts, type Said, type Sql, textAt } from "./statement_text.ts"
import { mayRename, memoryOf, nameKey, runningOf, type Portal, type Statement } from "./statements.ts"
import { readValues } from "./values.ts"

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

/** What belongs to a query that runs already. */
const during_answer: ReadonlySet<number> = new Set([copyData, copyDone, copyFail])

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
  /** Of a target with protected columns. */
  readonly columns: ColumnValues | undefined
  /** How much a statement would do. Never rejects. */
  estimate(action: Action): Promise<Estimate>
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
  /** What the next message's text hides, when it had to be looked for. */
  #found: Hidden | undefined
  /** Something in a series was refused: what comes before its Sync is as if it had not been sent. */
  #refusedSeries = false

  constructor(conversation: Conversation, outside: Outside) {
    this.#talk = conversation
    this.#outside = outside
    const { target } = conversation.session
    this.#patterns = target.protocol === "postgres" ? target.redact.patterns : []
  }

  /** Whether what waits is decided about, and only to be read again. */
  get decided(): boolean {
    return this.#decided !== undefined || this.#found !== undefined
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
    if (talk.oneByOne && !this.#mayGo(seen.type)) return "wait"
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

  /** Behind a pooler. With the goodbye it would forget the connection to the server that it cancels on. */
  #mayGo(type: number): boolean {
    const talk = this.#talk
    return type === X ? !talk.busy : !talk.answering || during_answer.has(type)
  }

  /** Before any of it passes: puts on record what was prepared and not executed. */
  tellPrepared(): void {
    const { unseen, session } = this.#talk
    for (const event of unseen.take()) session.recorder.write(event)
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
    this.tellPrepared()
    const decision = talk.session.decide(action, undefined, () => this.#outside.estimate(action))
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

  /** "wait": what it hides is being looked for, or the server is about to say how it reads a text. */
  #sql(seen: Seen, start: number): Sql | "wait" {
    const reads = this.#talk.readingOf(seen)
    if (reads === "wait") return "wait"
    const said = textAt(seen, start)
    const hidden = this.#hidden(said)
    if (hidden === "wait") return "wait"
    const sql = redact(hidden?.sql ?? said.sql, this.#patterns)
    const { sql_bytes, garbled, after } = said
    return { sql, sql_bytes, inexact: garbled || (sql !== said.sql && "secret"), ambiguous: !reads(sql), after, hides: hidden?.params }
  }

  /** Undefined: nothing is protected. */
  #hidden({ sql, sql_bytes }: Said): Hidden | undefined | "wait" {
    const { columns, readOn } = this.#outside
    if (columns === undefined) return undefined
    const found = this.#found ?? columns.hide({ sql, cut: sql_bytes !== undefined })
    this.#found = undefined
    if (!(found instanceof Promise)) return found
    const talk = this.#talk
    talk.held = true
    void found.then((hidden) => {
      talk.held = false
      this.#found = hidden
      readOn()
    })
    return "wait"
  }

  #recordable(values: readonly BoundValue[], hides: HiddenParams | undefined): readonly BoundValue[] {
    const patterns = this.#patterns
    const left = this.#outside.columns?.values(values, hides) ?? values
    return left.map((value) => redactValue(value, patterns))
  }

  #query(seen: Seen): Fate {
    const talk = this.#talk
    const read = this.#sql(seen, seen.start)
    if (read === "wait") return "wait"
    const { sql, sql_bytes, inexact, ambiguous } = read
    const unresolved = talk.unseen.isReachedBy(sql)
    const decision = this.#decide(
      sql_bytes === undefined && !inexact && !ambiguous && !unresolved
        ? { kind: "postgres.statement", how: "simple", sql }
        : {
            kind: "postgres.statement",
            how: "simple",
            sql,
            ...doubts({ sql_bytes, inexact, ambiguous }),
            ...(unresolved ? { unresolved } : {}),
          },
    )
    if (!decision) return "wait"
    if (decision.verdict === "deny") return this.#denyQuery(decision.error)
    talk.askToRun("query", decision.action, runningOf({ sql, sql_bytes, renames: mayRename(sql) }))
    return "pass"
  }

  #parse(seen: Seen): Fate {
    const { bytes, start, end } = seen
    const nameEnd = endOfString(bytes, start, end)
    const read = this.#sql(seen, nameEnd + 1)
    if (read === "wait") return "wait"
    const { sql, sql_bytes, inexact, ambiguous, after, hides } = read
    const oids: number[] = []
    if (sql_bytes === undefined && after + 2 <= end) {
      const count = bytes.readUInt16BE(after)
      for (let at = after + 2; at + 4 <= end && oids.length < count; at += 4) oids.push(bytes.readUInt32BE(at))
    }
    const statement: Statement = { sql, sql_bytes, inexact, ambiguous, oids, renames: mayRename(sql), hides }
    if (memoryOf(statement) > this.#talk.room) throw new GatewayError("too_large")
    const name = nameKey(bytes, start, nameEnd)
    if (name !== "" && hides !== undefined) this.#outside.columns?.named({ params: hides })
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
    this.#talk.unseen.prepares(name, statement)
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
    const values = this.#recordable(read.values, certain ? statement?.hides : undefined)
    const portal: Portal = { name, statementName, statement, certain, values, leftOut: read.leftOut, bytes: read.bytes }
    talk.ask("bind", { name, portal })
    talk.unseen.binds(portal)
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
    if (portal) talk.unseen.tells(portal)
    const reaches = talk.unseen.isReachedBy(statement?.sql ?? "", portal)
    const decision = this.#decide({
      kind: "postgres.statement",
      how: "execute",
      sql: statement?.sql ?? "",
      ...(statement === undefined ? {} : doubts(statement)),
      ...(statementName ? { statement: printable(statementName) } : {}),
      ...(name ? { portal: printable(name) } : {}),
      ...(values?.length ? { values } : {}),
      ...(leftOut ? { values_left_out: leftOut } : {}),
      ...(certain && !reaches ? {} : { unresolved: true }),
    })
    if (!decision) return "wait"
    if (decision.verdict === "deny") return this.#denyInSeries(decision.error)
    if (portal && certain) talk.unseen.settled(portal)
    // Without a text we do not know, so it may.
    talk.askToRun(
      "execute",
      decision.action,
      statement && certain ? runningOf(statement) : { sql: undefined, renaming: statement?.sql ?? "" },
    )
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
      values: this.#recordable(read.values, []),
      ...(leftOut > 0 ? { values_left_out: leftOut } : {}),
    })
    if (!decision) return "wait"
    if (decision.verdict === "deny") return this.#denyWithSync(decision.error)
    talk.askToRun("call", decision.action, { sql: undefined, renaming: undefined })
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

const broken = (why: string) => new GatewayError("protocol_broken", {}, new Error(why))
