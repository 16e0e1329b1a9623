// What the names on one connection stand for: prepared statements, and portals made from them. Changed only by what the server
// has confirmed; `conversation.ts` knows what is still on its way. SQL's own PREPARE, DEALLOCATE, DISCARD, DECLARE and CLOSE
// change the same names; where the text does not tell which, everything is forgotten, and what is used after that is recorded
// as unresolved. What a function does inside the server is never seen here.
// Source: "Extended Query", and plan and portal names in PostgreSQL's NAMEDATALEN (63 bytes; the rest is ignored).
import type { BoundValue } from "../../src/core/action.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { HiddenParams } from "./column_values.ts"

export interface Statement {
  /** As it is recorded: cut, passwords taken out. */
  readonly sql: string
  readonly sql_bytes: number | undefined
  /** Whether `sql` is not the very bytes that run; "secret": because a password was taken out. */
  readonly inexact: boolean | "secret"
  /** Whether the server may have read another text in these bytes than we do. */
  readonly ambiguous?: boolean
  /** Parameter types as the client gave them; missing ones are 0. */
  readonly oids: readonly number[]
  /** Whether running it may change what names stand for. */
  readonly renames: boolean
  /** Its parameters whose values are not recorded; undefined: as for a text that is not known. */
  readonly hides?: HiddenParams | undefined
}

export interface Portal {
  readonly name: string
  readonly statementName: string
  /** Undefined: the name led nowhere that we know. */
  readonly statement: Statement | undefined
  readonly certain: boolean
  readonly values: readonly BoundValue[]
  readonly leftOut: number
  /** Memory that the values take. */
  readonly bytes: number
}

/** SQL after which names may stand for something else. */
export const mayRename = (sql: string): boolean => /\b(?:prepare|deallocate|discard|declare|close|commit|rollback|abort|end)\b/i.test(sql)

/** Memory that a statement takes, in bytes. */
export const memoryOf = ({ sql, oids, hides = [] }: Pick<Statement, "sql" | "oids" | "hides">): number =>
  200 + sql.length + 8 * (oids.length + hides.length)

/** What runs, for what comes after it. */
export interface Running {
  /** Undefined: it is not known. */
  readonly sql: string | undefined
  /** The text, when it may change what names stand for. */
  readonly renaming: string | undefined
}

/** Of a text that goes on beyond what was seen nothing is known. */
export function runningOf({ sql, sql_bytes, renames }: Pick<Statement, "sql" | "sql_bytes" | "renames">): Running {
  return sql_bytes === undefined ? { sql, renaming: renames ? sql : undefined } : { sql: undefined, renaming: "" }
}

/** A name as the server compares it: its first 63 bytes, here one character each. */
export const nameKey = (bytes: Buffer, start = 0, end = bytes.length): string => bytes.toString("latin1", start, Math.min(end, start + 63))

/** Whether it is the same name to the server in every encoding: else a name may be another's by the time it is used. */
export const isPlainName = (name: string): boolean => /^[\0-\x7f]*$/.test(name)

export class Statements {
  /** Memory that those of all connections of this process take. */
  static #everywhere = 0
  readonly #statements = new Map<string, Statement>()
  readonly #portals = new Map<string, Portal>()
  #bytes = 0
  /** Made in the transaction that runs, where another connection to the server may be had for the next one. */
  readonly #sure: Set<string> | undefined

  /** `lent`: by a pooler, for a transaction. Others have used the connection of the next one, and the same names. */
  constructor(lent: boolean) {
    this.#sure = lent ? new Set() : undefined
  }

  /** Memory that texts and values take. */
  get bytes(): number {
    return this.#bytes
  }

  statement(name: string): Statement | undefined {
    return this.#statements.get(name)
  }

  /** Whether the name surely stands for what `statement` answers. */
  isSure(name: string): boolean {
    return this.#statements.has(name) && this.#sure?.has(name) !== false
  }

  portal(name: string): Portal | undefined {
    return this.#portals.get(name)
  }

  /** Throws `too_large`: a name that is not followed would run unseen. */
  parsed(name: string, statement: Statement): void {
    this.closeStatement(name)
    this.#statements.set(name, statement)
    this.#sure?.add(name)
    this.#grow(memoryOf(statement))
  }

  bound(portal: Portal): void {
    this.closePortal(portal.name)
    this.#portals.set(portal.name, portal)
    this.#grow(portal.bytes)
  }

  closeStatement(name: string): void {
    const known = this.#statements.get(name)
    if (known && this.#statements.delete(name)) this.#shrink(memoryOf(known))
  }

  closePortal(name: string): void {
    const known = this.#portals.get(name)
    if (known && this.#portals.delete(name)) this.#shrink(known.bytes)
  }

  transactionOver(): void {
    this.closePortals()
    this.#sure?.clear()
  }

  closePortals(): void {
    if (this.#portals.size === 0) return
    for (const portal of this.#portals.values()) this.#shrink(portal.bytes)
    this.#portals.clear()
  }

  /** No name is trusted any more; also at the connection's end. */
  forget(): void {
    this.#statements.clear()
    this.#portals.clear()
    this.#sure?.clear()
    this.#shrink(this.#bytes)
  }

  /** A command that changes names has run: its tag is the server's word for it, `sql` the text that held it. */
  ran(tag: string, sql: string | undefined): void {
    switch (tag) {
      case "DEALLOCATE ALL":
      case "DISCARD ALL":
        return this.forget()
      case "DEALLOCATE": {
        const name = nameIn(sql, /^\s*deallocate\s+(?:prepare\s+)?(?<name>"(?:[^"]|"")+"|[a-z_][\w$]*)\s*;?\s*$/i)
        return name === undefined ? this.forget() : this.closeStatement(name)
      }
      case "PREPARE": {
        const name = nameIn(sql, /^\s*prepare\s+(?<name>"(?:[^"]|"")+"|[a-z_][\w$]*)\s*(?:\(|as\b)[^;]*;?\s*$/i)
        if (name === undefined || sql === undefined) return this.forget()
        return this.parsed(name, { sql, sql_bytes: undefined, inexact: false, oids: [], renames: mayRename(sql.replace(/prepare/i, "")) })
      }
      // A block runs what it likes, also what it puts together, and may have another query under a portal's name.
      case "DO":
        return sql === "" || /\b(?:execute|prepare|deallocate|discard|close)\b/i.test(sql ?? "") ? this.forget() : undefined
      case "COMMIT":
      case "ROLLBACK":
      case "PREPARE TRANSACTION":
      case "CLOSE CURSOR":
      case "CLOSE CURSOR ALL":
      case "DECLARE CURSOR":
        return this.closePortals()
    }
  }

  #grow(bytes: number): void {
    this.#bytes += bytes
    Statements.#everywhere += bytes
    const count = this.#statements.size + this.#portals.size
    const crowded = Statements.#everywhere > limits.postgres_statement_bytes_all_max && this.#bytes > limits.postgres_statement_bytes_share
    if (crowded || count > limits.postgres_statements_max || this.#bytes > limits.postgres_statement_bytes_max)
      throw new GatewayError("too_large")
  }

  #shrink(bytes: number): void {
    this.#bytes -= bytes
    Statements.#everywhere -= bytes
  }
}

/** The one name in a statement of a known form, as the server folds it; undefined when the form is another. */
function nameIn(sql: string | undefined, form: RegExp): string | undefined {
  const name = sql === undefined ? undefined : form.exec(sql)?.groups?.["name"]
  if (name === undefined || /^all$/i.test(name)) return undefined
  const folded = name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name.toLowerCase()
  // One that the server cuts or turns into another encoding is not followed.
  return folded.length < 64 && isPlainName(folded) ? folded : undefined
}
