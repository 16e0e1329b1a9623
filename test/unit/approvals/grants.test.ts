// Grants and time: one absolute end, and three ways to end earlier.
import assert from "node:assert/strict"
import test from "node:test"
import { limits } from "../../../src/core/limits.ts"
import { hour, type Reply, type Service, startService } from "./service.ts"

const codeOf = ({ status, body }: Reply): [number, string] => [status, body.code]

async function grantFor(service: Service, body: object = {}) {
  const { body: asked } = await service.ask(body)
  const { body: approved } = await service.call("bob", `POST /v1/requests/${asked.id}/approve`, {})
  assert(approved.grant)
  return approved.grant
}

const lookup = async (service: Service) =>
  (await service.call("gateway", "GET /v1/gateway/grants?subject=alice%40example.com&target=prod-host")).body.grants

test("grants: a later start moves the end with it, and a late decision does not", async (t) => {
  const service = await startService(t)
  const starts_at = service.clock.now() + hour
  await service.ask({ starts_at, duration_ms: 2 * hour })
  service.clock.jump(2 * hour)
  const { body } = await service.call("bob", "POST /v1/requests/1/approve", {})
  assert.deepEqual([body.grant?.starts_at, body.grant?.ends_at], [starts_at, starts_at + 2 * hour])
})

test("grants: a decision after the end that was asked for comes too late", async (t) => {
  const service = await startService(t)
  await service.ask({ starts_at: service.clock.now() + hour, duration_ms: hour })
  service.clock.jump(2 * hour)
  assert.deepEqual(codeOf(await service.call("bob", "POST /v1/requests/1/approve", {})), [409, "over"])
  assert.equal((await service.call("alice", "GET /v1/requests/1")).body.status, "lapsed")
})

test("grants: a start in the past or too far ahead cannot be asked for; one within a minute means now", async (t) => {
  const service = await startService(t)
  const now = service.clock.now()
  assert.deepEqual(codeOf(await service.ask({ starts_at: now - limits.start_behind_ms_max - 1 })), [400, "invalid"])
  assert.deepEqual(codeOf(await service.ask({ starts_at: now + limits.start_ahead_ms_max + 1 })), [400, "invalid"])
  assert.deepEqual(codeOf(await service.ask({ starts_at: now - 30_000, duration_ms: 30_000 })), [400, "invalid"])
  const grant = await grantFor(service, { starts_at: now - 30_000 })
  assert.equal(grant.ends_at, now - 30_000 + hour)
})

test("grants: negative, zero, fractional, ten-year and non-numeric durations are refused", async (t) => {
  const service = await startService(t)
  for (const duration_ms of [-1, 0, 999, 1000.5, 10 * 366 * 24 * hour, 1e300, "1h", null, Number.MAX_SAFE_INTEGER])
    assert.deepEqual(codeOf(await service.ask({ duration_ms, target: "grafana" })), [400, "invalid"], String(duration_ms))
})

test("grants: one of sixty days is one grant of sixty days", async (t) => {
  const service = await startService(t)
  const { body } = await service.ask({ target: "grafana", duration_ms: 60 * 24 * hour })
  assert.equal(body.grant?.ends_at, service.clock.now() + 60 * 24 * hour)
})

test("grants: at its end a grant is over by time alone, also when the clock jumps there", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service)
  service.clock.jump(hour - 1)
  assert.deepEqual(
    (await lookup(service)).map(({ id }) => id),
    [grant.id],
  )
  service.clock.jump(1)
  assert.deepEqual(await lookup(service), [])
  assert.deepEqual((await service.call("alice", "GET /v1/grants")).body.grants, [])
  assert.deepEqual(
    (await service.call("alice", "GET /v1/grants?all=true")).body.grants.map(({ status }) => status),
    ["active"],
  )
  assert.deepEqual(codeOf(await service.call("bob", `POST /v1/grants/${grant.id}/revoke`, {})), [409, "over"])
  assert.deepEqual(codeOf(await service.call("alice", `POST /v1/grants/${grant.id}/drop`, {})), [409, "over"])
})

test("grants: asking again near the end makes a second grant, and the first keeps its own end", async (t) => {
  const service = await startService(t)
  const first = await grantFor(service)
  service.clock.jump(hour - 1000)
  const second = await grantFor(service)
  assert.deepEqual(
    (await lookup(service)).map(({ id, ends_at }) => [id, ends_at]),
    [
      [second.id, service.clock.now() + hour],
      [first.id, first.ends_at],
    ],
  )
})

test("grants: revoked by one who may decide, with the reason and a new revision; it is not revoked twice", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service)
  const { body } = await service.call("erin", `POST /v1/grants/${grant.id}/revoke`, { reason: "incident over" })
  assert.deepEqual([body.status, body.reason, body.ended_by], ["revoked", undefined, "erin@example.com"])
  assert.deepEqual(await lookup(service), [])
  const [listed] = (await service.call("alice", "GET /v1/grants?all=true")).body.grants
  assert(listed && listed.revision > grant.revision)
  assert.deepEqual([listed.ended_reason, listed.ended_at, listed.ends_at], ["incident over", service.clock.now(), grant.ends_at])
  assert.deepEqual(codeOf(await service.call("erin", `POST /v1/grants/${grant.id}/revoke`, {})), [409, "over"])
})

test("grants: an administrator may revoke, the owner may drop, others may neither", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service)
  assert.deepEqual(codeOf(await service.call("alice", `POST /v1/grants/${grant.id}/revoke`, {})), [403, "forbidden"])
  assert.deepEqual(codeOf(await service.call("bob", `POST /v1/grants/${grant.id}/drop`, {})), [403, "forbidden"])
  assert.deepEqual(codeOf(await service.call("carol", `POST /v1/grants/${grant.id}/revoke`, {})), [404, "not_found"])
  assert.deepEqual(codeOf(await service.call("carol", `POST /v1/grants/${grant.id}/drop`, {})), [404, "not_found"])
  assert.equal((await service.call("alice", `POST /v1/grants/${grant.id}/drop`, {})).body.status, "dropped")
  const other = await grantFor(service)
  assert.equal((await service.call("dana", `POST /v1/grants/${other.id}/revoke`, {})).body.status, "revoked")
})

test("grants: one that a rule gave by itself is revoked by administrators", async (t) => {
  const service = await startService(t)
  const { body } = await service.ask({ target: "grafana" })
  assert.deepEqual(codeOf(await service.call("bob", `POST /v1/grants/${body.grant?.id}/revoke`, {})), [404, "not_found"])
  assert.equal((await service.call("dana", `POST /v1/grants/${body.grant?.id}/revoke`, {})).body.status, "revoked")
})

test("grants: two approvals in the same millisecond are two grants with rising revisions", async (t) => {
  const service = await startService(t)
  await service.ask()
  await service.ask({}, "carol")
  const [one, two] = await Promise.all([1, 2].map((id) => service.call("bob", `POST /v1/requests/${id}/approve`, {})))
  assert(one?.body.grant && two?.body.grant)
  assert.equal(one.body.grant.starts_at, two.body.grant.starts_at)
  assert.notEqual(one.body.grant.revision, two.body.grant.revision)
})

test("grants: the look-up carries the sequence it was read at, and a grant to come is in it", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { starts_at: service.clock.now() + hour })
  const { body } = await service.call("gateway", "GET /v1/gateway/grants?subject=alice%40example.com&target=prod-host")
  assert.deepEqual([body.sequence, body.grants], [grant.revision, [grant]])
})
