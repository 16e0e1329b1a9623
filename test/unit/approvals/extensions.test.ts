// A later end for the same grant: asked for, decided, never for more and never for one that has ended.
import assert from "node:assert/strict"
import test from "node:test"
import type { AccessRule } from "../../../src/config/config.ts"
import { hour, type Reply, type Service, startService, testConfig } from "./service.ts"

const codeOf = ({ status, body }: Reply): [number, string] => [status, body.code]
const minute = hour / 60

async function grantFor(service: Service, body: object = {}) {
  const { body: asked } = await service.ask(body)
  if (asked.grant) return asked.grant
  const { body: approved } = await service.call("bob", `POST /v1/requests/${asked.id}/approve`, {})
  assert(approved.grant, JSON.stringify(approved))
  return approved.grant
}

const extend = (service: Service, id: string, body: object = {}, who = "alice"): Promise<Reply> =>
  service.call(who, `POST /v1/grants/${id}/extend`, { duration_ms: 30 * minute, reason: "not done yet", ...body })
const approve = (service: Service, id: string | number, who = "bob"): Promise<Reply> =>
  service.call(who, `POST /v1/requests/${id}/approve`, {})

test("extend: under a rule that decides by itself, the same grant has a later end at once, and a retry does not add to it", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { target: "grafana" })
  const { body } = await extend(service, grant.id)
  assert.deepEqual([body.status, body.extends_grant, body.grant?.id], ["approved", grant.id, grant.id])
  assert.equal(body.grant?.ends_at, grant.ends_at + 30 * minute)
  assert(body.grant.revision > grant.revision)
  assert.equal((await extend(service, grant.id)).body.id, body.id)
  const { grants } = (await service.call("alice", "GET /v1/grants")).body
  assert.deepEqual(
    grants.map(({ id, ends_at }) => [id, ends_at]),
    [[grant.id, grant.ends_at + 30 * minute]],
  )
})

test("extend: where people decide, somebody else approves, and the end is the one that was asked for, whenever that is", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { as: ["root"] })
  const { body: asked } = await extend(service, grant.id)
  assert.deepEqual([asked.status, asked.extends_to, asked.as], ["pending", grant.ends_at + 30 * minute, ["root"]])
  assert.deepEqual(codeOf(await approve(service, asked.id, "alice")), [403, "own_request"])
  service.clock.jump(50 * minute)
  const { body } = await approve(service, asked.id)
  assert.deepEqual([body.grant?.id, body.grant?.ends_at, body.grant?.as], [grant.id, grant.ends_at + 30 * minute, ["root"]])
  assert.deepEqual((await approve(service, asked.id)).body.grant, body.grant, "approved twice is approved once")
})

test("extend: tries do not pile up; those that race make one request", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service)
  const tries = await Promise.all(Array.from({ length: 6 }, () => extend(service, grant.id)))
  assert.equal(new Set(tries.map(({ body }) => body.id)).size, 1)
  assert.notEqual((await service.ask()).body.id, tries[0]?.body.id, "a new grant is another question")
})

test("extend: what is left is never more than the rule gives at once", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { duration_ms: 3 * hour })
  const { status, body } = await extend(service, grant.id, { duration_ms: 2 * hour })
  assert.deepEqual([status, body.code], [400, "too_long"])
  assert.match(body.message, /at most 4h from now: extend it by at most 1h$/)
  assert.equal((await extend(service, grant.id, { duration_ms: hour })).status, 200)
})

test("extend: a grant that has ended, was revoked or dropped is not extended, and an approval that comes late gives nothing", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service)
  const { body: asked } = await extend(service, grant.id)
  service.clock.jump(hour)
  assert.deepEqual(codeOf(await approve(service, asked.id)), [409, "grant_over"])
  assert.deepEqual(codeOf(await extend(service, grant.id)), [409, "grant_over"])
  assert.deepEqual((await service.call("alice", "GET /v1/grants")).body.grants, [])

  for (const [who, how] of [
    ["bob", "revoke"],
    ["alice", "drop"],
  ] as const) {
    const other = await grantFor(service, { as: [how === "drop" ? "root" : "deploy"] })
    const { body: pending } = await extend(service, other.id)
    await service.call(who, `POST /v1/grants/${other.id}/${how}`, {})
    assert.deepEqual(codeOf(await approve(service, pending.id)), [409, "grant_over"])
    assert.deepEqual(codeOf(await extend(service, other.id)), [409, "grant_over"])
    assert.equal((await service.call("bob", `GET /v1/requests/${pending.id}`)).body.status, "withdrawn")
  }
})

test("extend: only one's own grant, and of others not even that it is there", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service)
  assert.deepEqual(codeOf(await extend(service, grant.id, {}, "bob")), [403, "forbidden"])
  assert.deepEqual(codeOf(await extend(service, grant.id, {}, "frank")), [404, "not_found"])
  assert.deepEqual(codeOf(await extend(service, "g_0000000000000000")), [404, "not_found"])
})

test("extend: it neither shortens nor widens, and wants the rule's reason", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { as: ["deploy"], actions: ["uptime"] })
  for (const body of [{ duration_ms: -minute }, { duration_ms: 0 }, { as: ["root"] }, { actions: ["reboot"] }, { reason: "" }])
    assert.deepEqual(codeOf(await extend(service, grant.id, body)), [400, "invalid"], JSON.stringify(body))
  const { body: asked } = await extend(service, grant.id)
  const { body } = await approve(service, asked.id)
  assert.deepEqual([body.grant?.as, body.grant?.actions], [["deploy"], ["uptime"]])
})

test("extend: the rules as they are now decide, also about what was asked before", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service)
  const { body: asked } = await extend(service, grant.id)
  const { policy } = testConfig("")
  const narrower = policy.access.map((rule): AccessRule => ({ ...rule, max_ms: 10 * minute }))
  await service.restart({ policy: { ...policy, access: narrower } })
  assert.deepEqual(codeOf(await approve(service, asked.id)), [409, "over"])
  assert.deepEqual(codeOf(await extend(service, grant.id, { duration_ms: minute })), [409, "already_asked"])
  await service.call("alice", `POST /v1/requests/${asked.id}/withdraw`, {})
  assert.deepEqual(codeOf(await extend(service, grant.id, { duration_ms: minute })), [400, "too_long"])
  await service.restart({ policy: { ...policy, access: [] } })
  assert.deepEqual(codeOf(await extend(service, grant.id)), [403, "not_askable"])
})

test("extend: a rule that gives less than it did does not approve an end beyond what it gives now", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { duration_ms: 3 * hour })
  const { body: asked } = await extend(service, grant.id)
  const { policy } = testConfig("")
  await service.restart({ policy: { ...policy, access: policy.access.map((rule): AccessRule => ({ ...rule, max_ms: hour })) } })
  assert.deepEqual(codeOf(await approve(service, asked.id)), [409, "over"])
  service.clock.jump(2.5 * hour)
  assert.equal((await approve(service, asked.id)).body.grant?.ends_at, grant.ends_at + 30 * minute, "by now it is within an hour")
})

test("extend: one that waits for its first use has all of its time ahead, and says so", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { first_use_within_ms: hour })
  const { status, body } = await extend(service, grant.id)
  assert.equal(status, 400)
  assert.match(body.message, /lasts 1h from its first use/)
})

test("extend: with its last use a grant ends, and what would extend it too", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { uses: 1 })
  const { body: asked } = await extend(service, grant.id)
  await service.call("gateway", `POST /v1/gateway/grants/${grant.id}/use`, { gateway: "gw", session: "s_0123456789abcdef" })
  assert.equal((await service.call("alice", `GET /v1/requests/${asked.id}`)).body.status, "withdrawn")
  assert.deepEqual(codeOf(await approve(service, asked.id)), [409, "grant_over"])
})
