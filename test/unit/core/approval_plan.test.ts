// Who must approve, in which order, and who counts for what.
import assert from "node:assert/strict"
import { test } from "node:test"
import { type ApprovalPlan, type Approval, filled, isFulfilled, openSteps, stepsFor } from "../../../src/core/approval_plan.ts"

const plan = (order: ApprovalPlan["order"], ...steps: readonly (readonly [string, number])[]): ApprovalPlan => ({
  order,
  steps: steps.map(([by, count]) => ({ by: [by], count })),
})
/** People who approve one after the other, each by the names they go by; as the service counts them. */
function approvals(of: ApprovalPlan, ...people: readonly (readonly [string, ...string[]])[]): Approval[] {
  const given: Approval[] = []
  for (const [by, ...groups] of people) given.push({ by, steps: stepsFor({ plan: of, escalated: [], names: [by, ...groups] }, given) })
  return given
}

test("approval plan: distinct people, each once, however many groups they are in", () => {
  const both = plan("any", ["security", 1], ["oncall", 1])
  assert.equal(isFulfilled(both, approvals(both, ["erin", "security", "oncall"])), false)
  assert.equal(isFulfilled(both, approvals(both, ["erin", "security", "oncall"], ["bob", "oncall"])), true)
  // Erin sits in the first step until somebody comes who can sit nowhere else.
  assert.equal(isFulfilled(both, approvals(both, ["erin", "security", "oncall"], ["sam", "security"])), true)
  assert.deepEqual(filled(both, approvals(both, ["erin", "security", "oncall"], ["sam", "security"])), [["sam"], ["erin"]])
  assert.equal(isFulfilled(both, approvals(both, ["bob", "oncall"], ["carl", "oncall"])), false)
})

test("approval plan: steps in a sequence wait for those before them", () => {
  const line = plan("sequence", ["oncall", 2], ["security", 1])
  assert.deepEqual(stepsFor({ plan: line, escalated: [], names: ["sam", "security"] }, []), [])
  const two = approvals(line, ["bob", "oncall"], ["erin", "oncall"])
  assert.deepEqual(openSteps(line, two), [1])
  assert.deepEqual(stepsFor({ plan: line, escalated: [], names: ["sam", "security"] }, two), [1])
  assert.equal(isFulfilled(line, two), false)
  assert.equal(isFulfilled(line, [...two, { by: "sam", steps: [1] }]), true)
  // The second step is not theirs, though they are on call.
  assert.deepEqual(stepsFor({ plan: line, escalated: [], names: ["carl", "oncall"] }, two), [])
})

test("approval plan: those it was escalated to may stand in any step, as one person", () => {
  const line = plan("sequence", ["oncall", 1], ["security", 1])
  const names = ["mia", "managers"]
  assert.deepEqual(stepsFor({ plan: line, escalated: [], names }, []), [])
  assert.deepEqual(stepsFor({ plan: line, escalated: ["managers"], names }, []), [0])
  assert.equal(isFulfilled(line, [{ by: "mia", steps: [0] }]), false)
})

test("approval plan: nothing is needed where a rule decides by itself", () => {
  assert.equal(isFulfilled({ order: "any", steps: [] }, []), true)
})
