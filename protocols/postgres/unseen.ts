// What the client has prepared and nothing has executed yet: named statements, and portals. By its name the server can run it all the
// same (FETCH, EXECUTE, a function that takes a cursor), and what is constant in a portal is computed when it is made. So it goes on
// record before the server has it, unless it does as what runs; and what may reach such a portal is not taken for what it looks like.
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Event } from "../../src/record/events.ts"
import { printable } from "./codec.ts"
import type { Portal, Statement } from "./statements.ts"

const reaching = /\b(?:fetch|move)\b/i

export class Unseen {
  /** Not on record yet. */
  readonly #statements = new Map<string, Statement>()
  readonly #portals = new Set<Portal>()
  /** Portals that nothing was allowed to run: asked for, and confirmed by the server. */
  readonly #asked = new Set<Portal>()
  readonly #made = new Set<Portal>()

  /** The unnamed statement can be reached through a portal alone. */
  prepares(name: string, statement: Statement): void {
    if (name !== "") this.#statements.set(name, statement)
  }

  binds(portal: Portal): void {
    this.#portals.add(portal)
    this.#asked.add(portal)
  }

  /** An action with its text and values goes on record, whatever is decided about it. */
  tells(portal: Portal): void {
    this.#portals.delete(portal)
    this.#statements.delete(portal.statementName)
  }

  /** Throws `too_large`: what is not followed would run unseen. */
  made(portal: Portal): void {
    if (this.#asked.delete(portal)) this.#made.add(portal)
    if (this.#made.size > limits.postgres_statements_max) throw new GatewayError("too_large")
  }

  /** The server does not have it, or not any more; or it was allowed to run. */
  settled(portal: Portal): void {
    this.#asked.delete(portal)
    this.#made.delete(portal)
  }

  /** The end of a transaction, by the server's word, is the end of every portal that it has. */
  transactionOver(): void {
    this.#made.clear()
  }

  /** Whether this text may run a portal, beside its own, that was not allowed to run. */
  isReachedBy(sql: string, own?: Portal): boolean {
    const mine = own && (this.#made.has(own) || this.#asked.has(own)) ? 1 : 0
    return this.#made.size + this.#asked.size > mine && reaching.test(sql)
  }

  /** What is not on record yet, once. */
  take(): Event[] {
    if (this.#statements.size + this.#portals.size === 0) return []
    const statements = [...this.#statements].map(([name, statement]) => preparedOf(statement, { statement: name }))
    const portals = [...this.#portals].map(({ name, statementName, statement, values, leftOut }) =>
      preparedOf(statement, { statement: statementName, portal: name, values, leftOut }),
    )
    this.#statements.clear()
    this.#portals.clear()
    return [...statements, ...portals]
  }
}

interface Prepared {
  readonly statement: string
  readonly portal?: string
  readonly values?: Portal["values"]
  readonly leftOut?: number
}

function preparedOf(known: Statement | undefined, { statement, portal, values = [], leftOut = 0 }: Prepared): Event {
  return {
    kind: "prepared",
    ...(statement === "" ? {} : { statement: printable(statement) }),
    ...(portal === undefined ? {} : { portal: printable(portal) }),
    sql: known?.sql ?? "",
    ...(known?.sql_bytes === undefined ? {} : { sql_bytes: known.sql_bytes }),
    ...(values.length > 0 ? { values } : {}),
    ...(leftOut > 0 ? { values_left_out: leftOut } : {}),
  }
}
