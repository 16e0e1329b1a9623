// What only a store that is a server can do: lose the line in the middle of a commit, or the words about what others commit. Run by
// `on_postgres.test.ts`, on its server.
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import type { PostgresStoreConfig } from "../../../src/config/config.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { note } from "../../../src/approvals/journal.ts"
import type { Change, Store } from "../../../src/approvals/store.ts"
import { openStore } from "../../../src/approvals/store/open_store.ts"
import type { RequestId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { LineSink } from "../../support/line_sink.ts"
import { lossyLine } from "../../support/lossy_line.ts"
import { newStore, query } from "../../support/store.ts"
import { eventually } from "../../support/wait.ts"

const actor = { actor: "person", by: "alice", from: null } as const

async function newPlace(): Promise<PostgresStoreConfig> {
  const config = await newStore()
  assert(config.kind === "postgres")
  return config
}

async function open(t: TestContext, config: PostgresStoreConfig) {
  const [clock, sink] = [new FakeClock(), new LineSink()]
  const store = await openStore(config, { clock, log: createLog("debug", sink) })
  t.after(() => store.close())
  const told: number[] = []
  store.onCommit((events) => told.push(...events.map(({ sequence }) => sequence)))
  return { store, clock, told, log: () => sink.text }
}

const isStale = (failure: unknown): boolean => failure instanceof GatewayError && failure.code === "stale"

/** Adds one event. */
const write = (store: Store): Promise<number> => store.change((change) => note(change, { at: 1, kind: "request.asked", actor, detail: {} }))
const upTo = (last: number): number[] => Array.from({ length: last }, (_, index) => index + 1)

test("postgres store: a commit whose answer got lost is in force once, and is answered and told as if nothing had been", async (t) => {
  const place = await newPlace()
  const line = await lossyLine({ host: "127.0.0.1", port: place.port })
  const { store, told } = await open(t, { ...place, ...line.address })
  t.after(() => line.close())
  assert.equal(await write(store), 1)
  line.breakAt("commit\0", "answered")
  assert.equal(await write(store), 2)
  assert.deepEqual(await query(place, "select sequence from events order by sequence"), [{ sequence: 1 }, { sequence: 2 }])
  assert.equal(await write(store), 3)
  await eventually("all to be told", () => told.length >= 3)
  assert.deepEqual(told, [1, 2, 3])
})

test("postgres store: closed, it has left no connection behind", async () => {
  const place = await newPlace()
  const opened = () => openStore(place, { clock: new FakeClock(), log: createLog("silent") })
  await (await opened()).close() // the tables are there from here on, so opening it does less
  const pids = async () => (await query(place, "select pid from pg_stat_activity where application_name = 'sluice'")).map(({ pid }) => pid)
  const before = new Set(await pids())
  const own = async () => (await pids()).filter((pid) => !before.has(pid))
  const store = await opened()
  assert.equal(await write(store), 1)
  await store.pendingRequests({ after: 0 as RequestId, now: 1, limit: 1 })
  assert.notDeepEqual(await own(), [])
  await store.close()
  await eventually(
    "them to be gone, before they would be for being idle",
    async () => (await own()).length === 0,
    limits.store_idle_ms_max / 4,
  )
})

test("postgres store: a commit that never arrived is `stale`, leaves nothing, is told to nobody, and the next one is not held up", async (t) => {
  const place = await newPlace()
  const line = await lossyLine({ host: "127.0.0.1", port: place.port })
  const { store, told } = await open(t, { ...place, ...line.address })
  t.after(() => line.close())
  line.breakAt("commit\0", "before")
  await assert.rejects(write(store), isStale)
  assert.deepEqual([await query(place, "select sequence from events"), told], [[], []])
  assert.equal(await write(store), 1)
  await eventually("it to be told", () => told.length > 0)
  assert.deepEqual(told, [1])
})

test("postgres store: a line that breaks before the work is done leaves nothing of it", async (t) => {
  const place = await newPlace()
  const line = await lossyLine({ host: "127.0.0.1", port: place.port })
  const { store } = await open(t, { ...place, ...line.address })
  t.after(() => line.close())
  line.breakAt("pg_notify", "before")
  await assert.rejects(write(store), isStale)
  assert.equal(await write(store), 1)
})

test("postgres store: what is read goes ahead of the word that a change has begun, and nothing is written when it has not", async (t) => {
  const place = await newPlace()
  const line = await lossyLine({ host: "127.0.0.1", port: place.port })
  const { store } = await open(t, { ...place, ...line.address })
  t.after(() => line.close())
  const work = async (change: Change): Promise<number> => {
    const reads = await Promise.all([change.request(1 as RequestId), change.personCalled("alice"), change.tokenKeys()])
    assert.deepEqual(reads, [undefined, { person: undefined, standing: undefined }, []])
    await change.probe(2)
    return note(change, { at: 1, kind: "request.asked", actor, detail: {} })
  }
  assert.equal(await store.change(work), 1)
  line.breakAt("begin isolation", "before")
  await assert.rejects(store.change(work), isStale)
  assert.equal((await query(place, "select sequence from events")).length, 1)
  // A change that only reads has not been under the lock either.
  line.breakAt("begin isolation", "before")
  await assert.rejects(
    store.change((change) => change.personCalled("alice")),
    isStale,
  )
  assert.equal(await store.change(work), 2)
})

test("postgres store: two services that write at once have one log without a gap, whatever isolation the server gives by itself", async (t) => {
  const place = await newPlace()
  const strict = { ...place, options: `${place.options ?? ""} -c default_transaction_isolation=serializable` }
  const [here, there] = [await open(t, strict), await open(t, strict)]
  const written = await Promise.all(Array.from({ length: 40 }, (_, index) => write((index % 2 === 0 ? here : there).store)))
  assert.deepEqual(
    written.toSorted((a, b) => a - b),
    upTo(40),
  )
})

test("postgres store: a table that has got a column since a statement was prepared is read right, after one failure at most", async (t) => {
  const place = await newPlace()
  const { store } = await open(t, place)
  t.after(() => query(place, "alter table token_keys drop column if exists since"))
  const key = { kid: "k1", jwk: "{}", seen_at: 7 }
  await store.change((change) => change.showTokenKey(key))
  const whole = { ...key, retired_at: null, good_until: null }
  for (let turn = 0; turn < 3; turn++) assert.deepEqual(await store.tokenKeys(), [whole])
  await query(place, "alter table token_keys add column since bigint default 5")
  await store.tokenKeys().catch((failure: unknown) => assert(isStale(failure)))
  assert.deepEqual(await store.tokenKeys(), [{ ...whole, since: 5 }])
})

test("postgres store: a database that says nothing more is `stale` in a bounded time, for all that wait for it, and its connection is given up", async (t) => {
  const place = await newPlace()
  const line = await lossyLine({ host: "127.0.0.1", port: place.port })
  const { store } = await open(t, { ...place, ...line.address })
  t.after(() => line.close())
  assert.equal(await write(store), 1)
  line.breakAt("begin isolation", "silent")
  const waiting = [write(store), write(store)]
  await assert.rejects(waiting[0] as Promise<number>, isStale)
  // The second has a connection of its own, in which nothing of the first is.
  assert.equal(await waiting[1], 2)
  assert.equal((await query(place, "select sequence from events")).length, 2)
})

test("postgres store: what others commit while nobody listens is told when the line is back, each once and in order", async (t) => {
  const place = await newPlace()
  const [here, there] = [await open(t, place), await open(t, place)]
  await write(there.store)
  await eventually("the first to be heard of", () => here.told.length === 1)
  const listening = `application_name = 'sluice' and query like 'listen %' and pid <> pg_backend_pid()`
  const schema = /search_path=(\w+)/.exec(place.options ?? "")?.[1] ?? ""
  await query(place, `select pg_terminate_backend(pid) from pg_stat_activity where ${listening}`)
  for (const at of [here, there]) await eventually("it to be noticed", () => at.log().includes("lost the store's notifications"))
  for (let count = 0; count < 300; count++) await write(there.store)
  assert.deepEqual(here.told, [1], `nothing reaches ${schema} by itself`)
  here.clock.advance(100)
  await eventually("all to be told", () => here.told.length >= 301)
  assert.deepEqual(here.told, upTo(301))
  await write(there.store)
  await eventually("what comes after it, by its word", () => here.told.length >= 302)
  assert.deepEqual([here.told, there.told], [upTo(302), upTo(302)])
})
