// What every protocol promises about rules for single actions: what is denied does not happen, and what is held happens once, after
// somebody approved it, or never. Part of the suite.
import assert from "node:assert/strict"
import { test } from "node:test"
import type { ActionRule } from "../../src/core/action_rules.ts"
import type { Line } from "../../src/record/events.ts"
import { eventually } from "../support/wait.ts"
import type { Driver, FakeTarget, Refused, Visit } from "./driver.ts"
import { hold_ms, type FakeHold } from "./fake_holds.ts"
import type { Harness } from "./harness.ts"
import { actionRule } from "../support/action_rule.ts"

const until = (condition: () => boolean): Promise<true> => eventually(String(condition), condition, 10_000)

const no_forwards = { forward: undefined, listen: undefined, agent: false }
/** About no action of any driver's. */
const other: ActionRule["about"] = { protocol: "ssh", exec: undefined, argv: [["nothing"]], shell: false, sftp: undefined, ...no_forwards }

interface Rig {
  readonly target: FakeTarget
  readonly harness: Harness
  enter(where?: string): Promise<{ visit: Visit | Refused }>
}

export function holdPromises(driver: Driver, setUp: () => Promise<Rig>): void {
  const rule = (more: Partial<ActionRule>): ActionRule => actionRule({ within_ms: hold_ms, ...more })

  async function inside(rules: readonly ActionRule[]): Promise<Rig & { visit: Visit }> {
    const rig = await setUp()
    rig.harness.grant("shop")
    const { visit } = await rig.enter()
    assert(visit.in, `refused: ${visit.in ? "" : visit.words}`)
    // What entering itself does on this protocol is no matter here.
    rig.harness.policy.actions = rules
    return { ...rig, visit }
  }

  const actions = ({ harness }: Rig, verdict: "allow" | "deny"): Extract<Line, { kind: "action" }>[] =>
    harness.recording(harness.lastSession()).filter((line) => line.kind === "action" && line.verdict === verdict) as never

  /** Wants an action, and waits until somebody is asked about it. */
  async function want({ harness, visit }: Rig & { visit: Visit }, action: string): Promise<{ hold: FakeHold; answer: Promise<string> }> {
    const before = harness.holds.asked.length
    const answer = visit.act(action).catch(() => "")
    await until(() => harness.holds.asked.length > before)
    const hold = harness.holds.asked.at(-1) as FakeHold
    await until(() => harness.recording(harness.lastSession()).some((line) => line.kind === "held" && line.request === hold.request))
    return { hold, answer }
  }

  test("an action that a rule denies is refused in its words, on record with the rule, unseen by the target, and the session goes on", async () => {
    const rig = await inside([rule({ verdict: "deny", say: "not on a Friday" })])
    const { visit, target, harness } = rig
    assert.match(`${await visit.act("first").catch(() => "")}\n${visit.words()}`, /sluice: not on a Friday/)
    harness.policy.actions = []
    assert.match(await visit.act("second"), /second/)
    assert.deepEqual(target.actions, ["second"])
    assert.deepEqual(
      actions(rig, "deny").map((line) => line.rule),
      ["policy.actions[0]"],
    )
  })

  test("an action that a rule flags happens, and is marked on record", async () => {
    const rig = await inside([rule({ verdict: "flag" })])
    assert.match(await rig.visit.act("first"), /first/)
    const [flagged] = actions(rig, "allow").slice(-1)
    assert.deepEqual([flagged?.rule, flagged?.flagged], ["policy.actions[0]", true])
    await rig.visit.act("second")
    const told = rig.harness.reports.filter((report) => report.event === "flagged")
    assert.deepEqual(
      told.map(({ id, rule: name, count }) => [id, name, count]),
      [[rig.harness.lastSession(), "policy.actions[0]", 1]],
      "the first is told at once, the others together",
    )
    assert.match(told[0]?.actions[0] ?? "", /first/)
  })

  test("a held action waits unseen by the target, with all of it shown; approved it happens once, and the record has every step", async () => {
    const rig = await inside([rule({})])
    const { visit, target, harness } = rig
    const { hold, answer } = await want(rig, "first")
    assert.match(hold.action.text, /first/)
    if (driver.tells) await until(() => /held: request \d+ .*approve \d+ .*https:\/\/access\.test\/requests\/\d+/s.test(visit.words()))
    assert.deepEqual(target.actions, [])
    target.onAction = () => {
      const lines = harness.recording(harness.lastSession())
      const held = lines.findIndex((line) => line.kind === "held" && line.request === hold.request)
      const settled = lines.findIndex((line) => line.kind === "settled" && line.held === held)
      const allowed = lines.findIndex((line) => line.kind === "action" && line.held === held)
      assert(held > 0 && held < settled && settled < allowed, `${held} ${settled} ${allowed}`)
      assert.equal(hold.redeemed, 1)
    }
    hold.approve()
    assert.match(await answer, /first/)
    assert.deepEqual(target.actions, ["first"])
    const next = await want(rig, "first")
    assert.notEqual(next.hold.request, hold.request, "an approval is for once")
    assert.ok(next.hold.action.recent.some((text) => text.includes("first")))
    next.hold.deny("")
    await next.answer
    assert.deepEqual(target.actions, ["first"])
  })

  test("denied, it does not happen, the decider's words are told, and the session goes on", async () => {
    const rig = await inside([rule({})])
    const { visit, target, harness } = rig
    const { hold, answer } = await want(rig, "first")
    hold.deny("use the runbook")
    assert.match(`${await answer}\n${visit.words()}`, /request 57 was denied by bob@example\.com: use the runbook/)
    harness.policy.actions = []
    assert.match(await visit.act("second"), /second/)
    assert.deepEqual(target.actions, ["second"])
    assert.equal(hold.redeemed, 0)
  })

  test("nobody decides in its time: it does not happen", async () => {
    const rig = await inside([rule({})])
    const { hold, answer } = await want(rig, "first")
    rig.harness.clock.advance(hold_ms)
    assert.match(`${await answer}\n${rig.visit.words()}`, driver.answersHeld ? /Send the same again/ : /nobody approved request 57 in time/)
    assert.deepEqual(rig.target.actions, [])
    assert.equal(hold.redeemed, 0)
  })

  test("an approval that is gone when it is to be used is for nothing", async () => {
    const rig = await inside([rule({})])
    const { hold, answer } = await want(rig, "first")
    hold.gone = true
    hold.approve()
    assert.match(`${await answer}\n${rig.visit.words()}`, /the approval of this action is gone/)
    assert.deepEqual(rig.target.actions, [])
  })

  test("a rule about a group is for who is in it when the session begins, whatever they were when they logged in", async () => {
    const rig = await setUp()
    const { harness, target } = rig
    const { name: subject } = harness.alice
    await harness.directory.load({ subject })
    const person = { subject, groups: ["contractors"], disabled: false, revision: 1 }
    harness.directory.apply({ kind: "person", sequence: 1, person })
    harness.grant("shop")
    const { visit } = await rig.enter()
    assert(visit.in)
    harness.policy.actions = [rule({ verdict: "deny", who: ["contractors"], say: "not you" })]
    assert.match(`${await visit.act("first").catch(() => "")}\n${visit.words()}`, /sluice: not you/)
    assert.deepEqual(target.actions, [])
    const [header] = harness.recording(harness.lastSession())
    assert.deepEqual(header?.kind === "session" && header.groups, ["contractors"])
  })

  for (const [what, now, words] of [
    ["deny it", [rule({ verdict: "deny", say: "not any more", digest: "other" })], /not any more/],
    ["hold it for others", [rule({ digest: "other" })], /the rules have changed while this waited/],
  ] as const)
    test(`the rules are reloaded while it waits, and ${what}: approved it does not happen, and the approval is not taken`, async () => {
      const rig = await inside([rule({})])
      const { visit, harness, target } = rig
      const { hold, answer } = await want(rig, "first")
      harness.policy.actions = now
      hold.approve()
      assert.match(`${await answer}\n${visit.words()}`, words)
      assert.equal(hold.redeemed, 0)
      harness.policy.actions = []
      assert.match(await visit.act("second"), /second/)
      assert.deepEqual(target.actions, ["second"])
    })

  test("the rules are reloaded while it waits, and those there are now say the same, or nothing: approved it happens once", async () => {
    for (const now of [[rule({ verdict: "deny", about: other, digest: "new" }), rule({ index: 1, name: "policy.actions[1]" })], []]) {
      const rig = await inside([rule({})])
      const { hold, answer } = await want(rig, "first")
      rig.harness.policy.actions = now
      hold.approve()
      assert.match(await answer, /first/)
      assert.deepEqual([rig.target.actions, hold.redeemed], [["first"], 1])
    }
  })

  test("the service is away: nothing happens, it is said so, and the session goes on", async () => {
    const rig = await inside([rule({})])
    const { visit, harness, target } = rig
    harness.holds.away = true
    assert.match(`${await visit.act("first").catch(() => "")}\n${visit.words()}`, /cannot be checked right now/)
    harness.policy.actions = []
    assert.match(await visit.act("second"), /second/)
    assert.deepEqual(target.actions, ["second"])
  })

  for (const [what, cut] of [
    ["the grant ends", ({ harness }: Rig) => harness.clock.advance(3_600_000)],
    ["a colleague ends the session", ({ harness }: Rig) => harness.sessions.kill(harness.lastSession(), { by: "bob@example.com" })],
  ] as const)
    test(`${what} while it waits: it is taken back, and an approval in the same moment is for nothing`, async () => {
      const rig = await inside([rule({ within_ms: 7_200_000 })])
      const { hold } = await want(rig, "first")
      cut(rig)
      hold.approve()
      await rig.visit.closed
      await until(() => rig.harness.recording(rig.harness.lastSession()).at(-1)?.kind === "end")
      assert.deepEqual(rig.target.actions, [])
      assert.equal(hold.redeemed, 0)
    })

  test("who waits goes away: it is taken back, and never happens", async () => {
    const rig = await inside([rule({})])
    const { hold } = await want(rig, "first")
    rig.visit.vanish()
    await until(() => hold.withdrawn)
    hold.approve()
    rig.harness.clock.advance(3_600_000)
    await until(() => rig.harness.recording(rig.harness.lastSession()).at(-1)?.kind === "end")
    assert.deepEqual(rig.target.actions, [])
  })

  test("a grant that names its actions was approved with them in sight: they do not wait, and denied ones stay denied", async () => {
    const rig = await setUp()
    rig.harness.grant("shop", { actions: [...(driver.entering === undefined ? [] : [driver.entering]), driver.named("first")] })
    const { visit } = await rig.enter()
    assert(visit.in)
    rig.harness.policy.actions = [rule({})]
    assert.match(await visit.act("first"), /first/)
    rig.harness.policy.actions = [rule({ verdict: "deny" })]
    assert.match(`${await visit.act("first").catch(() => "")}\n${visit.words()}`, /a rule does not allow this action/)
    assert.deepEqual(rig.target.actions, ["first"])
    assert.equal(rig.harness.holds.asked.length, 0)
  })
}
