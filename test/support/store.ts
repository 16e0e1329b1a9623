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

/** Where a store can be made; nothing is there yet. */
export async function newStore(): Promise<StoreConfig> {
  if (onPostgres) return newPostgresStore(await (server ??= startPostgres()))
  folder ??= scratch("stores")
  return { kind: "sqlite", path: join(mkdtempSync(join(folder, "store-")), "sluice.db") }
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
