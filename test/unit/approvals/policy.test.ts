// The access rules, as pure questions.
import assert from "node:assert/strict"
import test from "node:test"
import { checkAsked, mayDecide, mayEnd, maySee, personOf, rulingFor } from "../../../src/approvals/policy.ts"
import type { AccessRule, Policy } from "../../../src/config/config.ts"
import type { Target } from "../../../src/core/target.ts"
import { hour, testConfig } from "./service.ts"

const { policy, targets, identity } = testConfig("/nowhere")
const user = (name: string) => {
  const found = identity.users.find((user) => user.name === `${name}@example.com`)
  assert(found)
  return personOf(found, policy)
}
const target = (name: string): Target => {
  const found = targets.find((target) => target.name === name)
  assert(found)
  return found
}
const ruleFor = (who: string, what: string) => rulingFor(policy, user(who), { target: target(what), now: 0, asked: undefined })
const asked = { duration_ms: hour, reason: "because" }

test("policy: the first rule whose who and targets match decides, by name or by group", () => {
  assert.equal(ruleFor("carol", "grafana")?.name, "policy.access[0]")
  assert.equal(ruleFor("alice", "grafana")?.name, "policy.access[4]")
  assert.equal(ruleFor("bob", "prod-host")?.name, "policy.access[1]")
})

test("policy: what no rule speaks of cannot be asked for, by an administrator neither", () => {
  assert.equal(ruleFor("alice", "nobody-may"), undefined)
  assert.equal(ruleFor("dana", "prod-host"), undefined)
  assert.equal(ruleFor("frank", "prod-host"), undefined)
})

test("policy: every label of a rule must be on the target, and names of Object are no labels", () => {
  const rule: AccessRule = {
    who: ["engineers"],
    targets: { labels: { env: "prod", tier: "1" } },
    as: undefined,
    max_ms: 1,
    approve: "auto",
    reason_required: false,
    actions: null,
    first_use_ms_max: 0,
    pending_ms: hour,
  }
  const alone = (targets: AccessRule["targets"]): Policy => ({ access: [{ ...rule, targets }], actions: [], admins: [], auditors: [] })
  const about = { target: target("prod-host"), now: 0, asked: undefined }
  assert.equal(rulingFor(alone(rule.targets), user("alice"), about), undefined)
  assert.equal(rulingFor(alone({ labels: { constructor: "x" } }), user("alice"), about), undefined)
  assert(rulingFor(alone({ labels: { env: "prod" } }), user("alice"), about))
})

test("policy: a rule with accounts gives these and no others, also when none was named", () => {
  const ruling = ruleFor("alice", "deploy-only")
  assert(ruling)
  assert.deepEqual(checkAsked(ruling, target("deploy-only"), asked), ["deploy"])
  assert.deepEqual(checkAsked(ruling, target("deploy-only"), { ...asked, as: ["deploy", "deploy"] }), ["deploy"])
  assert.throws(() => checkAsked(ruling, target("deploy-only"), { ...asked, as: ["root"] }), { code: "not_askable" })
  assert.throws(() => checkAsked(ruling, target("deploy-only"), { ...asked, as: ["deploy", "root"] }), { code: "not_askable" })
})

test("policy: an account that the target does not have cannot be asked for, nor any where the protocol has none", () => {
  const prod = ruleFor("alice", "prod-host")
  const grafana = ruleFor("alice", "grafana")
  assert(prod && grafana)
  assert.throws(() => checkAsked(prod, target("prod-host"), { ...asked, as: ["nobody"] }), { code: "not_askable" })
  assert.throws(() => checkAsked(grafana, target("grafana"), { ...asked, as: ["root"] }), { code: "not_askable" })
  assert.equal(checkAsked(grafana, target("grafana"), asked), null)
})

test("policy: longer than the rule allows says how long is allowed, and a missing reason says so", () => {
  const ruling = ruleFor("alice", "prod-host")
  assert(ruling)
  assert.throws(() => checkAsked(ruling, target("prod-host"), { ...asked, duration_ms: 4 * hour + 1 }), {
    code: "too_long",
    message: /at most 4h/,
  })
  assert.equal(checkAsked(ruling, target("prod-host"), { ...asked, duration_ms: 4 * hour }), null)
  assert.throws(() => checkAsked(ruling, target("prod-host"), { ...asked, reason: "" }), { code: "invalid", message: /reason/ })
})

test("policy: nobody decides about their own request; an administrator sees and ends, and decides only where a rule says so", () => {
  const about = { subject: "bob@example.com", approve_by: ["oncall"] }
  assert.equal(mayDecide(user("bob"), about), false)
  assert.equal(mayDecide(user("erin"), about), true)
  assert.equal(mayDecide(user("dana"), about), false)
  assert.equal(mayDecide(user("dana"), { ...about, approve_by: ["dana@example.com"] }), true)
  assert.equal(mayDecide(user("dana"), { subject: "dana@example.com", approve_by: ["dana@example.com"] }), false)
  assert.deepEqual([maySee(user("dana"), about), mayEnd(user("dana"), about)], [true, true])
  assert.deepEqual([maySee(user("bob"), about), mayEnd(user("bob"), about)], [true, false])
  assert.deepEqual([maySee(user("carol"), about), mayEnd(user("carol"), about)], [false, false])
})
