// A new, empty store for a test: a SQLite file, or, where `SLUICE_TEST_STORE=postgres`, a schema of a real PostgreSQL server that
// this process starts once. The same tests run on both.
import { mkdtempSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Client } from "pg"
import type { PostgresStoreConfig, StoreConfig } from "../../src/config/config.ts"
import type { Store } from "../../src/approvals/store.ts"
import { openStore } from "../../src/approvals/store/open_store.ts"
import type { Clock } from "../../src/core/clock.ts"
import { Secret } from "../../src/core/secret.ts"
import { createLog } from "../../src/observe/log.ts"
import { type Postgres, startPostgres } from "./postgres.ts"
import { superuser } from "./postgres_cluster.ts"
import { scratch } from "./scratch.ts"

export const onPostgres = process.env["SLUICE_TEST_STORE"] === "postgres"

let server: Promise<Postgres> | undefined
let folder: string | undefined
let count = 0
/** Schemas that a test is done with: emptied in a tenth of the time that a new one takes. */
const used: PostgresStoreConfig[] = []

/** Where a store can be made; nothing is in it yet. */
export async function newStore(): Promise<StoreConfig> {
  if (onPostgres) return used.pop() ?? newEmptySchema()
  folder ??= scratch("stores")
  return { kind: "sqlite", path: join(mkdtempSync(join(folder, "store-")), "sluice.db") }
}

/** Without a table, on the server that this process starts once. */
export async function newEmptySchema(): Promise<PostgresStoreConfig> {
  return newPostgresStore(await (server ??= startPostgres()))
}

/** Nobody uses it any more, and the next test may have it, empty. It must be of this program's version. */
export async function giveBack(store: StoreConfig): Promise<void> {
  if (store.kind === "sqlite") return
  const schema = /search_path=(\w+)/.exec(store.options ?? "")?.[1]
  await query(
    store,
    `do $$ declare one text; begin
       perform set_config('session_replication_role', 'replica', true); -- in any order, whatever refers to whatever
       for one in select tablename from pg_tables where schemaname = '${schema}' and tablename not in ('schema_version', 'history')
         loop execute format('delete from %I', one); end loop;
       update history set id = md5(random()::text);
     end $$`,
  )
  used.push(store)
}

/** Ends the server that this process started, if any. */
export async function stopStores(): Promise<void> {
  await (await server)?.stop()
}

/** A schema of its own on `postgres`. */
export async function newPostgresStore(postgres: Postgres): Promise<PostgresStoreConfig> {
  const schema = `sluice_${process.pid}_${++count}`
  await postgres.admin(`create schema ${schema}`)
  return postgresStore(postgres, schema)
}

export function postgresStore({ address, database }: Pick<Postgres, "address" | "database">, schema: string): PostgresStoreConfig {
  return {
    kind: "postgres",
    name: `postgres://${address.host}:${address.port}/${database}`,
    ...address,
    user: superuser.name,
    password: new Secret(superuser.password),
    database,
    tls: "disable",
    ca: undefined,
    options: `-c search_path=${schema}`,
  }
}

/** The same as the config writes it. */
export function storeUrl({ user, password, host, port, database, options }: PostgresStoreConfig): string {
  return `postgres://${user}:${password?.reveal()}@${host}:${port}/${database}?options=${encodeURIComponent(options ?? "")}`
}

export async function openNewStore(clock: Clock): Promise<{ readonly store: Store; readonly config: StoreConfig }> {
  const config = await newStore()
  return { store: await openStore(config, { clock, log: createLog("silent") }), config }
}

/** One statement, past the program. */
export async function query(config: StoreConfig, sql: string): Promise<Record<string, unknown>[]> {
  if (config.kind === "sqlite") {
    const db = new DatabaseSync(config.path)
    try {
      return db.prepare(sql).all()
    } finally {
      db.close()
    }
  }
  const client = new Client({ ...config, password: config.password?.reveal(), ssl: false })
  await client.connect()
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql)
    // 64 bits come as text; every number here is a small one.
    return rows.map((row) =>
      Object.fromEntries(
        Object.entries(row).map(([name, value]) => [name, typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value]),
      ),
    )
  } finally {
    await client.end()
  }
}
