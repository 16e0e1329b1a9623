// The server's messages: each is matched with what was asked. It settles what became of every recorded action, and tells
// `statements.ts` what the server has confirmed. Rows and COPY data pass unread. When an answer comes that nothing asked for,
// names are no longer trusted, and what follows is matched again from the next question that fits.
// Source: "Protocol Flow", "Message Formats".
import { byteOf, endOfString, reportFields } from "./codec.ts"
import type { Conversation } from "./conversation.ts"
import type { Asked } from "./pending.ts"
import type { Portal } from "./statements.ts"
import { unknown_type, unread_type, type Fate, type MessageReader, type Seen } from "./scanner.ts"

const parseComplete = byteOf("1")
const bindComplete = byteOf("2")
const closeComplete = byteOf("3")
const commandComplete = byteOf("C")
const emptyQuery = byteOf("I")
const error = byteOf("E")
const noData = byteOf("n")
const portalSuspended = byteOf("s")
const ready = byteOf("Z")
const parameterStatus = byteOf("S")
const rowDescription = byteOf("T")
const copyIn = byteOf("G")
const copyBoth = byteOf("W") // of the replication protocol

const report_bytes = 1_024 // where the SQLSTATE stands, near the start of an ErrorResponse too long to wait for

const wants = new Int32Array(256).fill(unknown_type)
// DataRow, CopyData, CopyDone, CopyOutResponse, NotificationResponse, NoticeResponse, ParameterDescription, FunctionCallResponse
for (const letter of "DdcHANtV") wants[byteOf(letter)] = unread_type
for (const type of [parseComplete, bindComplete, closeComplete, emptyQuery, noData, portalSuspended, rowDescription, copyIn, copyBoth])
  wants[type] = 0
for (const type of [commandComplete, error, ready, parameterStatus]) wants[type] = report_bytes

export class Backend implements MessageReader {
  readonly wants = wants
  readonly #talk: Conversation
  /** Where the last answer ended in the stream: what came since belongs to the next. */
  #settled = 0
  #fatal = false

  constructor(conversation: Conversation) {
    this.#talk = conversation
  }

  /** Whether the server has said itself why it ends the connection. */
  get saidFatal(): boolean {
    return this.#fatal
  }

  read(seen: Seen): Fate {
    const { pending } = this.#talk
    if (seen.type === ready) {
      const fate = this.#ready(seen)
      if (pending.size === 0) this.#talk.rest()
      else this.#talk.quiet = false
      return fate
    }
    if (seen.type === parameterStatus) {
      this.#talk.reading.hear(seen.bytes.subarray(seen.start, seen.end))
      return "pass"
    }
    // Something runs, whatever we think. An error may also come by itself, as the last thing the server says.
    if (seen.type !== error) this.#talk.quiet = false
    switch (seen.type) {
      case commandComplete:
        this.#complete(seen, tagOf(seen))
        return "pass"
      case error:
        return this.#failed(seen)
      case parseComplete:
        this.#confirm("parse")
        return "pass"
      case bindComplete:
        this.#confirm("bind")
        return "pass"
      case closeComplete:
        this.#confirm("close_statement", "close_portal")
        return "pass"
      case rowDescription:
      case noData:
        if (pending.first?.kind === "describe") pending.shift()
        return "pass"
      case portalSuspended:
        this.#complete(seen, "suspended")
        return "pass"
      case emptyQuery:
        if (pending.first?.kind === "execute") this.#complete(seen, "")
        return "pass"
      case copyIn:
      case copyBoth:
        this.#talk.copying = !pending.copyBegins()
        return "pass"
      default:
        return "pass"
    }
  }

  /** What the server confirms is what was asked first. */
  #confirm(...kinds: readonly Asked["kind"][]): void {
    const { pending, statements } = this.#talk
    const one = this.#matching(...kinds)
    if (!one) return
    pending.shift()
    if (one.kind === "parse" && one.statement) statements.parsed(one.name, one.statement)
    else if (one.kind === "bind" && one.portal) this.#bound(one.portal)
    else if (one.kind === "close_statement") statements.closeStatement(one.name)
    else this.#closed(one.name)
  }

  #bound(portal: Portal): void {
    const { statements, unseen } = this.#talk
    this.#closed(portal.name) // the unnamed one takes the place of the one before
    statements.bound(portal)
    unseen.made(portal)
  }

  #closed(name: string): void {
    const { statements, unseen } = this.#talk
    const portal = statements.portal(name)
    statements.closePortal(name)
    if (portal) unseen.settled(portal)
  }

  /** A simple query overwrites both. */
  #closedUnnamed(): void {
    this.#talk.statements.closeStatement("")
    this.#closed("")
  }

  /** The first question, if it is of one of `kinds`; otherwise the two sides are out of step, and it is the next that fits. */
  #matching(...kinds: readonly Asked["kind"][]): Asked | undefined {
    const { pending, statements } = this.#talk
    let one = pending.first
    if (one && kinds.includes(one.kind)) return one
    statements.forget()
    while (one && !kinds.includes(one.kind)) {
      this.#talk.settle(one, "lost")
      one = this.#drop()
    }
    return one
  }

  #drop(): Asked | undefined {
    this.#talk.pending.shift()
    return this.#talk.pending.first
  }

  #complete(seen: Seen, tag: string): void {
    const talk = this.#talk
    const one = this.#matching("execute", "query")
    if (!one) return
    talk.copying = false
    one.tag = tag
    one.rows += rowsIn(tag)
    if (one.renaming !== undefined) talk.statements.ran(tag, one.renaming)
    if (one.kind === "query") return // it may hold more statements; ReadyForQuery ends it
    talk.pending.shift()
    talk.settle(one, "ok", this.#since(seen))
  }

  #failed(seen: Seen): Fate {
    const talk = this.#talk
    const fields = reportFields(seen.bytes.subarray(seen.start, seen.end))
    const severity = fields.get("V") ?? fields.get("S")
    if (severity === "FATAL" || severity === "PANIC") this.#fatal = true
    talk.copying = false
    const one = talk.pending.first
    if (!one || one.kind === "sync") return "pass"
    one.sqlstate = fields.get("C")
    if (one.kind === "query" && one.denial) {
      const said = one.denial
      one.denial = undefined
      return said
    }
    if (one.kind === "query" || one.kind === "call") return "pass" // ReadyForQuery ends it
    this.#skipToSync(seen)
    return one.denial ?? "pass"
  }

  /** In the extended protocol the server answers nothing more until it reads a Sync. */
  #skipToSync(seen: Seen): void {
    const talk = this.#talk
    const failed = talk.pending.shift()
    if (failed) talk.settle(failed, statusOf(failed), this.#since(seen))
    talk.skipped()
    talk.skipping = talk.pending.first === undefined
  }

  #ready(seen: Seen): Fate {
    const talk = this.#talk
    talk.copying = false
    const status = seen.bytes[seen.start]
    talk.inTransaction = status !== byteOf("I")
    if (!talk.inTransaction) {
      talk.transactionOver()
    }
    // After a failed COPY we may think that the server still skips; its ReadyForQuery says that it saw a Sync.
    if (talk.skipping) {
      talk.skipping = false
      return "pass"
    }
    const one = this.#matching("query", "call", "sync")
    if (!one) return "pass"
    talk.pending.shift()
    if (one.kind === "query") this.#closedUnnamed()
    if (one.kind !== "sync") talk.settle(one, one.sqlstate === undefined ? "ok" : statusOf(one), this.#since(seen))
    if (!one.denial) return "pass"
    return Buffer.concat([one.denial, seen.bytes.subarray(seen.start - 5, seen.end)])
  }

  #since(seen: Seen): number {
    const end = seen.position + seen.size
    const bytes = end - this.#settled
    this.#settled = end
    return bytes
  }
}

const statusOf = (one: Asked): "cancelled" | "error" => (one.sqlstate === "57014" ? "cancelled" : "error")

function tagOf({ bytes, start, end }: Seen): string {
  return bytes.toString("latin1", start, endOfString(bytes, start, end))
}

/** "SELECT 5", "INSERT 0 5", "COPY 5" */
function rowsIn(tag: string): number {
  const last = tag.lastIndexOf(" ")
  const rows = last < 0 ? Number.NaN : Number(tag.slice(last + 1))
  return Number.isInteger(rows) ? rows : 0
}
