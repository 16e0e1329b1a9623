// A frontend and a backend in conversation, without sockets: what each side says, what passes, and what is on record.
import { ColumnValues } from "../../../protocols/postgres/column_values.ts"
import { Backend } from "../../../protocols/postgres/backend.ts"
import { Conversation } from "../../../protocols/postgres/conversation.ts"
import { byteOf, int32, message, report } from "../../../protocols/postgres/codec.ts"
import { Frontend } from "../../../protocols/postgres/frontend.ts"
import { Scanner } from "../../../protocols/postgres/scanner.ts"
import type { Action } from "../../../src/core/action.ts"
import type { GatewayError } from "../../../src/core/errors.ts"
import type { PostgresPooler } from "../../../src/core/target.ts"
import { parsePattern } from "../../../src/core/pattern.ts"
import type { Decided, Decision, Session } from "../../../src/gateway/contract.ts"
import type { Event, Outcome } from "../../../src/record/events.ts"
import { FakeClock } from "../../support/fake_clock.ts"

export type Statement = Extract<Action, { kind: "postgres.statement" }>

export interface DialogueOptions {
  readonly scoped?: boolean
  readonly hold?: (sql: string) => Promise<void> | undefined
  /** Patterns of the target's config. */
  readonly redact?: readonly string[]
  readonly columns?: ColumnValues
  readonly pooler?: PostgresPooler
}

export class Dialogue {
  readonly actions: Statement[] = []
  readonly outcomes: Outcome[] = []
  /** Whether the last thing the client said waits. */
  waits = false
  readonly conversation: Conversation
  /** What was prepared and not executed, as it goes on record. */
  readonly prepared: Extract<Event, { kind: "prepared" }>[] = []
  readonly #frontend: Frontend
  readonly #up: Scanner
  readonly #down: Scanner
  #unread: Buffer | undefined

  /** How often the client's side was told that it can be read again. */
  readOns = 0

  /** `scoped`: the grant names actions. `hold`: settles before a decision is made, if there is one to wait for. */
  constructor(
    deny?: (sql: string) => GatewayError | undefined,
    { scoped = false, hold, redact = [], columns, pooler = "none" }: DialogueOptions = {},
  ) {
    const decided = (action: Statement): Decided => {
      const error = deny?.(action.sql)
      return error ? { verdict: "deny", error } : { verdict: "allow", action: this.actions.push(action) - 1 }
    }
    const session = {
      signal: new AbortController().signal,
      target: { protocol: "postgres", redact: { patterns: redact.map(parsePattern), values: undefined } },
      grant: { actions: scoped ? ["named"] : null },
      covers: ({ sql }: Statement) => !deny?.(sql),
      decide: (action: Statement): Decision => {
        const waiting = hold?.(action.sql)
        if (!waiting) return decided(action)
        const nothing = { asked: Promise.resolve(undefined), withdraw: () => {}, leave: () => {} }
        return { verdict: "hold", decided: waiting.then(() => decided(action)), ...nothing }
      },
      recorder: { write: (event: Extract<Event, { kind: "prepared" }>) => this.prepared.push(event) > 0 },
      outcome: (outcome: Outcome) => void this.outcomes.push(outcome),
    }
    this.conversation = new Conversation(session as unknown as Session, new FakeClock(), pooler)
    this.#frontend = new Frontend(this.conversation, {
      readOn: () => void this.readOns++,
      say: () => {},
      columns,
      estimate: () => Promise.reject(new Error("nobody asks here")),
    })
    this.#up = new Scanner(this.#frontend)
    this.#down = new Scanner(new Backend(this.conversation))
  }

  /** What reaches the server of it. */
  client(...messages: readonly Buffer[]): Buffer {
    const passed = joined(this.#up.pass(Buffer.concat(messages)))
    this.#frontend.tellPrepared()
    this.#unread = this.#up.takeUnread()
    this.waits = this.#unread !== undefined
    return passed
  }

  /** What reaches the client of it. */
  server(...messages: readonly Buffer[]): Buffer {
    return joined(this.#down.pass(Buffer.concat(messages)))
  }

  /** The server has said more: what waited is looked at again. */
  again(): Buffer {
    const unread = this.#unread
    return unread ? this.client(unread) : Buffer.alloc(0)
  }

  get sql(): string[] {
    return this.actions.map(({ sql }) => sql)
  }
}

const joined = (parts: Buffer | Buffer[] | null): Buffer =>
  parts === null ? Buffer.alloc(0) : Buffer.isBuffer(parts) ? parts : Buffer.concat(parts)

const int16 = (value: number): Buffer => Buffer.from([value >> 8, value & 255])

export const query = (sql: string) => message("Q", sql)
export const parse = (name: string, sql: string, ...oids: number[]) => message("P", name, sql, int16(oids.length), ...oids.map(int32))
export const execute = (portal = "") => message("E", portal, int32(0))
export const closeStatement = (name: string) => message("C", Buffer.from("S"), name)
export const sync = () => message("S")

export function bind(portal: string, statement: string, values: readonly (string | Buffer | null)[] = []): Buffer {
  const formats = values.map((value) => int16(Buffer.isBuffer(value) ? 1 : 0))
  const bodies = values.map((value) => {
    if (value === null) return int32(-1)
    const bytes = Buffer.from(value)
    return Buffer.concat([int32(bytes.length), bytes])
  })
  return message("B", portal, statement, int16(formats.length), ...formats, int16(values.length), ...bodies, int16(0))
}

export const parsed = () => message("1")
export const bound = () => message("2")
export const closed = () => message("3")
export const complete = (tag: string) => message("C", tag)
export const failed = (sqlstate: string) => report({ severity: "ERROR", sqlstate, message: "no" })
export const ready = (status: "I" | "T" | "E" = "I") => message("Z", Buffer.of(byteOf(status)))
