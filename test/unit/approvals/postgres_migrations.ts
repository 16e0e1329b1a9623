// The store's schema on PostgreSQL: every step has its way back, with what was there. Run by `on_postgres.test.ts`, on its server.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import type { PostgresStoreConfig } from "../../../src/config/config.ts"
import { schema_version } from "../../../src/approvals/store/migrations.ts"
import { openStore } from "../../../src/approvals/store/open_store.ts"
import { connectionsTo } from "../../../src/approvals/store/postgres_pool.ts"
import { migratePostgres } from "../../../src/approvals/store/postgres_store.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { newEmptySchema, query } from "../../support/store.ts"

const log = createLog("silent")
/** What the first program could have written: the rows of the file that it left, in the tables of the first step. */
const rows = /^insert into requests[\s\S]*?(?=^pragma)/m
  .exec(readFileSync(join(import.meta.dirname, "../../vectors/store_version_1.sql"), "utf8"))?.[0]
  .replace("insert into decisions values", "insert into decisions (request, by_name, actor, verdict, reason, at) values")

async function migrateTo(config: PostgresStoreConfig, version: number): Promise<void> {
  const connections = connectionsTo(config, { connections_max: 1, log })
  try {
    await migratePostgres(connections, { to: version })
  } finally {
    await connections.close()
  }
}

/** Columns, indexes, checks and triggers, without the order they were made in and the names that PostgreSQL chose by itself. */
const shape = (config: PostgresStoreConfig): Promise<unknown> =>
  query(
    config,
    `select table_name::text as at, concat_ws(' ', column_name, data_type, is_nullable, column_default) as says
       from information_schema.columns where table_schema = current_schema()
     union all select tablename::text, regexp_replace(indexdef, 'INDEX \\S+ ON \\S+', 'INDEX ON')
       from pg_indexes where schemaname = current_schema()
     union all select r.relname::text, pg_get_constraintdef(c.oid) from pg_constraint c join pg_class r on r.oid = c.conrelid
       where c.connamespace = current_schema()::regnamespace and c.contype <> 'n'
     union all select event_object_table::text, trigger_name from information_schema.triggers where trigger_schema = current_schema()
     order by 1, 2`,
  )

async function firstVersion(): Promise<PostgresStoreConfig> {
  assert(rows)
  const config = await newEmptySchema()
  await migrateTo(config, 1)
  for (const statement of rows.split(/;\n/).filter((text) => text !== "")) await query(config, statement)
  return config
}

test("postgres migrations: every step goes back to where it came from, and forward again, with what was there", async () => {
  const config = await firstVersion()
  const shapes = [await shape(config)]
  for (let version = 2; version <= schema_version; version++) {
    await migrateTo(config, version)
    shapes.push(await shape(config))
  }
  for (let version = schema_version; version >= 1; version--) {
    await migrateTo(config, version)
    assert.deepEqual(await shape(config), shapes[version - 1], `down to ${version}`)
  }
  const store = await openStore(config, { clock: new FakeClock(10_000), log })
  const request = await store.request(1 as never)
  assert.deepEqual([request?.decisions.length, request?.grant?.id, request?.as], [2, "g_0000000000000001", ["root"]])
  assert.equal((await store.session("s_0000000000000001" as never))?.as, "root")
  assert.equal(await store.sequence(), 5)
  await store.close()
  assert.deepEqual(await shape(config), shapes.at(-1))
  await migrateTo(config, 0)
  assert.deepEqual(await query(config, "select tablename from pg_tables where schemaname = current_schema()"), [
    { tablename: "schema_version" },
  ])
  const again = await openStore(config, { clock: new FakeClock(10_000), log })
  assert.equal(await again.sequence(), 0)
  await again.close()
})

test("postgres migrations: on the way back a grant for less does not become one for everything, nor a request for it", async () => {
  const config = await firstVersion()
  const limits = ["actions = '[\"uptime\"]'", "uses_max = 3, uses_left = 2", "first_use_ms = 1000", "status = 'spent', uses_left = 0"]
  for (const limit of limits) {
    await migrateTo(config, schema_version)
    for (const statement of [
      "update grants set status = 'active'",
      `update grants set ${limit}`,
      "update requests set state = 'pending', extends_grant = 'g_0000000000000001', extends_to = 5 where id = 2",
    ])
      await query(config, statement)
    await migrateTo(config, 1)
    assert.deepEqual(await query(config, "select status from grants"), [{ status: "dropped" }], limit)
    assert.deepEqual(await query(config, "select state from requests where id = 2"), [{ state: "withdrawn" }])
  }
})

test("postgres migrations: a database of a newer version is refused with words and left as it is", async () => {
  const config = await newEmptySchema()
  await migrateTo(config, schema_version)
  await query(config, `update schema_version set version = ${schema_version + 1}`)
  await assert.rejects(openStore(config, { clock: new FakeClock(), log }), /newer sluice/)
  assert.deepEqual(await query(config, "select version from schema_version"), [{ version: schema_version + 1 }])
})

test("postgres migrations: services that start at once migrate it once", async () => {
  const config = await newEmptySchema()
  const stores = await Promise.all(Array.from({ length: 4 }, () => openStore(config, { clock: new FakeClock(), log })))
  assert.deepEqual(await query(config, "select version from schema_version"), [{ version: schema_version }])
  for (const store of stores) await store.close()
})

test("postgres migrations: a schema that is not there, and a server that is away, are told with the store's name", async () => {
  const config = await newEmptySchema()
  const elsewhere = { ...config, options: "-c search_path=nowhere" }
  await assert.rejects(openStore(elsewhere, { clock: new FakeClock(), log }), /the store cannot be opened: .*names no schema that is there/)
  const away = { ...config, port: 1, name: "postgres://away" }
  await assert.rejects(
    openStore(away, { clock: new FakeClock(), log }),
    /^Error: postgres:\/\/away: the store cannot be opened: .*ECONNREFUSED/,
  )
})
