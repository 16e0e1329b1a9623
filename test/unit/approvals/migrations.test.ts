// The store's schema: every version of it that was ever written comes up to this program's, and every step has its way back.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import test from "node:test"
import { schema_version } from "../../../src/approvals/store/migrations.ts"
import { migrateSqlite, openSqliteStore } from "../../../src/approvals/store/sqlite_store.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { scratch } from "../../support/scratch.ts"

const clock = new FakeClock(10_000)
const newPath = (): string => `${scratch("migrations")}/store.db`
const first = readFileSync(join(import.meta.dirname, "../../vectors/store_version_1.sql"), "utf8")

function using<T>(path: string, work: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(path)
  try {
    return work(db)
  } finally {
    db.close()
  }
}

/** Tables, their columns and indexes, without the words they were written in. */
function shape(path: string): unknown {
  return using(path, (db) =>
    db
      .prepare("select type, name from sqlite_schema where name not like 'sqlite_%' order by type, name")
      .all()
      .map(({ type, name }) => [type, name, db.prepare(`pragma table_xinfo(${String(name)})`).all()]),
  )
}

test("migrations: a file that the first program wrote opens with all that is in it", async (t) => {
  const path = newPath()
  using(path, (db) => db.exec(first))
  const store = await openSqliteStore(path, clock)
  t.after(() => store.close())
  const request = await store.request(1 as never)
  assert.deepEqual(request?.as, ["root"])
  assert.deepEqual(
    request?.decisions.map(({ by }) => by),
    ["erin@example.com", "bob@example.com"],
  )
  assert.equal(request?.grant?.id, "g_0000000000000001")
  assert.deepEqual((await store.request(2 as never))?.approve_by, ["oncall", "dana@example.com"])
  const dana = { subject: "dana@example.com", names: ["dana@example.com"] }
  assert.deepEqual(
    (await store.requests({ seen: dana, live_at: undefined, limit: 10 })).map(({ id }) => id),
    [2],
  )
  assert.equal((await store.session("s_0000000000000001" as never))?.as, "root")
  assert.equal(await store.sequence(), 5)
  assert.deepEqual(
    (await store.feed(0, 10)).events.map(({ kind }) => kind),
    ["request.approved", "grant.made"],
  )
  const next = await store.change(async (change) => {
    assert(request)
    const { id: _id, decisions: _decisions, grant: _grant, escalated: _escalated, reviewed: _reviewed, ...record } = request
    return change.addRequest({ ...record, target: "other" })
  })
  assert.equal(next, 3)
})

test("migrations: the first step makes what the first program made", async () => {
  const [old, made] = [newPath(), newPath()]
  using(old, (db) => db.exec(first))
  await migrateSqlite(made, 1)
  assert.deepEqual(shape(made), shape(old))
})

test("migrations: every step goes back to where it came from, and forward again, with what was there", async () => {
  const path = newPath()
  using(path, (db) => db.exec(first))
  const shapes = [shape(path)]
  for (let version = 2; version <= schema_version; version++) {
    await migrateSqlite(path, version)
    shapes.push(shape(path))
  }
  for (let version = schema_version; version >= 1; version--) {
    await migrateSqlite(path, version)
    assert.deepEqual(shape(path), shapes[version - 1], `down to ${version}`)
  }
  const store = await openSqliteStore(path, clock)
  assert.equal((await store.request(1 as never))?.decisions.length, 2)
  await store.close()
  await migrateSqlite(path, 0)
  assert.deepEqual(shape(path), [])
  const again = await openSqliteStore(path, clock)
  assert.equal(await again.sequence(), 0)
  await again.close()
})

test("migrations: on the way back a grant for less does not become one for everything, nor a request for it", async () => {
  const path = newPath()
  using(path, (db) => db.exec(first))
  await (await openSqliteStore(path, clock)).close()
  const limits = ["actions = '[\"uptime\"]'", "uses_max = 3, uses_left = 2", "first_use_ms = 1000", "status = 'spent', uses_left = 0"]
  for (const limit of limits) {
    using(path, (db) =>
      db.exec(`update grants set status = 'active'; update requests set state = 'pending' where id = 2; update grants set ${limit}`),
    )
    using(path, (db) => db.exec("update requests set extends_grant = 'g_0000000000000001', extends_to = 5 where id = 2"))
    await migrateSqlite(path, 1)
    const read = (sql: string): unknown => using(path, (db) => db.prepare(sql).get())
    assert.deepEqual({ ...(read("select status from grants") as object) }, { status: "dropped" }, limit)
    assert.deepEqual({ ...(read("select state from requests where id = 2") as object) }, { state: "withdrawn" })
    await migrateSqlite(path)
  }
})
