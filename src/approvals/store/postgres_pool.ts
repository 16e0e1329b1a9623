// Connections to PostgreSQL, in the shape that kysely's dialect takes. It owns their bounds, their TLS, and what a failure on one
// means: what the database refuses is an error of its own; a database that is away, restarting or overloaded is `stale`.
import { Client, type ClientConfig, DatabaseError, Pool, type PoolClient, type QueryResult, types } from "pg"
import { Kysely, PostgresDialect } from "kysely"
import type { PostgresStoreConfig } from "../../config/config.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
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
}

/** One connection. Its statements are sent as they are asked for and answered in that order, none waiting for the answer before it. */
export interface Alone {
  /** The same connection, for statements that kysely builds at each run. */
  readonly db: Kysely<Tables>
  ask(sql: string, parameters?: readonly unknown[]): Promise<Answer>
  /** Whether it is lost: whatever is asked now fails. */
  isLost(): boolean
}

/** Of several statements in one text, the last one's. */
export type Answer = Pick<QueryResult<Record<string, unknown>>, "command" | "rows">

/** Closing `db` closes its connections. */
export function connectionsTo(config: PostgresStoreConfig, { connections_max, log, confirm = async () => {} }: PoolOptions): Connections {
  const bounds = { max: connections_max, idleTimeoutMillis: limits.store_idle_ms_max }
  const pool = new Pool({ ...clientConfig(config), ...bounds, pipeline: true })
  pool.on("error", (err) => log.warn({ err }, "lost a connection to the store"))
  const connect = async () => {
    try {
      return checked(await pool.connect(), confirm)
    } catch (failure) {
      throw asStale(failure)
    }
  }
  const alone: Connections["alone"] = async (work) => {
    const connection = await connect()
    try {
      return await work(connection.alone())
    } finally {
      connection.release()
    }
  }
  return {
    db: new Kysely<Tables>({ dialect: new PostgresDialect({ pool: { connect, end: () => pool.end(), options: {} } }) }),
    read: async (sql, parameters) => {
      const answer = await alone(async ({ ask }) => {
        const answer = await ask(sql, parameters)
        await confirm(ask)
        return answer
      })
      return answer.rows
    },
    alone,
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
    types: {
      // 64 bits hold times in milliseconds here, and counts: all of them whole numbers of JavaScript's.
      getTypeParser: (oid: number, format?: "text" | "binary") => (oid === int8 ? Number : types.getTypeParser(oid, format)),
    },
  }
}

/** A connection that failed is not used again. */
function checked(client: PoolClient, confirm: NonNullable<PoolOptions["confirm"]>) {
  let lost = false
  const ask = async (sql: string, parameters: readonly unknown[] = []): Promise<Answer> => {
    if (lost) throw new GatewayError("stale", {}, new Error("the connection to the store is lost"))
    try {
      const name = nameOf(sql, parameters)
      const answer: Answer = await client.query({ text: sql, values: [...parameters], ...(name === undefined ? {} : { name }) })
      return Array.isArray(answer) ? ((answer as readonly Answer[]).at(-1) ?? { command: "", rows: [] }) : answer
    } catch (failure) {
      if (isRefusal(failure)) throw failure
      lost = true
      throw asStale(failure)
    }
  }
  const onError = (): void => void (lost = true)
  client.on("error", onError)
  const query = ask as never
  const confirmed: typeof ask = async (sql, parameters) => {
    const answer = await ask(sql, parameters)
    await confirm(ask)
    return answer
  }
  return {
    query: confirmed as never,
    release(destroy?: boolean) {
      client.off("error", onError)
      client.release(lost || destroy === true)
    },
    alone: (): Alone => ({
      ask,
      isLost: () => lost,
      db: new Kysely<Tables>({
        dialect: new PostgresDialect({ pool: { connect: async () => ({ query, release() {} }), end: async () => {}, options: {} } }),
      }),
    }),
  }
}

const names = new Map<string, string>()

/** A statement with parameters is prepared under a name, once on each connection: the database reads and plans it no second time. */
function nameOf(sql: string, parameters: readonly unknown[]): string | undefined {
  const known = names.get(sql)
  if (known !== undefined || parameters.length === 0 || names.size >= limits.store_statements_max) return known
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
