// A service of this version on the store of the one before it, in the middle of its work: whatever waited goes on, what was in force
// is in force, and what was to be told is told.
import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { test, type TestContext } from "node:test"
import type { AccessRule, StoreConfig } from "../../../src/config/config.ts"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"
import { migratePostgres } from "../../../src/approvals/store/postgres_store.ts"
import { connectionsTo } from "../../../src/approvals/store/postgres_pool.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { startReceiver } from "../../support/receiver.ts"
import { scratch } from "../../support/scratch.ts"
import { newEmptySchema, onPostgres, query } from "../../support/store.ts"
import { eventually } from "../../support/wait.ts"
import { holdRule, hour, type Service, startService, testConfig } from "./service.ts"

const version = 15
/** When the earlier service was stopped. */
const stopped_at = Date.parse("2026-01-15T12:00:00Z")
const [running, held] = ["s_0000000000000015", "s_0000000000000016"]
const digest = `sha256:${"a".repeat(64)}`

function vector(path: string): DatabaseSync {
  const db = new DatabaseSync(path)
  db.exec(readFileSync(join(import.meta.dirname, `../../vectors/store_version_${version}.sql`), "utf8"))
  return db
}

/** The same rows, on whichever store the tests run. */
async function earlierStore(): Promise<StoreConfig> {
  const path = `${scratch("upgrade")}/sluice.db`
  const db = vector(path)
  try {
    if (!onPostgres) return { kind: "sqlite", path }
    const config = await newEmptySchema()
    const connections = connectionsTo(config, { connections_max: 1, log: createLog("silent") })
    await migratePostgres(connections, { to: version })
    await connections.close()
    const tables = db.prepare("select name from sqlite_schema where type = 'table' and name not like 'sqlite_%' order by rowid").all()
    for (const { name } of tables) {
      if (String(name) === "history") await query(config, "delete from history")
      for (const row of db.prepare(`select * from ${String(name)}`).all()) {
        const values = Object.values(row).map((value) => (value === null ? "null" : `'${String(value).replaceAll("'", "''")}'`))
        await query(
          config,
          `insert into ${String(name)} (${Object.keys(row).join(", ")}) overriding system value values (${values.join(", ")})`,
        )
      }
    }
    await query(config, "select setval(pg_get_serial_sequence('requests', 'id'), (select max(id) from requests))")
    return config
  } finally {
    db.close()
  }
}

async function upgraded(t: TestContext): Promise<{ service: Service; received(): string[] }> {
  const { policy, approvals } = testConfig("/nowhere")
  const [, usual] = policy.access
  assert(usual)
  const loud: AccessRule = { ...usual, approve: { review: ["oncall"], within_ms: 24 * hour }, reason_required: true }
  const receiver = await startReceiver()
  t.after(() => receiver.stop())
  const hook = { name: "hook", on: ["request.*"], way: "webhook", url: new URL(`${receiver.url}/in`), secret: new Secret("s") } as const
  const change = {
    approvals: { ...approvals, store: await earlierStore() },
    policy: { ...policy, access: [loud, ...policy.access], actions: [holdRule] },
    notify: [hook],
  }
  const service = await startService(t, change, new FakeClock(stopped_at))
  return { service, received: () => receiver.received.map(({ body }) => (JSON.parse(body) as { id: string }).id) }
}

test("upgrade: what waited for somebody is decided, and nobody's approval is lost or counted twice", async (t) => {
  const { service } = await upgraded(t)
  const decide = (who: string, id: number, verb = "approve") => service.call(who, `POST /v1/requests/${id}/${verb}`, { reason: "seen" })
  const { requests } = (await service.call("bob", "GET /v1/requests?status=pending")).body
  assert.deepEqual(
    requests.map(({ id }) => id),
    [8, 6, 3, 2],
  )
  assert.equal((await decide("bob", 2)).body.status, "pending", "it is bob's that is there")
  assert.equal((await decide("erin", 2)).body.status, "approved")
  assert.equal((await decide("erin", 3)).body.grant?.first_use_ms, hour)
  const before = (await service.call("alice", "GET /v1/requests/5")).body.grant
  const after = (await decide("bob", 6)).body.grant
  assert.deepEqual([after?.id, after?.ends_at], [before?.id, (before?.ends_at ?? 0) + hour], "the same grant has a later end")
  assert.equal((await decide("bob", 4, "review")).status, 200)
  assert.equal((await service.call("alice", "GET /v1/requests/7")).body.status, "denied")
  assert.equal((await service.ask({ as: ["root"] })).body.id, 9)
})

test("upgrade: a held action that waited is approved and taken once", async (t) => {
  const { service } = await upgraded(t)
  assert.equal((await service.call("erin", "POST /v1/requests/8/approve", {})).body.status, "approved")
  const redeem = () => service.call("gateway", "POST /v1/gateway/holds/8/redeem", { gateway: "gw", session: held, digest })
  assert.equal((await redeem()).status, 200)
  assert.notEqual((await redeem()).status, 200)
})

test("upgrade: a grant has the uses and the actions that it had, and its sessions are listed, killed and revoked", async (t) => {
  const { service } = await upgraded(t)
  const { grants } = (await service.call("alice", "GET /v1/grants")).body
  const counted = grants.find(({ actions }) => actions !== null)
  assert.deepEqual([counted?.actions, counted?.uses_left], [["systemctl restart *", "uptime"], 2])
  const live = (await service.call("dana", "GET /v1/sessions?live=true")).body.sessions.map(({ id }) => id)
  assert.deepEqual(live.toSorted(), [running, held])
  assert.equal((await service.call("bob", `POST /v1/sessions/${held}/kill`, { reason: "enough" })).status, 200)
  assert.equal((await service.call("bob", `POST /v1/grants/${counted?.id}/revoke`, { reason: "enough" })).body.status, "revoked")
})

test("upgrade: the log goes on where it was, without a gap, and what was not told yet is told", async (t) => {
  const { service, received } = await upgraded(t)
  await service.ask({ as: ["root"] })
  const { events } = (await service.call("gina", "GET /v1/audit?limit=100")).body as unknown as { events: { sequence: number }[] }
  const sequences = events.map(({ sequence }) => sequence).toReversed()
  assert.deepEqual(
    sequences,
    sequences.map((_, index) => index + 1),
  )
  assert(sequences.length > 24)
  const { requests } = (await service.call("frank", "GET /v1/requests")).body
  assert.equal(requests, undefined, "who was disabled still is")
  // Sixteen had failed or waited when it was stopped, and one request was asked since.
  const delivered = (): number => service.log.filter((line) => line.includes("a notification was delivered")).length
  await eventually("all to be told", () => {
    // In small steps, and none while an answer is under way: on a busy machine an attempt would run out of time, and come twice.
    if (delivered() === received().length) service.clock.advance(limits.notification_send_ms_max / 10)
    return new Set(received()).size >= 17
  })
  assert.deepEqual([received().length, new Set(received()).size], [17, 17])
})
