// The store of several approval services: one PostgreSQL database. A change is one transaction under a lock that all services
// share, so changes come one after the other everywhere, and the audit log has no gaps and the order of the commits. It owns
// transactions and their outcome; connections are `postgres_pool.ts`'s, and what others commit is `commit_tail.ts`'s.
import { setTimeout as sleep } from "node:timers/promises"
import { type Kysely, sql } from "kysely"
import type { PostgresStoreConfig } from "../../config/config.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { newServiceId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import type { Change, EventRecord, Store } from "../store.ts"
import { changer } from "./changes.ts"
import { CommitTail } from "./commit_tail.ts"
import { postgres } from "./dialect.ts"
import { lists } from "./lists.ts"
import { migrate, schema_version } from "./migrations.ts"
import { outboxReader } from "./outbox.ts"
import type { WritingDoor } from "./kept.ts"
import { type Alone, type Connections, connectionsTo } from "./postgres_pool.ts"
import type { Answer } from "./postgres_query.ts"
import { feeds, lastSequence, reader } from "./reads.ts"
import { SchemaWatch } from "./schema_watch.ts"
import type { Tables } from "./tables.ts"
import { Turns } from "./turns.ts"

export interface PostgresOptions {
  readonly clock: Clock
  readonly log: Log
}

/** Opens the database, its tables made or brought up to date. Rejects, with words for the operator, when that cannot be. */
export async function openPostgresStore(config: PostgresStoreConfig, { clock, log }: PostgresOptions): Promise<Store> {
  // Changes have a connection of their own, so that no crowd of readers keeps them waiting.
  const writing = connectionsTo(config, { connections_max: 1, log })
  const watch = new SchemaWatch(log)
  const reading = connectionsTo(config, {
    connections_max: limits.store_readers_max,
    log,
    confirm: (ask) => watch.confirm(async () => versionOf(await ask(of_version))),
  })
  const door = { db: reading.db, dialect: postgres, read: reading.read }
  const turns = new Turns()
  const service = newServiceId()
  let tail: CommitTail
  const closeAll = async (): Promise<void> => void (await Promise.all([writing.close(), reading.close()]))
  try {
    await checkServer(reading.db)
    await migratePostgres(writing, { settle_ms: limits.store_settle_ms, log })
    watch.begin()
    const { events } = outboxReader(door)
    tail = new CommitTail({
      seen: await lastSequence(reading.db),
      read: events,
      connect: () => reading.connect(),
      channel: await channelOf(reading.db),
      service,
      clock,
      log,
    })
    await tail.start()
  } catch (failure) {
    await closeAll()
    throw failure instanceof GatewayError && failure.cause instanceof Error ? failure.cause : failure
  }

  const change: Store["change"] = (work) =>
    turns.take(async () => {
      const appended: EventRecord[] = []
      const transaction = await writing.alone((alone) => inTransaction(alone, { appended, service, watch }, work))
      if (transaction.lost) await confirm(transaction, appended, reading.db).finally(() => tail.look())
      tail.committed(appended)
      return transaction.answer
    })

  return {
    ...reader(door),
    ...lists(door),
    ...feeds(door),
    change,
    onCommit: (listener) => tail.listen(listener),
    probe: () => change((writes) => writes.probe(clock.now())),
    async close() {
      await turns.idle()
      await tail.close()
      await closeAll()
    },
  }
}

interface Transaction<T> {
  readonly answer: T
  /** The database's name for it. */
  readonly id: string
  /** Why its commit was not answered. Whether it is in force is not known then. */
  readonly lost: GatewayError | undefined
}

/** The same number in every service; with the schema's, one lock for each store of a database. */
const lock =
  // What was answered is kept, whatever the server's setting for others is.
  "select pg_advisory_xact_lock(1936746851, hashtext(current_schema())), " +
  "case when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', true) end"
const of_version = "select version from schema_version"
/**
 * In one go, because each way to the database and back is a good part of what a change takes. What is last is read under the lock, and so is
 * what follows: each statement sees what was committed before it, whatever the server's default is. Its
 * name is asked for before anything is written: a commit whose answer is lost can be asked about, whatever else got lost with it.
 */
const begin = [
  "begin isolation level read committed",
  lock,
  `select coalesce(max(sequence), 0) as last, pg_current_xact_id()::text as id, (${of_version}) as version from events`,
]
const channel = "'sluice_' || hashtext(current_schema())::text"
/** Whose events they are, so that the one who has told them does not read them again. */
const notify = `select pg_notify(${channel}, $1)`

interface Writer {
  readonly appended: EventRecord[]
  /** This opening of the store, as others are told who has committed. */
  readonly service: string
  readonly watch: SchemaWatch
}

/**
 * What is read first goes out behind the beginning, which holds the lock by the time that the database comes to it, and costs no way of its own.
 * Nothing is written before the beginning is answered: had it failed, a statement would be a change by itself. What is written goes
 * out without waiting, and its answers are looked at when the commit's is there.
 */
async function inTransaction<T>(
  { db, ask, begin: open, isLost }: Alone,
  { appended, service, watch }: Writer,
  work: (change: Change) => Promise<T>,
): Promise<Transaction<T>> {
  const written: Promise<unknown>[] = []
  const write: WritingDoor["write"] = (sql, parameters) => {
    const answer = ask(sql, parameters)
    answer.catch(() => {}) // looked at below
    written.push(answer)
  }
  const read = async (sql: string, parameters: readonly unknown[]) => (await ask(sql, parameters)).rows
  try {
    const begun = open(begin).then(({ rows: [row] }) => {
      if (!row) throw new GatewayError("stale")
      const beginning = row as { readonly last: number; readonly id: string; readonly version: number }
      watch.check(beginning.version)
      return beginning
    })
    const last_before = begun.then(({ last }) => last)
    last_before.catch(() => {}) // `begun` says so too
    written.push(begun) // its failure is the first
    const writes = changer({ db, dialect: postgres, read, write, begun }, { appended, last: last_before })
    const answer = await work(writes)
    const { id } = await begun
    await writes.writeEvents()
    const last = appended.at(-1)
    if (last) write(notify, [`${last.sequence} ${service}`])
    if (isLost()) throw new GatewayError("stale")
    const lost = await ask("commit").then(
      async ({ command }) => {
        // The database has undone it, because a statement before it has failed.
        if (command !== "COMMIT") throw (await firstFailure(written)) ?? new GatewayError("stale")
        return undefined
      },
      (failure: unknown) => GatewayError.from(failure, "stale"),
    )
    return { answer, id, lost }
  } catch (failure) {
    // On a connection that is lost this fails too, and the database has rolled back by itself.
    await ask("rollback").catch(() => {})
    // Whatever went wrong after a write that failed did so because of it.
    throw (await firstFailure(written)) ?? failure
  }
}

async function firstFailure(answers: readonly Promise<unknown>[]): Promise<unknown> {
  const failed = (await Promise.allSettled(answers)).find(({ status }) => status === "rejected")
  return failed && (failed as PromiseRejectedResult).reason
}

/** Asks the database what became of a commit that it did not answer. Throws `stale` unless the change is in force. */
async function confirm({ id, lost }: Transaction<unknown>, appended: readonly EventRecord[], db: Kysely<Tables>): Promise<void> {
  const last = appended.at(-1)
  for (let attempt = 0; attempt < limits.store_confirm_attempts_max; attempt++) {
    const outcome = await sql<{ status: string | null; detail: string | null }>`
      select pg_xact_status(${id}::text::xid8) as status, (select detail from events where sequence = ${last?.sequence ?? 0}) as detail
    `
      .execute(db)
      .then(
        ({ rows }) => rows[0],
        () => undefined,
      )
    if (outcome?.status === "aborted") break
    // The number alone would do on this server; on one that took its place, its last event must be there too.
    if (outcome?.status === "committed") {
      if (last && outcome.detail !== JSON.stringify(last.detail)) break
      return
    }
    await sleep(limits.store_confirm_ms)
  }
  throw new GatewayError("stale", {}, lost)
}

async function channelOf(db: Kysely<Tables>): Promise<string> {
  const { rows } = await sql<{ name: string }>`select ${sql.raw(channel)} as name`.execute(db)
  return rows[0]?.name ?? ""
}

async function checkServer(db: Kysely<Tables>): Promise<void> {
  const { rows } = await sql<{ version: number; schema: string | null }>`
    select current_setting('server_version_num')::int as version, current_schema() as schema
  `.execute(db)
  const [found] = rows
  if (!found || found.version < 130_000) throw new Error("the store needs PostgreSQL 13 or newer")
  if (found.schema === null)
    throw new Error("the store's search_path names no schema that is there: make one, or change options=-c search_path=… in the URL")
}

/** Undefined: nobody has made it. */
const versionOf = ({ rows }: Answer): number | undefined => rows[0]?.["version"] as number | undefined

export interface Migrating {
  /** Left out: to this program's own. */
  readonly to?: number
  /** How long to keep still when a store that was there is of another version now, and with it whoever starts meanwhile. */
  readonly settle_ms?: number
  readonly log?: Log
}

/** Takes the database to a version of the schema. */
export async function migratePostgres({ connect }: Pick<Connections, "connect">, options: Migrating = {}): Promise<void> {
  const { to = schema_version, settle_ms = 0, log } = options
  // Tables may be large: this is the operator's time, not a caller's.
  const client = await connect({ query_timeout: 0 })
  try {
    await client.query("set statement_timeout = 0; set lock_timeout = 0; set idle_in_transaction_session_timeout = 0")
    // One service migrates, the others wait and find it done. It is the connection's, not the transaction's: kept while it keeps still.
    await client.query("select pg_advisory_lock(1936746851, hashtext(current_schema()))")
    await client.query("begin")
    await client.query("create table if not exists schema_version (version bigint not null)")
    const from = await migrate(
      {
        dialect: postgres,
        version: async () => (await client.query<{ version: number }>("select version from schema_version")).rows[0]?.version ?? 0,
        setVersion: async (version) => {
          await client.query("delete from schema_version")
          await client.query("insert into schema_version values ($1)", [version])
        },
        exec: async (text) => void (await client.query(text)),
      },
      to,
    )
    await client.query("commit")
    if (from === 0 || from === to) return
    log?.info({ from, to, settle_ms }, "the store was brought to this program's version; services of another one stop now")
    await sleep(settle_ms)
  } finally {
    await client.end() // what was not committed goes with the connection
  }
}
