// What rules can ask for beyond one approval, through the API: steps, escalation, hours, tickets, conditions, fresh logins,
// break-glass with its review, and auditors who see all of it.
import assert from "node:assert/strict"
import test from "node:test"
import type { AccessRule, Config } from "../../../src/config/config.ts"
import { limits } from "../../../src/core/limits.ts"
import { parsePattern } from "../../../src/core/pattern.ts"
import { parseDays, parseHours, type Window } from "../../../src/core/schedule.ts"
import { eventually } from "../../support/wait.ts"
import { by, hour, type Reply, type Service, startService, testConfig } from "./service.ts"

const minute = 60_000
/** Rules about prod-host, in place of the usual ones. */
function ruled(...rules: readonly Partial<AccessRule>[]): Pick<Config, "policy"> {
  const { policy } = testConfig("/nowhere")
  const usual = policy.access.find((rule) => rule.reason_required)
  assert(usual)
  return { policy: { ...policy, access: rules.map((rule) => ({ ...usual, reason_required: false, ...rule })) } }
}
function window(hours: string): Window {
  const parsed = parseHours(hours)
  assert(parsed)
  return { days: new Set(parseDays("mon-fri")), ...parsed, zone: "UTC" }
}
const codeOf = ({ status, body }: Reply): unknown[] => [status, body.code]
const approve = (service: Service, who: string, id: string | number = 1): Promise<Reply> =>
  service.call(who, `POST /v1/requests/${id}/approve`, {})
/** Time goes on until the log holds an event of this kind. */
const happens = (service: Service, kind: string): Promise<unknown> =>
  eventually(`${kind} to happen`, async () => {
    service.clock.advance(limits.sweep_ms)
    return (await kinds(service)).includes(kind)
  })
const kinds = async (service: Service): Promise<string[]> => {
  const { body } = await service.call("gina", "GET /v1/audit")
  return (body as unknown as { events: { kind: string }[] }).events.map(({ kind }) => kind).toReversed()
}

test("rules: steps one after the other, distinct people, and words for who is too early", async (t) => {
  const plan = {
    order: "sequence",
    steps: [
      { by: ["oncall"], count: 1 },
      { by: ["admins", "bob@example.com"], count: 1 },
    ],
  } as const
  const service = await startService(t, ruled({ approve: { plan } }))
  const { body } = await service.ask()
  assert.equal(body.approvals_needed, 2)
  assert.equal((await service.call("dana", "GET /v1/requests/1")).body.may_decide, false)
  assert.deepEqual(codeOf(await approve(service, "dana")), [409, "not_your_turn"])
  assert.equal((await approve(service, "bob")).body.status, "pending")
  // Bob stands in both steps, and is one person.
  assert.equal((await approve(service, "bob")).body.status, "pending")
  assert.deepEqual(codeOf(await approve(service, "erin")), [409, "not_your_turn"])
  const steps = (await service.call("alice", "GET /v1/requests/1")).body as unknown as { steps: { approved_by: string[] }[] }
  assert.deepEqual(
    steps.steps.map(({ approved_by }) => approved_by),
    [["bob@example.com"], []],
  )
  assert.equal((await approve(service, "dana")).body.status, "approved")
})

test("rules: steps at once take people in any order, and two of the same millisecond make one grant", async (t) => {
  const plan = {
    order: "any",
    steps: [
      { by: ["oncall"], count: 1 },
      { by: ["admins"], count: 1 },
    ],
  } as const
  const service = await startService(t, ruled({ approve: { plan } }))
  await service.ask()
  const replies = await Promise.all([approve(service, "dana"), approve(service, "erin"), approve(service, "erin")])
  assert.equal(replies.filter(({ body }) => body.status === "approved").length >= 1, true)
  assert.equal((await kinds(service)).filter((kind) => kind === "grant.made").length, 1)
})

test("rules: a request that nobody decides goes to others as well, told once, and lapses in its rule's own time", async (t) => {
  const escalate = { after_ms: 15 * minute, to: ["admins"] }
  const service = await startService(t, ruled({ approve: { ...by(["oncall"]), escalate }, pending_ms: hour }))
  await service.ask()
  assert.equal((await approve(service, "dana")).body.code, "forbidden")
  service.clock.advance(15 * minute)
  await happens(service, "request.escalated")
  service.clock.advance(limits.sweep_ms)
  assert.equal((await service.call("dana", "GET /v1/requests/1")).body.may_decide, true)
  assert.equal((await approve(service, "dana")).body.status, "approved")

  await service.ask({ as: ["root"] })
  service.clock.advance(hour)
  await happens(service, "request.lapsed")
  assert.deepEqual(codeOf(await approve(service, "bob", 2)), [409, "over"])
  service.clock.advance(2 * limits.sweep_ms)
  const told = (await kinds(service)).filter((kind) => /lapsed|escalated/.test(kind))
  assert.deepEqual(told.filter((kind) => kind === "request.lapsed").length, 1)
})

test("rules: those it was escalated to stand in for any step, one person for one of them, in order, and not the one who asked", async (t) => {
  const steps = [
    { by: ["oncall"], count: 1 },
    { by: ["carol@example.com"], count: 1 },
  ]
  const escalate = { after_ms: 15 * minute, to: ["admins", "engineers"] }
  const service = await startService(t, ruled({ approve: { plan: { order: "sequence", steps }, escalate } }))
  await service.ask()
  assert.equal((await approve(service, "bob")).body.status, "pending")
  assert.deepEqual(codeOf(await approve(service, "dana")), [403, "forbidden"])
  service.clock.advance(15 * minute)
  await happens(service, "request.escalated")
  assert.deepEqual(codeOf(await approve(service, "alice")), [403, "own_request"])
  assert.equal((await approve(service, "bob")).body.status, "pending", "bob is one person still")
  assert.equal((await approve(service, "dana")).body.status, "approved")

  await service.ask({ as: ["root"] })
  service.clock.advance(15 * minute)
  await eventually("the second to be escalated", async () => {
    service.clock.advance(limits.sweep_ms)
    return (await kinds(service)).filter((kind) => kind === "request.escalated").length === 2
  })
  assert.equal((await approve(service, "dana", 2)).body.status, "pending")
  assert.equal((await approve(service, "dana", 2)).body.status, "pending", "she fills the first place, and no other")
  assert.equal((await approve(service, "carol", 2)).body.status, "approved")
})

test("rules: what lapsed while nobody looked is told all at once, each once, and a decision has its turn meanwhile", async (t) => {
  const service = await startService(t, ruled({ approve: by(["oncall"]), pending_ms: hour }))
  for (let count = 0; count < 60; count++) await service.ask({ actions: [`echo ${count}`] }, count % 2 === 0 ? "alice" : "carol")
  service.clock.advance(hour - 1)
  const { body: late } = await service.ask({ as: ["root"] })
  service.clock.advance(limits.sweep_ms)
  assert.equal((await approve(service, "bob", late.id)).body.status, "approved")
  const lapsed = async (): Promise<number> => (await kinds(service)).filter((kind) => kind === "request.lapsed").length
  // No more than the one look: the clock stands.
  await eventually("all of them to be told", async () => (await lapsed()) === 60)
  service.clock.advance(2 * limits.sweep_ms)
  assert.equal((await service.ask({ as: ["deploy"] })).body.status, "pending")
  assert.equal(await lapsed(), 60)
})

test("rules: outside its hours a rule is not there: the next decides, also when the request already waits", async (t) => {
  const days = new Set(parseDays("mon-fri"))
  const hours = parseHours("09:00-17:00")
  assert(hours)
  const office: Window = { days, ...hours, zone: "UTC" }
  const rules = ruled({ approve: "auto", schedule: [office] }, { approve: by(["oncall"]) })
  const service = await startService(t, rules)
  const monday = Date.parse("2026-01-05T10:00:00Z")
  service.clock.advance(monday - service.clock.now())
  assert.equal((await service.ask()).body.status, "approved")
  service.clock.advance(8 * hour)
  const evening = await service.ask({ as: ["root"] })
  assert.deepEqual([evening.body.status, evening.body.rule], ["pending", "policy.access[1]"])
  await service.restart(ruled({ approve: by(["oncall"]), schedule: [office] }))
  const late = await approve(service, "bob", evening.body.id)
  assert.deepEqual(codeOf(late), [409, "not_now"])
  assert.equal(late.body.message, "the rule for this is in force at other hours: mon-fri 09:00-17:00 UTC")
  assert.deepEqual(codeOf(await service.ask({ as: ["deploy"] })), [403, "not_askable"])
  // It waits on, and may be approved when the hour has come.
  service.clock.advance(15.5 * hour)
  assert.equal((await approve(service, "bob", evening.body.id)).body.status, "approved")
})

test("rules: the hours are those of the access: a later start outside them is for the next rule, however early it is asked", async (t) => {
  const hours = parseHours("09:00-17:00")
  assert(hours)
  const office: Window = { days: new Set(parseDays("mon-fri")), ...hours, zone: "UTC" }
  const service = await startService(t, ruled({ approve: "auto", schedule: [office] }, { approve: by(["oncall"]) }))
  const at = (text: string): { starts_at: number } => ({ starts_at: Date.parse(text) })
  // It is Thursday noon.
  const night = await service.ask({ as: ["root"], ...at("2026-01-16T02:00Z") })
  assert.deepEqual([night.body.status, night.body.rule], ["pending", "policy.access[1]"])
  const morning = await service.ask({ as: ["deploy"], ...at("2026-01-16T09:00Z") })
  assert.deepEqual([morning.body.status, morning.body.rule], ["approved", "policy.access[0]"])
  service.clock.advance(8 * hour)
  const tomorrow = await service.ask(at("2026-01-16T10:00Z"))
  assert.deepEqual([tomorrow.body.status, tomorrow.body.rule], ["approved", "policy.access[0]"])
})

test("rules: when it is approved after the start it asked for, the hour of the approval counts", async (t) => {
  const hours = parseHours("09:00-17:00")
  assert(hours)
  const office: Window = { days: new Set(parseDays("mon-fri")), ...hours, zone: "UTC" }
  const service = await startService(t, ruled({ approve: by(["oncall"]), schedule: [office] }))
  const early = await service.ask({ as: ["root"], starts_at: Date.parse("2026-01-15T16:00Z") })
  const late = await service.ask({ as: ["deploy"], starts_at: Date.parse("2026-01-15T16:30Z") })
  service.clock.advance(4.5 * hour)
  assert.equal((await approve(service, "bob", early.body.id)).body.status, "approved")
  service.clock.advance(0.75 * hour)
  assert.deepEqual(codeOf(await approve(service, "bob", late.body.id)), [409, "not_now"])
})

test("rules: what a rule gives by itself may be counted: so often a day, and then it says when again", async (t) => {
  const service = await startService(t, ruled({ approve: "auto", per_day: 2 }))
  const ask = (who = "alice"): Promise<Reply> => service.ask({ duration_ms: minute }, who)
  assert.equal((await ask()).body.status, "approved")
  service.clock.advance(hour)
  assert.equal((await ask()).body.status, "approved")
  service.clock.advance(hour)
  const third = await ask()
  assert.deepEqual(codeOf(third), [429, "too_many"])
  assert.equal(third.body.message, "this is given by itself 2 times in 24 hours; the next time is at 2026-01-16 12:00:00 UTC")
  assert.equal((await ask("carol")).body.status, "approved", "each person has their own")
  service.clock.advance(22 * hour - 1)
  assert.deepEqual(codeOf(await ask()), [429, "too_many"])
  service.clock.advance(1)
  assert.equal((await ask()).body.status, "approved")
  assert.deepEqual(codeOf(await ask("alice")), [200, undefined], "a client that tries again finds what it was given")
  service.clock.advance(2 * minute)
  assert.deepEqual(codeOf(await ask()), [429, "too_many"])
})

test("rules: storming a rule that counts gives no more than it says", async (t) => {
  const service = await startService(t, ruled({ approve: "auto", per_day: 2 }))
  const replies = await Promise.all(Array.from({ length: 10 }, (_, index) => service.ask({ duration_ms: minute + index })))
  assert.equal(replies.filter(({ body }) => body.status === "approved").length, 2)
  assert.equal(replies.filter(({ body }) => body.code === "too_many").length, 8)
})

test("rules: what waits for people and is asked again when a rule gives it is given, and waits no longer", async (t) => {
  const office = window("09:00-17:00")
  const service = await startService(t, ruled({ approve: "auto", schedule: [office] }, { approve: by(["oncall"]) }))
  service.clock.advance(19 * hour) // Friday, 07:00
  const early = await service.ask()
  const longer = await service.ask({ as: ["root"], duration_ms: 2 * hour })
  assert.deepEqual([early.body.status, longer.body.status], ["pending", "pending"])
  service.clock.advance(2 * hour)
  const { body: given } = await service.ask()
  assert.deepEqual([given.status, given.rule], ["approved", "policy.access[0]"])
  assert.equal((await service.call("alice", `GET /v1/requests/${early.body.id}`)).body.status, "withdrawn")
  assert.deepEqual(codeOf(await approve(service, "bob", early.body.id)), [409, "over"])
  // Another time is another question: it is given, and what waits goes on waiting, and is found again.
  const { body: shorter } = await service.ask({ as: ["root"], duration_ms: hour })
  assert.equal(shorter.status, "approved")
  assert.equal((await service.call("alice", `GET /v1/requests/${longer.body.id}`)).body.status, "pending")
  service.clock.advance(9 * hour)
  assert.equal((await service.ask({ as: ["root"], duration_ms: 2 * hour })).body.id, longer.body.id)
})

test("rules: a rule that is only about short requests, or some reasons, leaves the others to the next", async (t) => {
  const when = { for_ms: 30 * minute, reason: parsePattern("^INC-[0-9]+") }
  const service = await startService(t, ruled({ approve: "auto", when }, { approve: by(["oncall"]) }))
  const ruleOf = async (body: object) => (await service.ask(body)).body.rule
  assert.equal(await ruleOf({ duration_ms: 30 * minute, as: ["root"] }), "policy.access[0]")
  assert.equal(await ruleOf({ duration_ms: 31 * minute, as: ["deploy"] }), "policy.access[1]")
  assert.equal(await ruleOf({ duration_ms: 30 * minute, reason: "see INC-7" }), "policy.access[1]")
})

test("rules: a ticket must be in the reason, and a pattern that would stop others does not stop us", async (t) => {
  const service = await startService(t, ruled({ approve: by(["oncall"]), ticket: parsePattern("INC-[0-9]+") }))
  const refused = await service.ask({ reason: "please" })
  assert.deepEqual(codeOf(refused), [400, "invalid"])
  assert.match(refused.body.message, /a ticket in it: INC-\[0-9\]\+/)
  assert.equal((await service.ask({ reason: "for INC-12" })).status, 200)
  await service.restart(ruled({ approve: by(["oncall"]), ticket: parsePattern("^(a+)+$") }))
  assert.equal((await service.ask({ reason: `${"a".repeat(limits.reason_chars_max - 1)}!`, as: ["root"] })).status, 400)
})

test("rules: a fresh login that is wanted and not there is asked for in words", async (t) => {
  const service = await startService(t, ruled({ approve: by(["oncall"]), login: { max_age_ms: 10 * minute } }))
  const refused = await service.ask()
  assert.deepEqual(codeOf(refused), [403, "login_needed"])
  assert.match(refused.body.message, /a company login of the last 10m: run `sluice login --fresh`/)
  await service.restart(ruled({ approve: { ...by(["oncall"]), login: { acr: ["mfa"] } } }))
  await service.ask()
  assert.deepEqual(codeOf(await approve(service, "bob")), [403, "login_needed"])
  // To say no needs nothing.
  assert.equal((await service.call("bob", "POST /v1/requests/1/deny", {})).body.status, "denied")
})

test("rules: a break-glass gives at once to who says so, is loud, and is reviewed by somebody else", async (t) => {
  const loud = { approve: { review: ["oncall"], within_ms: 24 * hour }, reason_required: true } as const
  const service = await startService(t, ruled(loud, { approve: by(["oncall"]) }))
  assert.equal((await service.ask()).body.status, "pending")
  assert.deepEqual(codeOf(await service.ask({ break_glass: true, reason: "" })), [400, "invalid"])
  const used = await service.ask({ break_glass: true })
  assert.equal(used.body.status, "approved")
  assert.notEqual(used.body.id, 1)
  assert.equal((await service.ask({ break_glass: true })).body.id, used.body.id, "a client that tries again")
  assert(service.log.some((line) => line.includes('"level":"warn"') && line.includes("break_glass.used")))

  const review = (who: string, reason = "looked") => service.call(who, `POST /v1/requests/${used.body.id}/review`, { reason })
  assert.deepEqual(codeOf(await review("alice")), [403, "forbidden"])
  assert.deepEqual(codeOf(await review("gina")), [403, "forbidden"])
  assert.deepEqual(codeOf(await review("frank")), [404, "not_found"])
  assert.deepEqual(codeOf(await review("bob", "")), [400, "invalid"])
  const list = async () => (await service.call("bob", "GET /v1/requests?status=unreviewed")).body.requests.map(({ id }) => id)
  assert.deepEqual(await list(), [used.body.id])
  service.clock.advance(24 * hour)
  await happens(service, "break_glass.overdue")
  assert.equal((await review("bob")).status, 200)
  assert.deepEqual(codeOf(await review("erin")), [409, "decided"])
  assert.deepEqual(await list(), [])
  assert.deepEqual(
    (await kinds(service)).filter((kind) => kind.startsWith("break_glass")),
    ["break_glass.used", "break_glass.overdue", "break_glass.reviewed"],
  )
})

test("rules: nobody breaks the glass where no rule has one, and no rule of that kind is used unasked", async (t) => {
  const service = await startService(t, ruled({ approve: by(["oncall"]) }))
  assert.deepEqual(codeOf(await service.ask({ break_glass: true })), [403, "not_askable"])
  await service.restart(ruled({ approve: { review: ["oncall"], within_ms: hour }, reason_required: true }))
  assert.deepEqual(codeOf(await service.ask()), [403, "not_askable"])
})

test("rules: an auditor sees everything and changes nothing; the audit log comes in pages", async (t) => {
  const service = await startService(t)
  await service.ask()
  await approve(service, "bob")
  assert.equal((await service.call("gina", "GET /v1/requests")).body.requests.length, 1)
  assert.equal((await service.call("gina", "GET /v1/requests/1")).body.may_decide, false)
  const page = async (query: string) =>
    ((await service.call("gina", `GET /v1/audit?${query}`)).body as unknown as { events: { sequence: number; kind: string; by: string }[] })
      .events
  assert.deepEqual(
    (await page("limit=2")).map(({ sequence }) => sequence),
    [4, 3],
  )
  assert.deepEqual(
    (await page("limit=2&before=3")).map(({ sequence }) => sequence),
    [2, 1],
  )
  assert.deepEqual(
    (await page("kind=grant.*")).map(({ kind }) => kind),
    ["grant.made"],
  )
  assert.deepEqual(
    (await page("by=alice@example.com")).map(({ kind }) => kind),
    ["request.asked"],
  )
  assert.deepEqual(await page(`since=${service.clock.now() + 1}`), [])
  for (const query of ["kind=DROP", "limit=-1", "before=x", "kind=grant.made.x"])
    assert.equal((await service.call("gina", `GET /v1/audit?${query}`)).status, 400, query)
})
