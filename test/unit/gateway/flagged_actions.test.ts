// What a rule flags is told soon, and not more often than once in a minute.
import assert from "node:assert/strict"
import { test } from "node:test"
import type { SessionReport } from "../../../src/api/schema.ts"
import { newSessionId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import { type FlaggedAction, FlaggedActions } from "../../../src/gateway/actions/flagged_actions.ts"
import { FakeClock } from "../../support/fake_clock.ts"

function setUp() {
  const clock = new FakeClock()
  const reports: Extract<SessionReport, { event: "flagged" }>[] = []
  const flagged = new FlaggedActions(clock, (report) => void (report.event === "flagged" && reports.push(report)))
  const one = (change: Partial<FlaggedAction> = {}): FlaggedAction => ({
    session: newSessionId(),
    subject: "alice",
    target: "orders",
    rule: "policy.actions[0]",
    text: "SELECT 1",
    ...change,
  })
  return { clock, flagged, one, told: () => reports.map(({ count, actions }) => [count, actions]), reports }
}

test("flagged: the first at once, those of the next minute together with their number, and then at once again", () => {
  const { clock, flagged, one, told, reports } = setUp()
  flagged.add(one({ text: "1" }))
  assert.deepEqual(told(), [[1, ["1"]]])
  for (let n = 2; n <= 9; n++) flagged.add(one({ text: String(n) }))
  clock.advance(limits.flagged_ms - 1)
  assert.equal(reports.length, 1)
  clock.advance(1)
  assert.deepEqual(told()[1], [8, ["2", "3", "4", "5", "6"]])
  flagged.add(one({ text: "10" }))
  assert.equal(reports.length, 2, "the minute after a digest counts too")
  clock.advance(limits.flagged_ms)
  assert.deepEqual(told()[2], [1, ["10"]])
  clock.advance(limits.flagged_ms)
  assert.equal(reports.length, 3, "nothing more came, so nothing more is told")
  flagged.add(one({ text: "11" }))
  assert.deepEqual(told()[3], [1, ["11"]])
})

test("flagged: each rule, person and target by itself; whatever session it was", () => {
  const { flagged, one, reports } = setUp()
  for (const change of [{}, { rule: "policy.actions[1]" }, { subject: "bob" }, { target: "shop" }, {}]) flagged.add(one(change))
  assert.equal(reports.length, 4)
})

test("flagged: at the end what was not told yet is, and no timer is left", () => {
  const { clock, flagged, one, told, reports } = setUp()
  flagged.add(one({ text: "1" }))
  flagged.add(one({ text: "2" }))
  flagged.flush()
  assert.deepEqual(told(), [
    [1, ["1"]],
    [1, ["2"]],
  ])
  clock.advance(10 * limits.flagged_ms)
  assert.equal(reports.length, 2)
})

test("flagged: more of them than are followed are on record alone", () => {
  const { flagged, one, reports } = setUp()
  for (let n = 0; n < limits.flagged_followed_max + 10; n++) flagged.add(one({ subject: `p${n}` }))
  assert.equal(reports.length, limits.flagged_followed_max)
})
