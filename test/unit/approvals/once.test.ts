// What may be shown once.
import assert from "node:assert/strict"
import test from "node:test"
import { Once } from "../../../src/approvals/once.ts"
import { limits } from "../../../src/core/limits.ts"
import { FakeClock } from "../../support/fake_clock.ts"

test("once: each is taken once, as long as it could be shown again", () => {
  const clock = new FakeClock()
  const once = new Once(clock)
  once.take("a", clock.now() + 1000)
  assert.throws(() => once.take("a", clock.now() + 1000), /shown before/)
  clock.advance(1000)
  assert.throws(() => once.take("a", clock.now()), /shown before/)
  clock.advance(1)
  once.take("a", clock.now() + 1000) // over by its own end: who shows it is refused for that
})

test("once: what cannot be remembered is not taken, until there is room again", () => {
  const clock = new FakeClock()
  const once = new Once(clock)
  for (let n = 0; n < limits.gateway_assertions_max; n++) once.take(String(n), clock.now() + 1000)
  assert.throws(() => once.take("one more", clock.now() + 1000), /too many/)
  clock.advance(1001)
  once.take("one more", clock.now() + 1000)
})
