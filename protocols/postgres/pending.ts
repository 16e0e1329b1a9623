// What the client has asked and the server has not answered yet, in order. The server answers in that order too, so the first
// one waiting is what an answer is about; and until it is answered, what a name stands for is read off here.
import type { Millis } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { mayChangeReading } from "./reading_settings.ts"
import { isPlainName, memoryOf, type Portal, type Statement, type Statements } from "./statements.ts"

/** One class, so that every question has one shape: this is made for each message. */
export class Asked {
  readonly kind: "query" | "call" | "parse" | "bind" | "describe" | "execute" | "close_statement" | "close_portal" | "sync" | "copy_end"
  /** The statement's or portal's. */
  name = ""
  statement: Statement | undefined
  portal: Portal | undefined
  /** The text that runs; undefined: it is not known. */
  sql: string | undefined
  #rereads: boolean | undefined
  /** The text that runs, when it may change what names stand for. */
  renaming: string | undefined
  /** The recorded action, or -1. */
  action = -1
  since: Millis = 0
  /** A denied action: goes to the client in place of the server's error, or before its ReadyForQuery. */
  denial: Buffer | undefined
  /** What became of it so far. */
  sqlstate: string | undefined
  tag: string | undefined
  rows = 0
  bytes_up = 0

  constructor(kind: Asked["kind"]) {
    this.kind = kind
  }

  /** Whether running it may change how the server reads what comes after it. Looked at once: its text may be long. */
  get rereads(): boolean {
    return (this.#rereads ??= this.sql === undefined || mayChangeReading(this.sql))
  }
}

/** `value` undefined: the name leads nowhere. "unsettled": it depends on what the server has yet to say about an earlier round. */
export type Found<T> = { readonly value: T | undefined; readonly certain: boolean } | "unsettled"

export class Pending {
  #queue: Asked[] = []
  #head = 0
  /** How many of them touch names. */
  #naming = 0
  #bytes = 0

  get size(): number {
    return this.#queue.length - this.#head
  }

  /** Memory that texts and values take. */
  get bytes(): number {
    return this.#bytes
  }

  get first(): Asked | undefined {
    return this.#queue[this.#head]
  }

  get last(): Asked | undefined {
    return this.size > 0 ? this.#queue.at(-1) : undefined
  }

  /** The last one that is a question: the end of a COPY that is sent ahead belongs to the one before. */
  get question(): Asked | undefined {
    let at = this.#queue.length - 1
    while (at >= this.#head && this.#queue[at]?.kind === "copy_end") at--
    return at >= this.#head ? this.#queue[at] : undefined
  }

  push(one: Asked): void {
    this.#queue.push(one)
    if (!naming(one)) return
    this.#naming++
    this.#bytes += bytesOf(one)
  }

  shift(): Asked | undefined {
    const one = this.#queue[this.#head]
    if (one === undefined) return undefined
    if (naming(one)) {
      this.#naming--
      this.#bytes -= bytesOf(one)
    }
    // A CopyDone with no COPY before it: the server ignores it.
    do this.#head++
    while (this.#queue[this.#head]?.kind === "copy_end")
    if (this.#head === this.#queue.length) {
      this.#queue.length = 0
      this.#head = 0
    } else if (this.#head > 1_000 && this.#head * 2 > this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
    return one
  }

  /**
   * The first one turned out to be a COPY into the server, which ignores the Syncs up to its end. Answers whether that end is here.
   * Throws `unsupported` when the client, not knowing, has sent something else before it: to the server that breaks the protocol.
   */
  copyBegins(): boolean {
    const [copy, ...after] = this.#queue.slice(this.#head)
    const end = after.findIndex(({ kind }) => kind === "copy_end")
    const meanwhile = end < 0 ? after : after.slice(0, end)
    if (meanwhile.some(({ kind, denial }) => kind !== "sync" || denial)) {
      throw new GatewayError("unsupported", { what: "a message sent ahead of a COPY" })
    }
    this.#queue = copy ? [copy, ...(end < 0 ? [] : after.slice(end + 1))] : []
    this.#head = 0
    return end >= 0
  }

  /**
   * Whether something that runs may change how the server reads what comes after it, and the server has yet to say so: "open" when it says
   * nothing before the client sends a Sync. `steady`: only what sets such a setting by itself can change it.
   */
  rereads(steady: boolean): "no" | "open" | "answered" {
    let sync = false
    for (let at = this.#queue.length - 1; at >= this.#head; at--) {
      const one = this.#queue[at] as Asked
      const { kind } = one
      if (kind === "sync" || kind === "query" || kind === "call") sync = true
      if (kind !== "query" && kind !== "call" && kind !== "execute") continue
      if (!steady || one.rereads) return sync ? "answered" : "open"
    }
    return "no"
  }

  /**
   * What `name` will stand for when the server gets to it. Within one round (up to a Sync) the newest definition holds, or the
   * server skips everything after it; an earlier round may yet fail, and then an older meaning would be what runs.
   */
  find<K extends "statement" | "portal">(kind: K, name: string, known: Statements): Found<NonNullable<Asked[K]>> {
    const confirmed = (kind === "statement" ? known.statement(name) : known.portal(name)) as NonNullable<Asked[K]> | undefined
    const plain = isPlainName(name)
    const sure = plain && (kind === "statement" ? known.isSure(name) : confirmed !== undefined)
    if (this.#naming === 0) return { value: confirmed, certain: sure }
    const makes = kind === "statement" ? "parse" : "bind"
    const closes = kind === "statement" ? "close_statement" : "close_portal"
    const meanings = confirmed === undefined ? [] : [confirmed]
    let earlier = false
    let renamed = false
    for (let at = this.#queue.length - 1; at >= this.#head; at--) {
      const one = this.#queue[at] as Asked
      if (one.kind === "sync" || one.kind === "query") earlier = true
      if (one.renaming !== undefined) {
        if (earlier) return "unsettled"
        renamed = true
      }
      if (one.name !== name) continue
      if (one.kind === makes) {
        const made = one[kind] as NonNullable<Asked[K]>
        if (!earlier) return { value: made, certain: plain && !renamed }
        meanings.push(made)
      } else if (one.kind === closes && !earlier) {
        return { value: undefined, certain: false }
      }
    }
    if (meanings.length > 1) return "unsettled"
    return { value: meanings[0], certain: plain && meanings.length === 1 && !renamed && (sure || confirmed === undefined) }
  }
}

const naming = ({ kind, renaming }: Asked): boolean =>
  renaming !== undefined || kind === "parse" || kind === "bind" || kind === "close_statement" || kind === "close_portal"

const bytesOf = ({ statement, portal }: Asked): number => (statement ? memoryOf(statement) : 0) + (portal?.bytes ?? 0)
