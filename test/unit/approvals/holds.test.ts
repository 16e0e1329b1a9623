import assert from "node:assert/strict"
import { type TestContext, test } from "node:test"
import type { ActionRule } from "../../../src/core/action_rules.ts"
import { newSessionId, type SessionId } from "../../../src/core/ids.ts"
import { holdRule as rule, hour, type Reply, type Service, startService } from "./service.ts"

const digest = `sha256:${"a".repeat(64)}`

interface Scene {
  readonly service: Service
  readonly grant: string
  readonly session: SessionId
  ask(change?: object, more?: object): Promise<Reply>
  redeem(id: string | number, more?: object): Promise<Reply>
}

/** alice has a grant and a session on prod-host, and a rule holds what she does there. */
async function scene(t: TestContext, change: Partial<ActionRule> = {}): Promise<Scene> {
  const service = await startService(t)
  await service.restart({ policy: { ...service.config.policy, actions: [{ ...rule, ...change }] } })
  const { body: asked } = await service.ask()
  const { body: approved } = await service.call("bob", `POST /v1/requests/${asked.id}/approve`, {})
  assert(approved.grant)
  const grant = approved.grant.id
  const open = async (): Promise<SessionId> => {
    const id = newSessionId()
    const session = {
      id,
      gateway: "gw",
      protocol: "ssh",
      subject: "alice@example.com",
      target: "prod-host",
      as: "root",
      grant,
      client: "x:1",
    }
    const report = { event: "started", session: { ...session, started_at: service.clock.now() } }
    await service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw", reports: [report] })
    return id
  }
  const session = await open()
  const action = {
    session,
    grant,
    protocol: "ssh",
    digest,
    text: "reboot",
    values: [],
    action_kind: null,
    tables: [],
    calls: [],
    notes: [],
    recent: [],
  }
  return {
    service,
    grant,
    session,
    ask: (changes = {}, more = {}) =>
      service.call("gateway", "POST /v1/gateway/holds", {
        gateway: "gw",
        action: { ...action, ...changes },
        rule: { index: 0, digest: rule.digest },
        binding: "session",
        ...more,
      }),
    redeem: (id, more = {}) => service.call("gateway", `POST /v1/gateway/holds/${id}/redeem`, { gateway: "gw", session, digest, ...more }),
  }
}

const approve = ({ service }: Scene, id: string | number, who = "bob") => service.call(who, `POST /v1/requests/${id}/approve`, {})
const code = ({ status, body }: Reply): string => (status === 200 ? "" : body.code)

test("holds: an approval is for one digest and one session, by somebody else, and is taken once", async (t) => {
  const all = await scene(t)
  const { body } = await all.ask()
  assert.equal(body.status, "pending")
  assert.equal(code(await all.redeem(body.id)), "over", "nobody has approved it")
  assert.equal(code(await approve(all, body.id, "alice")), "own_request")
  assert.equal(code(await approve(all, body.id, "carol")), "not_found")
  const { body: approved } = await approve(all, body.id)
  assert.deepEqual([approved.status, approved.grant], ["approved", null], "it makes no grant")
  assert.equal(code(await all.redeem(body.id, { digest: `sha256:${"b".repeat(64)}` })), "not_found")
  assert.equal(code(await all.redeem(body.id, { session: newSessionId() })), "not_found")
  const both = await Promise.all([all.redeem(body.id), all.redeem(body.id)])
  assert.deepEqual(both.map(code).sort(), ["", "over"])
  assert.notEqual((await all.ask()).body.id, body.id)
})

test("holds: of an HTTP request the same is found again while its answer stands, and by nobody else", async (t) => {
  const all = await scene(t)
  const identity = { binding: "identity" }
  const { body } = await all.ask({}, identity)
  assert.equal((await all.ask({}, identity)).body.id, body.id)
  assert.notEqual((await all.ask({ digest: `sha256:${"b".repeat(64)}` }, identity)).body.id, body.id)
  await approve(all, body.id)
  assert.deepEqual((await all.ask({}, identity)).body.status, "approved")
  await all.redeem(body.id)
  const { body: next } = await all.ask({}, identity)
  assert.notEqual(next.id, body.id)
  await all.service.call("bob", `POST /v1/requests/${next.id}/deny`, { reason: "no" })
  assert.equal((await all.ask({}, identity)).body.status, "denied")
})

test("holds: an answer under another rule, or to another grant, is not found again", async (t) => {
  const all = await scene(t)
  const identity = { binding: "identity" }
  const { body } = await all.ask({}, identity)
  await approve(all, body.id)
  const [action] = all.service.config.policy.actions
  const changed = { ...(action as ActionRule), digest: "the rule as it is now", approve: { by: ["oncall"], count: 2 } }
  await all.service.restart({ policy: { ...all.service.config.policy, actions: [changed] } })
  const anew = { ...identity, rule: { index: 0, digest: changed.digest } }
  const { body: second } = await all.ask({}, anew)
  assert.deepEqual([second.status, second.id === body.id], ["pending", false])
  await approve(all, second.id)
  assert.equal((await all.ask({}, anew)).body.id, second.id)
  const { body: asked } = await all.service.ask()
  const { body: approved } = await all.service.call("bob", `POST /v1/requests/${asked.id}/approve`, {})
  assert.notEqual((await all.ask({ grant: approved.grant?.id }, anew)).body.id, second.id)
})

test("holds: a gateway with another rule is refused, and so is one for a grant that is over", async (t) => {
  const all = await scene(t)
  assert.equal(code(await all.ask({}, { rule: { index: 0, digest: "as it was" } })), "rules_differ")
  assert.equal(code(await all.ask({}, { rule: { index: 1, digest: rule.digest } })), "rules_differ")
  all.service.clock.advance(hour)
  assert.equal(code(await all.ask()), "over")
})

for (const [what, end] of [
  [
    "its session ends",
    ({ service, session }) =>
      service.call("gateway", "POST /v1/gateway/sessions", {
        gateway: "gw",
        reports: [{ event: "ended", id: session, ended_at: 1, ended_why: "closed" }],
      }),
  ],
  [
    "its gateway starts anew",
    ({ service }) => service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw", live: [], reports: [] }),
  ],
  ["its grant is revoked", ({ service, grant }) => service.call("bob", `POST /v1/grants/${grant}/revoke`, {})],
  ["its person takes it back", ({ service }) => service.call("alice", "POST /v1/requests/2/withdraw", {})],
] satisfies readonly (readonly [string, (all: Scene) => Promise<unknown>])[])
  test(`holds: ${what}: nobody can approve it, and nobody use it`, async (t) => {
    const all = await scene(t)
    const { body } = await all.ask()
    await end(all)
    assert.equal(code(await approve(all, body.id)), "over")
    assert.equal(code(await all.redeem(body.id)), "over")
    assert.equal((await all.service.call("bob", `GET /v1/requests/${body.id}`)).body.status, "withdrawn")
  })

test("holds: an approval that is not used in the rule's time is over, and one that nobody gave lapses", async (t) => {
  const all = await scene(t)
  const { body } = await all.ask()
  await approve(all, body.id)
  const { body: other } = await all.ask()
  all.service.clock.advance(rule.within_ms)
  assert.equal(code(await all.redeem(body.id)), "over")
  assert.equal(code(await approve(all, other.id)), "over")
})

test("holds: as many people as the rule wants, and no access rule counts a held action", async (t) => {
  const all = await scene(t, { approve: { by: ["oncall"], count: 2 } })
  const { body } = await all.ask()
  assert.equal((await approve(all, body.id)).body.status, "pending")
  assert.equal((await approve(all, body.id)).body.status, "pending", "one person counts once")
  assert.equal((await approve(all, body.id, "erin")).body.status, "approved")
  assert.equal(code(await all.service.ask()), "", "asking for access finds no held action")
})

test("holds: in whatever order things happen, an action runs at most once, and only when somebody else approved it and it still stood", async (t) => {
  const all = await scene(t)
  let seed = 4_711
  const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
  for (let round = 0; round < 12; round++) {
    const { body } = await all.ask()
    const id = body.id
    const happened: string[] = []
    const steps = [
      async () => happened.push(`approve ${code(await approve(all, id))}`),
      async () => happened.push(`approve ${code(await approve(all, id, "erin"))}`),
      async () => happened.push(`own ${code(await approve(all, id, "alice"))}`),
      async () => happened.push(`redeem ${code(await all.redeem(id))}`),
      async () => happened.push(`redeem ${code(await all.redeem(id))}`),
      async () => happened.push(`deny ${code(await all.service.call("bob", `POST /v1/requests/${id}/deny`, {}))}`),
      async () =>
        happened.push(
          `withdraw ${code(await all.service.call("gateway", `POST /v1/gateway/holds/${id}/withdraw`, { gateway: "gw", session: all.session, digest }))}`,
        ),
    ]
    const chosen = Array.from({ length: 6 }, () => steps[next(steps.length)]!)
    if (round % 2 === 0) await Promise.all(chosen.map((step) => step()))
    else for (const step of chosen) await step()
    const runs = happened.filter((one) => one === "redeem ").length
    const { body: end } = await all.service.call("bob", `GET /v1/requests/${id}`)
    assert.ok(runs <= 1, `${round}: ${happened.join(", ")}`)
    assert.ok(runs === 0 || (end.status === "approved" && end.decisions.some((one) => one.verdict === "approve")), happened.join(", "))
    assert.ok(!happened.includes("own "), "nobody approves their own")
    await all.service.call("gateway", `POST /v1/gateway/holds/${id}/withdraw`, { gateway: "gw", session: all.session, digest })
  }
})
