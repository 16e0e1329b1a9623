// Grants whose use changes them: those that begin at their first use, those that count their uses, those that name their actions.
import assert from "node:assert/strict"
import test from "node:test"
import { limits } from "../../../src/core/limits.ts"
import type { AccessRule } from "../../../src/config/config.ts"
import { eventually } from "../../support/wait.ts"
import { hour, type Reply, type Service, startService, testConfig } from "./service.ts"

const codeOf = ({ status, body }: Reply): [number, string] => [status, body.code]
const session = "s_0123456789abcdef"
const digest = `sha256:${"0".repeat(64)}`

async function grantFor(service: Service, body: object) {
  const { body: asked } = await service.ask(body)
  const { body: approved } = await service.call("bob", `POST /v1/requests/${asked.id}/approve`, {})
  assert(approved.grant, JSON.stringify(approved))
  return approved.grant
}

const begin = (service: Service, id: string): Promise<Reply> =>
  service.call("gateway", `POST /v1/gateway/grants/${id}/begin`, { gateway: "gw" })
const use = (service: Service, id: string): Promise<Reply> =>
  service.call("gateway", `POST /v1/gateway/grants/${id}/use`, { gateway: "gw", session, action: digest })
const grants = async (service: Service, who = "alice") => (await service.call(who, "GET /v1/grants")).body.grants

test("grants: one that waits for its first use has its deadline as its end, and its full time from the first use", async (t) => {
  const service = await startService(t)
  const approved_at = service.clock.now()
  const grant = await grantFor(service, { duration_ms: hour, first_use_within_ms: 8 * hour })
  assert.deepEqual([grant.ends_at, grant.first_use_ms], [approved_at + 8 * hour, hour])
  service.clock.jump(5 * hour)
  const { body } = await begin(service, grant.id)
  assert.deepEqual([body.ends_at, body.first_use_ms], [service.clock.now() + hour, null])
})

test("grants: gateways that race to the first use get one end", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { first_use_within_ms: hour })
  const answers = await Promise.all(Array.from({ length: 8 }, () => begin(service, grant.id)))
  service.clock.jump(hour / 2)
  answers.push(await begin(service, grant.id))
  const [first] = answers
  for (const answer of answers) assert.deepEqual(answer, first)
})

test("grants: not used by its deadline it is over, and begins no more", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { first_use_within_ms: hour })
  service.clock.jump(hour)
  assert.deepEqual(codeOf(await begin(service, grant.id)), [409, "over"])
  assert.deepEqual(await grants(service), [])
})

test("grants: with a later start, the time for the first use is counted from there, and it does not begin before", async (t) => {
  const service = await startService(t)
  const starts_at = service.clock.now() + 2 * hour
  const grant = await grantFor(service, { starts_at, first_use_within_ms: hour })
  assert.equal(grant.ends_at, starts_at + hour)
  assert.deepEqual(codeOf(await begin(service, grant.id)), [409, "over"])
  service.clock.jump(2 * hour)
  assert.equal((await begin(service, grant.id)).body.ends_at, starts_at + hour)
})

test("grants: one that has ended does not begin", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { first_use_within_ms: hour })
  await service.call("bob", `POST /v1/grants/${grant.id}/revoke`, { reason: "no" })
  assert.deepEqual(codeOf(await begin(service, grant.id)), [409, "over"])
  assert.deepEqual(codeOf(await begin(service, "g_0000000000000000")), [404, "not_found"])
})

test("grants: each use is taken once, however many gateways ask at once; with the last one it is spent", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { uses: 5 })
  const answers = await Promise.all(Array.from({ length: 12 }, () => use(service, grant.id)))
  const left = answers.filter(({ status }) => status === 200).map(({ body }) => body.uses_left)
  assert.deepEqual(
    left.map(Number).toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4],
  )
  assert.equal(answers.filter(({ body }) => body.code === "over").length, 7)
  assert.equal(answers.filter(({ body }) => body.status === "spent").length, 1)
  assert.deepEqual(await grants(service), [])
  const [over] = (await service.call("alice", "GET /v1/grants?all=true")).body.grants
  assert.deepEqual([over?.status, over?.uses_max, over?.uses_left, over?.ended_at], ["spent", 5, 0, service.clock.now()])
  await service.restart()
  assert.deepEqual(codeOf(await use(service, grant.id)), [409, "over"])
})

test("grants: one that is spent can still be revoked or dropped, for what its last use is doing", async (t) => {
  const service = await startService(t)
  for (const [who, how, status] of [
    ["bob", "revoke", "revoked"],
    ["alice", "drop", "dropped"],
  ] as const) {
    const grant = await grantFor(service, { uses: 1 })
    await use(service, grant.id)
    assert.equal((await service.call(who, `POST /v1/grants/${grant.id}/${how}`, {})).body.status, status)
    assert.deepEqual(codeOf(await service.call(who, `POST /v1/grants/${grant.id}/${how}`, {})), [409, "over"])
  }
})

test("grants: a grant that counts nothing is not used up, and one that has not begun has no uses yet", async (t) => {
  const service = await startService(t)
  const whole = await grantFor(service, {})
  assert.deepEqual(codeOf(await use(service, whole.id)), [400, "invalid"])
  const waiting = await grantFor(service, { uses: 1, first_use_within_ms: hour })
  assert.deepEqual(codeOf(await use(service, waiting.id)), [409, "over"])
  await begin(service, waiting.id)
  assert.equal((await use(service, waiting.id)).body.status, "spent")
})

test("grants: named actions are kept in canonical form, shown to the approver, and go to the gateway with the grant", async (t) => {
  const service = await startService(t)
  const { body: asked } = await service.ask({ actions: ["systemctl restart *", "exact:uptime", "uptime"] })
  const expected = ["systemctl restart *", "uptime"]
  assert.deepEqual(asked.actions, expected)
  assert.deepEqual((await service.call("bob", `GET /v1/requests/${asked.id}`)).body.actions, expected)
  await service.call("bob", `POST /v1/requests/${asked.id}/approve`, {})
  const { body } = await service.call("gateway", "GET /v1/gateway/grants?subject=alice%40example.com&target=prod-host")
  assert.deepEqual(body.grants[0]?.actions, expected)
})

test("grants: what is no action, no number of uses and no deadline is refused with a reason", async (t) => {
  const service = await startService(t)
  const wrong = [
    { actions: [] },
    { actions: [""] },
    { actions: ["  "] },
    { actions: ["x\0y"] },
    { actions: ["sha256:nothing"] },
    { actions: ["x".repeat(limits.scope_action_chars_max + 1)] },
    { actions: Array.from({ length: limits.scope_actions_max + 1 }, (_, at) => `c${at}`) },
    { actions: "uptime" },
    { uses: 0 },
    { uses: -1 },
    { uses: 1.5 },
    { uses: limits.grant_uses_max + 1 },
    { first_use_within_ms: 0 },
    { first_use_within_ms: limits.first_use_within_ms_max + 1 },
  ]
  for (const body of wrong) assert.deepEqual(codeOf(await service.ask(body)), [400, "invalid"], JSON.stringify(body).slice(0, 80))
  assert.deepEqual(codeOf(await service.ask({ target: "grafana", actions: ["SELECT 1"] })), [400, "invalid"])
})

test("grants: the same actions asked for again find the pending request, others make another, and identical asks that race make one", async (t) => {
  const service = await startService(t)
  const ids = async (...bodies: object[]) => (await Promise.all(bodies.map((body) => service.ask(body)))).map(({ body }) => body.id)
  assert.deepEqual(
    await ids(...Array.from({ length: 8 }, () => ({ actions: ["uptime", "whoami"] }))),
    Array.from({ length: 8 }, () => 1),
  )
  assert.deepEqual(await ids({ actions: ["whoami", "uptime", "uptime"] }), [1])
  assert.deepEqual(
    (await ids({ actions: ["uptime"] }, {}, { as: ["root"], actions: ["uptime"] })).map(Number).toSorted((a, b) => a - b),
    [2, 3, 4],
  )
})

test("grants: every use and the first one are in the audit log, by the gateway", async (t) => {
  const service = await startService(t)
  const grant = await grantFor(service, { uses: 2, first_use_within_ms: hour })
  await begin(service, grant.id)
  await use(service, grant.id)
  await use(service, grant.id)
  const heads = () =>
    service.log
      .map((line) => JSON.parse(line) as { msg: string; by?: string; session?: string })
      .filter(({ msg }) => msg.startsWith("grant."))
  await eventually("all to be in the log", () => heads().length === 5)
  assert.deepEqual(
    heads().map(({ msg, by, session: of }) => [msg, by, of ?? null]),
    [
      ["grant.made", "bob@example.com", null],
      ["grant.begun", "gw", null],
      ["grant.used", "gw", session],
      ["grant.used", "gw", session],
      ["grant.spent", "gw", session],
    ],
  )
})

const ruled = async (service: Service, change: Partial<AccessRule>): Promise<void> => {
  const { policy } = testConfig("")
  await service.restart({ policy: { ...policy, access: policy.access.map((rule): AccessRule => ({ ...rule, ...change })) } })
}

test("grants: a rule's own actions are all that a grant under it covers, and no other can be asked for", async (t) => {
  const service = await startService(t)
  const { body: before } = await service.ask()
  await ruled(service, { actions: ["systemctl restart *", "uptime"] })
  assert.deepEqual(
    codeOf(await service.call("bob", `POST /v1/requests/${before.id}/approve`, {})),
    [409, "over"],
    "it asked for everything",
  )
  assert.deepEqual((await service.ask({ as: ["root"] })).body.actions, ["systemctl restart *", "uptime"])
  const narrower = await grantFor(service, { as: ["deploy"], actions: ["systemctl restart nginx"] })
  assert.deepEqual(narrower.actions, ["systemctl restart nginx"])
  assert.deepEqual(codeOf(await service.ask({ actions: ["reboot"] })), [403, "not_askable"])
  assert.deepEqual(codeOf(await service.ask({ actions: ["uptime", "systemctl restart n*"] })), [403, "not_askable"])
  const { targets } = (await service.call("alice", "GET /v1/targets")).body
  assert.deepEqual(targets.find(({ name }) => name === "prod-host")?.actions, ["systemctl restart *", "uptime"])
})

test("grants: one for everything is not extended under a rule that has come to name its actions", async (t) => {
  const service = await startService(t)
  const [whole, named] = [await grantFor(service, {}), await grantFor(service, { actions: ["uptime"] })]
  await ruled(service, { actions: ["uptime"] })
  const extend = (id: string) => service.call("alice", `POST /v1/grants/${id}/extend`, { duration_ms: 60_000, reason: "more" })
  assert.deepEqual(codeOf(await extend(whole.id)), [403, "not_askable"])
  assert.equal((await extend(named.id)).status, 200)
})

test("grants: a rule says how long its grants may wait for their first use, or that they do not", async (t) => {
  const service = await startService(t)
  const { body: before } = await service.ask({ first_use_within_ms: 2 * hour })
  await ruled(service, { first_use_ms_max: hour })
  assert.deepEqual(codeOf(await service.call("bob", `POST /v1/requests/${before.id}/approve`, {})), [409, "over"])
  const long = await service.ask({ as: ["root"], first_use_within_ms: hour + 1 })
  assert.deepEqual([long.body.code, long.body.message], ["too_long", "grants of this target wait at most 1h for their first use"])
  assert.equal((await service.ask({ as: ["root"], first_use_within_ms: hour })).status, 200)
  await ruled(service, { first_use_ms_max: 0 })
  const none = await service.ask({ as: ["deploy"], first_use_within_ms: hour })
  assert.equal(none.body.message, "grants of this target do not wait for their first use")
})
