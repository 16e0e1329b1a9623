// What a verb shows at each call, however long it waits.
import assert from "node:assert/strict"
import test from "node:test"
import { freshToken } from "../../../src/cli/fresh_token.ts"
import { FakeClock } from "../../support/fake_clock.ts"

const minute = 60_000

test("fresh token: the same until shortly before its end, then another", async () => {
  const clock = new FakeClock()
  let count = 0
  const token = freshToken(
    async () => ({ token: `token ${++count}`, expires_at: clock.now() + 15 * minute }),
    () => clock.now(),
  )
  const shown = async (): Promise<string> => (await token()).reveal()
  assert.deepEqual([await shown(), await shown()], ["token 1", "token 1"])
  clock.advance(13 * minute)
  assert.equal(await shown(), "token 1")
  clock.advance(1)
  assert.equal(await shown(), "token 2")
  clock.advance(24 * 60 * minute)
  assert.equal(await shown(), "token 3")
})

test("fresh token: calls that come at once fetch one, and a fetch that failed is tried again by the next", async () => {
  const clock = new FakeClock()
  let count = 0
  const token = freshToken(
    async () => {
      if (++count === 1) throw new Error("away")
      return { token: `token ${count}`, expires_at: clock.now() + 15 * minute }
    },
    () => clock.now(),
  )
  await assert.rejects(token(), /away/)
  const shown = await Promise.all([token(), token(), token()])
  assert.deepEqual(
    shown.map((one) => one.reveal()),
    ["token 2", "token 2", "token 2"],
  )
})
