// Asking and deciding, over HTTP against the real store.
import assert from "node:assert/strict"
import test from "node:test"
import { limits } from "../../../src/core/limits.ts"
import { by, hour, type Reply, startService } from "./service.ts"

const codeOf = ({ status, body }: Reply): [number, string] => [status, body.code]

test("requests: asked, approved by a colleague, granted from the decision on", async (t) => {
  const service = await startService(t)
  const asked = await service.ask()
  assert.deepEqual([asked.status, asked.body.status, asked.body.may_decide], [200, "pending", false])
  service.clock.advance(10_000)
  const approved = await service.call("bob", "POST /v1/requests/1/approve", { reason: "go" })
  assert.equal(approved.body.status, "approved")
  assert.deepEqual(approved.body.decisions, [{ by: "bob@example.com", verdict: "approve", reason: "go", at: service.clock.now() }])
  assert.equal(approved.body.grant?.starts_at, service.clock.now())
  assert.equal(approved.body.grant.ends_at, service.clock.now() + hour)
})

test("requests: a storm of the same question files one request", async (t) => {
  const service = await startService(t)
  const answers = await Promise.all(Array.from({ length: 50 }, () => service.ask()))
  assert.deepEqual([...new Set(answers.map(({ body }) => body.id))], [1])
  const { body } = await service.call("bob", "GET /v1/requests")
  assert.equal(body.requests.length, 1)
})

test("requests: the same accounts in another order are the same question; other accounts are another", async (t) => {
  const service = await startService(t)
  const first = await service.ask({ as: ["root", "deploy"] })
  const second = await service.ask({ as: ["deploy", "root", "deploy"] })
  const third = await service.ask({ as: ["root"] })
  const fourth = await service.ask()
  assert.deepEqual(
    [first, second, third, fourth].map(({ body }) => body.id),
    [1, 1, 2, 3],
  )
  assert.deepEqual(first.body.as, ["deploy", "root"])
})

test("requests: who asks again for another time is told of the one that waits, and not given that", async (t) => {
  const service = await startService(t)
  const { body: first } = await service.ask()
  const later = service.clock.now() + hour
  for (const other of [{ duration_ms: 2 * hour }, { starts_at: later }, { uses: 3 }, { first_use_within_ms: hour }]) {
    const { status, body } = await service.ask(other)
    assert.deepEqual([status, body.code], [409, "already_asked"], JSON.stringify(other))
    assert.match(body.message, /^request 1 asks for this already, for 1h, and waits for a decision\. Withdraw it to ask for another time$/)
  }
  assert.equal((await service.ask({ reason: "INC-7, still" })).body.id, first.id, "other words are no other question")
  await service.call("alice", "POST /v1/requests/1/withdraw", {})
  const { body: second } = await service.ask({ starts_at: later })
  assert.deepEqual([second.id, second.status], [2, "pending"])
  assert.match((await service.ask()).body.message, /request 2 asks for this already, for 1h from 2026-01-15 13:00:00 UTC on, and waits/)
})

test("requests: an unknown target and one that no rule lets you ask for get the same answer", async (t) => {
  const service = await startService(t)
  const unknown = await service.ask({ target: "no-such-host" })
  assert.deepEqual(codeOf(unknown), [403, "not_askable"])
  assert.deepEqual(await service.ask({ target: "nobody-may" }), unknown)
  assert.deepEqual(await service.ask({ target: "prod-host" }, "frank"), unknown)
})

test("requests: nobody approves their own request, on call or administrator", async (t) => {
  const service = await startService(t)
  await service.ask({}, "bob")
  assert.deepEqual(codeOf(await service.call("bob", "POST /v1/requests/1/approve", {})), [403, "own_request"])
  assert.deepEqual(codeOf(await service.call("bob", "POST /v1/requests/1/deny", {})), [403, "forbidden"])
  const { policy } = service.config
  const access = policy.access.map((rule) => ({
    ...rule,
    who: [...rule.who, "admins"],
    ...(rule.approve === "auto" ? {} : { approve: by(["admins"]) }),
  }))
  await service.restart({ policy: { actions: [], access, admins: ["admins"], auditors: [] } })
  await service.ask({}, "dana")
  assert.deepEqual(codeOf(await service.call("dana", "POST /v1/requests/2/approve", {})), [403, "own_request"])
})

test("requests: an administrator who is no approver sees a request and may not decide about it", async (t) => {
  const service = await startService(t)
  await service.ask()
  const seen = await service.call("dana", "GET /v1/requests/1")
  assert.deepEqual([seen.status, seen.body.may_decide], [200, false])
  assert.deepEqual(codeOf(await service.call("dana", "POST /v1/requests/1/approve", {})), [403, "forbidden"])
})

test("requests: one that is not yours to see is no such thing", async (t) => {
  const service = await startService(t)
  await service.ask()
  const missing = await service.call("carol", "GET /v1/requests/999")
  assert.deepEqual(codeOf(missing), [404, "not_found"])
  assert.deepEqual(await service.call("carol", "GET /v1/requests/1"), missing)
  for (const verb of ["approve", "deny", "withdraw"])
    assert.deepEqual(codeOf(await service.call("carol", `POST /v1/requests/1/${verb}`, {})), [404, "not_found"])
})

test("requests: two approvals are two people; one who approves twice counts once", async (t) => {
  const service = await startService(t)
  await service.ask({ target: "two-keys" })
  const once = await service.call("bob", "POST /v1/requests/1/approve", { reason: "first" })
  const twice = await service.call("bob", "POST /v1/requests/1/approve", { reason: "second" })
  assert.deepEqual([once.body.status, twice.body.status], ["pending", "pending"])
  assert.equal(twice.body.decisions.length, 1)
  const both = await service.call("dana", "POST /v1/requests/1/approve", {})
  assert.equal(both.body.status, "approved")
  assert.deepEqual(
    both.body.decisions.map(({ by }) => by),
    ["bob@example.com", "dana@example.com"],
  )
})

test("requests: approving what is approved never moves its end", async (t) => {
  const service = await startService(t)
  await service.ask()
  const first = await service.call("bob", "POST /v1/requests/1/approve", {})
  service.clock.advance(hour / 2)
  const again = await service.call("bob", "POST /v1/requests/1/approve", {})
  assert.deepEqual(again.body.grant, first.body.grant)
  assert.deepEqual(codeOf(await service.call("erin", "POST /v1/requests/1/approve", {})), [409, "decided"])
  assert.deepEqual((await service.call("alice", "GET /v1/grants")).body.grants, [{ ...first.body.grant, may_end: false }])
})

test("requests: approvers that race make one grant", async (t) => {
  const service = await startService(t)
  await service.ask({ target: "two-keys" })
  const racers = ["bob", "erin", "dana", "bob", "erin", "dana"]
  const answers = await Promise.all(racers.map((who) => service.call(who, "POST /v1/requests/1/approve", {})))
  assert.deepEqual(
    [...new Set(answers.map(({ status }) => status))].sort((a, b) => a - b),
    [200, 409],
  )
  const { body } = await service.call("dana", "GET /v1/grants?all=true")
  assert.equal(body.grants.length, 1)
  const { body: request } = await service.call("alice", "GET /v1/requests/1")
  assert.deepEqual([request.decisions.length, request.status, request.grant?.id], [2, "approved", body.grants[0]?.id])
})

test("requests: one approval and one denial at once leave one outcome", async (t) => {
  const service = await startService(t)
  await service.ask()
  const answers = await Promise.all([
    service.call("bob", "POST /v1/requests/1/approve", {}),
    service.call("erin", "POST /v1/requests/1/deny", { reason: "no" }),
  ])
  assert.deepEqual(
    answers.map(({ status }) => status).sort((a, b) => a - b),
    [200, 409],
  )
  const { body } = await service.call("alice", "GET /v1/requests/1")
  assert.equal(body.grant === null, body.status === "denied")
})

test("requests: one no ends it, also after a first yes", async (t) => {
  const service = await startService(t)
  await service.ask({ target: "two-keys" })
  await service.call("bob", "POST /v1/requests/1/approve", {})
  const denied = await service.call("erin", "POST /v1/requests/1/deny", { reason: "not today" })
  assert.deepEqual([denied.body.status, denied.body.grant], ["denied", null])
  assert.deepEqual(codeOf(await service.call("dana", "POST /v1/requests/1/approve", {})), [409, "decided"])
  assert.equal((await service.ask({ target: "two-keys" })).body.id, 2)
})

test("requests: withdrawing is for one's own pending request", async (t) => {
  const service = await startService(t)
  await service.ask()
  assert.deepEqual(codeOf(await service.call("bob", "POST /v1/requests/1/withdraw", {})), [403, "forbidden"])
  assert.equal((await service.call("alice", "POST /v1/requests/1/withdraw", {})).body.status, "withdrawn")
  assert.equal((await service.call("alice", "POST /v1/requests/1/withdraw", {})).status, 200)
  assert.deepEqual(codeOf(await service.call("bob", "POST /v1/requests/1/approve", {})), [409, "over"])
})

test("requests: what nobody decided lapses, can no longer be decided, and can be asked again", async (t) => {
  const service = await startService(t)
  await service.ask()
  service.clock.jump(24 * hour)
  assert.equal((await service.call("alice", "GET /v1/requests/1")).body.status, "lapsed")
  assert.deepEqual((await service.call("bob", "GET /v1/requests?status=pending")).body.requests, [])
  assert.deepEqual(codeOf(await service.call("bob", "POST /v1/requests/1/approve", {})), [409, "over"])
  assert.deepEqual(codeOf(await service.call("bob", "POST /v1/requests/1/deny", {})), [409, "over"])
  assert.equal((await service.ask()).body.id, 2)
})

test("requests: one person's pending requests are bounded, and nobody else is kept from asking", async (t) => {
  const names = Array.from({ length: limits.pending_requests_per_subject_max + 1 }, (_, index) => `host-${index}`)
  const service = await startService(t)
  const [host] = service.config.targets
  assert(host)
  await service.restart({ targets: names.map((name) => ({ ...host, name })) })
  for (const target of names.slice(1)) assert.equal((await service.ask({ target })).status, 200)
  assert.deepEqual(codeOf(await service.ask({ target: "host-0" })), [429, "too_many"])
  assert.equal((await service.ask({ target: "host-0" }, "carol")).status, 200)
})

test("requests: a rule that approves by itself grants at once and is nobody's approval", async (t) => {
  const service = await startService(t)
  const { body } = await service.ask({ target: "grafana" })
  assert.deepEqual([body.status, body.approvals_needed, body.rule], ["approved", 0, "policy.access[4]"])
  assert.deepEqual(
    body.decisions.map(({ by, verdict }) => [by, verdict]),
    [["policy.access[4]", "approve"]],
  )
  assert.equal(body.grant?.ends_at, service.clock.now() + hour)
})

test("requests: a storm of a question that a rule answers makes one grant; a dropped one can be asked for again", async (t) => {
  const service = await startService(t)
  const answers = await Promise.all(Array.from({ length: 20 }, () => service.ask({ target: "grafana" })))
  const ids = new Set(answers.map(({ body }) => body.grant?.id))
  assert.equal(ids.size, 1)
  await service.call("alice", `POST /v1/grants/${[...ids].join("")}/drop`, {})
  assert.equal((await service.ask({ target: "grafana" })).body.id, 2)
  service.clock.advance(limits.same_question_ms + 1)
  assert.equal((await service.ask({ target: "grafana" })).body.id, 3)
})

test("requests: a rule that was tightened since binds what is pending", async (t) => {
  const service = await startService(t)
  await service.ask({ duration_ms: 2 * hour })
  const { access, admins, auditors } = service.config.policy
  const changed = (change: object) => ({
    policy: { actions: [], admins, auditors, access: access.map((rule) => ({ ...rule, ...(rule.approve === "auto" ? {} : change) })) },
  })
  const approve = () => service.call("bob", "POST /v1/requests/1/approve", {})
  await service.restart(changed({ max_ms: hour }))
  assert.deepEqual(codeOf(await approve()), [409, "over"])
  await service.restart(changed({ as: ["deploy"] }))
  assert.deepEqual(codeOf(await approve()), [409, "over"])
  await service.restart(changed({ approve: by(["erin@example.com"]) }))
  assert.deepEqual(codeOf(await approve()), [403, "forbidden"])
  await service.restart({ policy: { actions: [], access: [], admins, auditors } })
  assert.deepEqual(codeOf(await approve()), [409, "over"])
  await service.restart(changed({ approve: by(["oncall"], 2) }))
  assert.equal((await approve()).body.status, "pending")
  assert.equal((await service.call("erin", "POST /v1/requests/1/approve", {})).body.status, "approved")
})

test("requests: lists show one's own and those one may decide about; an administrator sees all", async (t) => {
  const service = await startService(t)
  await service.ask()
  await service.ask({}, "bob")
  await service.ask({ target: "deploy-only" }, "carol")
  const seen = async (who: string) => (await service.call(who, "GET /v1/requests")).body.requests.map(({ id }) => id)
  assert.deepEqual(await seen("alice"), [1])
  assert.deepEqual(await seen("carol"), [3])
  assert.deepEqual(await seen("bob"), [3, 2, 1])
  assert.deepEqual(await seen("dana"), [3, 2, 1])
  assert.deepEqual(await seen("frank"), [])
})

test("requests: targets lists what may be asked for, and how", async (t) => {
  const service = await startService(t)
  const { body } = await service.call("alice", "GET /v1/targets")
  assert.deepEqual(
    body.targets.map(({ name, approve, accounts }) => [name, approve, accounts]),
    [
      ["prod-host", "people", ["deploy", "root"]],
      ["two-keys", "people", ["deploy", "root"]],
      ["deploy-only", "people", ["deploy"]],
      ["grafana", "auto", []],
    ],
  )
  assert.deepEqual((await service.call("frank", "GET /v1/targets")).body.targets, [])
})
