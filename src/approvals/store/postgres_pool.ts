// Connections to PostgreSQL, in the shape that kysely's dialect takes. It owns their bounds, their TLS, and what a failure on one
// means: what the database refuses is an error of its own; a database that is away, restarting or overloaded is `stale`.
import { Client, type ClientConfig, DatabaseError, Pool, type PoolClient, types } from "pg"
import { Kysely, PostgresDialect } from "kysely"
import type { PostgresStoreConfig } from "../../config/config.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import { type Answer, type Line, PostgresQuery } from "./postgres_query.ts"
import type { Tables } from "./tables.ts"

const int8: number = types.builtins.INT8

/** How many connections, and where their troubles are told. */
export interface PoolOptions {
  readonly connections_max: number
  readonly log: Log
  /** Settles before an answer of `db` or `read` is passed on. It may ask more on the same connection: others may wait for one. */
  readonly confirm?: (ask: Alone["ask"]) => Promise<void>
}

export interface Connections {
  readonly db: Kysely<Tables>
  /** Runs one statement on any connection, and answers its rows. */
  read(sql: string, parameters: readonly unknown[]): Promise<readonly object[]>
  /** Runs `work` on a connection that is nobody else's meanwhile. */
  alone<T>(work: (alone: Alone) => Promise<T>): Promise<T>
  /** A connection of its own, for whoever ends it. Rejects with `stale`. */
  connect(settings?: ClientConfig): Promise<Client>
  /** Closes all but those of `connect`. */
  close(): Promise<void>
}

/** One connection. Its statements are sent as they are asked for and answered in that order, none waiting for the answer before it. */
export interface Alone {
  /** The same connection, for statements that kysely builds at each run: they wait until what `begin` has sent is answered. */
  readonly db: Kysely<Tables>
  /** As `ask`, of several; answers the last one's. */
  begin(statements: readonly string[]): Promise<Answer>
  /** Without `parameters`, not prepared: it may be several statements. */
  ask(sql: string, parameters?: readonly unknown[]): Promise<Answer>
  /** Whether it is lost: whatever is asked now fails. */
  isLost(): boolean
}

export function connectionsTo(config: PostgresStoreConfig, { connections_max, log, confirm = async () => {} }: PoolOptions): Connections {
  const bounds = { max: connections_max, idleTimeoutMillis: limits.store_idle_ms_max }
  // Each connection minds the time of its answers by itself.
  const pool = new Pool({ ...clientConfig(config), ...bounds, query_timeout: 0, pipeline: true })
  pool.on("error", (err) => log.warn({ err }, "lost a connection to the store"))
  const known = new WeakMap<PoolClient, Checked>()
  const connect = async (): Promise<Checked> => {
    try {
      const client = await pool.connect()
      const before = known.get(client)
      if (before) return before
      const one = checked(client, confirm)
      known.set(client, one)
      return one
    } catch (failure) {
      throw asStale(failure)
    }
  }
  const alone: Connections["alone"] = async (work) => {
    const connection = await connect()
    try {
      return await work(connection.alone)
    } finally {
      connection.release()
    }
  }
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool: { connect, end: async () => {}, options: {} } }) })
  return {
    db,
    read: async (sql, parameters) => {
      const answer = await alone(async ({ ask }) => {
        const answer = await ask(sql, parameters)
        await confirm(ask)
        return answer
      })
      return answer.rows
    },
    alone,
    async close() {
      await db.destroy()
      await pool.end() // kysely closes only what it has itself asked
    },
    async connect(settings = {}) {
      const client = new Client({ ...clientConfig(config), ...settings })
      client.on("error", () => {}) // its user hears of it by `end` and by the calls that fail
      try {
        await client.connect()
        return client
      } catch (failure) {
        void client.end().catch(() => {})
        throw asStale(failure)
      }
    },
  }
}

/** 64 bits; every number of the store is below 2^53. */
function clientConfig({ host, port, user, password, database, tls, ca, options }: PostgresStoreConfig): ClientConfig {
  return {
    host,
    port,
    user,
    // Never from the environment: an empty one is sent when none is told.
    password: password?.reveal() ?? "",
    database,
    ssl: tls === "disable" ? false : { rejectUnauthorized: tls === "verify-full", ...(ca === undefined ? {} : { ca }) },
    ...(options === undefined ? {} : { options }),
    application_name: "sluice",
    connectionTimeoutMillis: limits.store_connect_ms_max,
    statement_timeout: limits.store_statement_ms_max,
    lock_timeout: limits.store_statement_ms_max,
    // A service that stands still in the middle of a change holds up all the others: not for longer than this.
    idle_in_transaction_session_timeout: limits.store_statement_ms_max,
    query_timeout: limits.store_answer_ms_max,
    keepAlive: true,
    types: { getTypeParser: parserOf },
  }
}

/** 64 bits hold times in milliseconds here, and counts: all of them whole numbers of JavaScript's. */
const parserOf = (oid: number): ((text: string) => unknown) => (oid === int8 ? Number : types.getTypeParser(oid, "text"))

/** A connection, as long as it lives. */
interface Checked {
  query: never // as kysely calls it
  release(destroy?: boolean): void
  readonly alone: Alone
}

/** A connection that failed is not used again. */
function checked(client: PoolClient, confirm: NonNullable<PoolOptions["confirm"]>): Checked {
  let lost = false
  const line: Line = { columns: new Map(), corked: false }
  const patience = patienceWith(() => (client as unknown as Streaming).connection.stream.destroy())
  const send = (sql: string, values: readonly unknown[] | undefined): Promise<Answer> =>
    new Promise((resolve, reject) => {
      client.query(
        new PostgresQuery(
          { sql, values: values ?? [], name: values && nameOf(sql) },
          { line, parserOf, waiting: { resolve, reject } },
        ) as never,
      )
    })
  const ask = async (sql: string, parameters?: readonly unknown[]): Promise<Answer> => {
    if (lost) throw new GatewayError("stale", {}, new Error("the connection to the store is lost"))
    patience.asked()
    try {
      return await send(sql, parameters)
    } catch (failure) {
      if (isRefusal(failure)) throw failure
      lost = true
      throw asStale(failure)
    } finally {
      patience.answered()
    }
  }
  client.on("error", () => void (lost = true))
  const query = (async (sql: string, parameters: readonly unknown[]) => {
    const answer = await ask(sql, parameters)
    await confirm(ask)
    return answer
  }) as never
  const release = (destroy?: boolean): void => client.release(lost || destroy === true)
  let begun: Promise<unknown> | undefined
  const within = (async (sql: string, parameters: readonly unknown[]) => {
    await begun
    return ask(sql, parameters)
  }) as never
  const pool = { connect: async () => ({ query: within, release() {} }), end: async () => {}, options: {} }
  const begin: Alone["begin"] = ([first = "", ...others]) => {
    const answers = Promise.all([ask(first), ...others.map((sql) => ask(sql, []))])
    const last = answers.then((all) => all.at(-1) as Answer)
    begun = last
    return last
  }
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) })
  return { query, release, alone: { ask, begin, isLost: () => lost, db } }
}

/** What `pg`'s types leave out of a connection. */
interface Streaming {
  readonly connection: { readonly stream: { destroy(): void } }
}

/** Calls `give_up` once an answer takes too long: of what was asked, one comes after the other. */
function patienceWith(give_up: () => void) {
  let waiting = 0
  let timer: NodeJS.Timeout | undefined
  return {
    asked(): void {
      if (waiting++ === 0) timer = setTimeout(give_up, limits.store_answer_ms_max)
    },
    answered(): void {
      if (--waiting === 0) clearTimeout(timer)
      else timer?.refresh()
    },
  }
}

const names = new Map<string, string>()

/** A statement is prepared under a name, once on each connection: the database reads and plans it no second time. */
function nameOf(sql: string): string | undefined {
  const known = names.get(sql)
  if (known !== undefined || names.size >= limits.store_statements_max) return known
  const name = `sluice_${names.size}`
  names.set(sql, name)
  return name
}

/**
 * SQLSTATE classes of a database that cannot do its work now (PostgreSQL, appendix A), in place of one that will not do ours. 0A: a newer
 * service has changed a table that a prepared statement reads; a new connection prepares it anew.
 */
const unable = new Set(["0A", "08", "25", "40", "53", "55", "57", "58", "XX"])

/** What comes after a statement that failed in a transaction; that one's own failure says what it means. */
const in_failed_transaction = "25P02"

function isRefusal(failure: unknown): boolean {
  if (failure instanceof DatabaseError && failure.code === in_failed_transaction) return true
  return failure instanceof DatabaseError && !unable.has(failure.code?.slice(0, 2) ?? "08")
}

export const asStale = (failure: unknown): GatewayError => GatewayError.from(failure, "stale")
