// Services of two versions on one store, as in the middle of an upgrade. Run by `on_postgres.test.ts`, on its server.
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import type { PostgresStoreConfig } from "../../../src/config/config.ts"
import { limits } from "../../../src/core/limits.ts"
import { schema_version } from "../../../src/approvals/store/migrations.ts"
import { openStore } from "../../../src/approvals/store/open_store.ts"
import { connectionsTo } from "../../../src/approvals/store/postgres_pool.ts"
import { migratePostgres } from "../../../src/approvals/store/postgres_store.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { LineSink } from "../../support/line_sink.ts"
import { newEmptySchema, query } from "../../support/store.ts"
import { eventually } from "../../support/wait.ts"
import { gatewayKey, type Service, startService, testConfig } from "./service.ts"

const stopped = /this service changes and answers nothing any more; replace it/

async function started(t: TestContext): Promise<{ service: Service; place: PostgresStoreConfig }> {
  const place = await newEmptySchema()
  const service = await startService(t, { approvals: { ...testConfig("/nowhere").approvals, store: place } })
  return { service, place }
}

/** Takes the store a step on, as a later program will: with a table that this one does not know. */
async function bringOn(place: PostgresStoreConfig): Promise<void> {
  await query(place, "create table tomorrow (id bigint primary key)")
  await query(place, "update schema_version set version = version + 1")
}

async function takeTo(place: PostgresStoreConfig, to: number): Promise<void> {
  const connections = connectionsTo(place, { connections_max: 1, log: createLog("silent") })
  await migratePostgres(connections, { to })
  await connections.close()
}

async function stale(service: Service, who: string, line: string, body?: object): Promise<void> {
  const answer = await service.call(who, line, body)
  assert.deepEqual([answer.status, answer.body.code], [503, "stale"], line)
}

test("side by side: a service whose store a newer one has brought on changes nothing, answers nothing, and says so once", async (t) => {
  const { service, place } = await started(t)
  const { id } = (await service.ask()).body
  const count = async (): Promise<unknown> => (await query(place, "select count(*) as events from events"))[0]
  const before = await count()
  await bringOn(place)
  await stale(service, "bob", `POST /v1/requests/${id}/approve`, { reason: "seen" })
  await stale(service, "alice", "GET /v1/requests")
  await stale(service, "gateway", "GET /v1/gateway/grants?subject=alice@example.com&target=prod-host")
  assert.equal((await fetch(`${service.url}/readyz`)).status, 503)
  assert.deepEqual(await query(place, "select state from requests"), [{ state: "pending" }])
  assert.deepEqual(await count(), before)
  assert.equal(service.log.filter((line) => stopped.test(line)).length, 1)
})

test("side by side: its gateways hear nothing more, and so open nothing more, although nobody asks it for a change", async (t) => {
  const { service, place } = await started(t)
  const headers = { authorization: `Bearer ${gatewayKey}` }
  const feed = await fetch(`${service.url}/v1/gateway/feed`, { headers })
  let ended = false
  const reading = feed.text().then(
    () => (ended = true),
    () => (ended = true),
  )
  await bringOn(place)
  await eventually("the feed to end", () => {
    service.clock.advance(limits.heartbeat_ms)
    return ended
  })
  await reading
  assert.equal(service.log.filter((line) => stopped.test(line)).length, 1)
})

test("side by side: who has brought a store on keeps still until older services have seen it, and so does who starts meanwhile", async () => {
  const place = await newEmptySchema()
  await takeTo(place, schema_version - 1)
  const sink = new LineSink()
  const opening = openStore(place, { clock: new FakeClock(), log: createLog("debug", sink) })
  await eventually("the step to be taken", () => sink.text.includes("services of another one stop now"))
  assert.deepEqual(await query(place, "select version from schema_version"), [{ version: schema_version }])
  const held = "select count(*) as held from pg_locks where locktype = 'advisory' and granted and objid::int = hashtext(current_schema())"
  assert.deepEqual(await query(place, held), [{ held: 1 }])
  const store = await opening
  assert.deepEqual(await query(place, held), [{ held: 0 }])
  assert.equal(await store.sequence(), 0)
  await store.close()
})

test("side by side: on a store of the step before this one it stops too, and goes on when it is brought back, with all that waited", async (t) => {
  const { service, place } = await started(t)
  const { id } = (await service.ask()).body
  await takeTo(place, schema_version - 1)
  await stale(service, "bob", `POST /v1/requests/${id}/approve`, { reason: "seen" })
  const other = await openStore(place, { clock: new FakeClock(), log: createLog("silent") })
  assert.equal((await other.request(id as never))?.state, "pending")
  await other.close()
  const { status, body } = await service.call("bob", `POST /v1/requests/${id}/approve`, { reason: "seen" })
  assert.deepEqual([status, body.status], [200, "approved"])
  assert.equal((await service.call("alice", "GET /v1/grants")).body.grants.length, 1)
})
