import assert from "node:assert/strict"
import { test } from "node:test"
import { CancelKeys } from "../../../protocols/postgres/cancel_keys.ts"
import { protocol_3_0, protocol_3_2 } from "../../../protocols/postgres/codec.ts"
import type { Siblings } from "../../../src/gateway/contract.ts"
import { alone } from "../../../src/gateway/siblings.ts"
import { limits } from "../../../src/core/limits.ts"
import { FakeClock } from "../../support/fake_clock.ts"

function counted(keys: CancelKeys, version: number) {
  const count = { cancelled: 0 }
  const key = keys.mint(version, async () => void count.cancelled++)
  return { count, key }
}

test("cancel keys: a key cancels its own session and no other", async () => {
  const keys = new CancelKeys({ clock: new FakeClock(), siblings: alone })
  const [mine, other] = [counted(keys, protocol_3_2), counted(keys, protocol_3_2)]
  await keys.use(mine.key)
  assert.deepEqual([mine.count.cancelled, other.count.cancelled], [1, 0])
  await keys.use({ pid: mine.key.pid, secret: other.key.secret })
  await keys.use({ pid: other.key.pid + 1, secret: other.key.secret })
  await keys.use({ pid: mine.key.pid, secret: mine.key.secret.subarray(0, 4) })
  assert.deepEqual([mine.count.cancelled, other.count.cancelled], [1, 0])
})

test("cancel keys: 4 bytes on protocol 3.0, 32 on 3.2, and never the same", () => {
  const keys = new CancelKeys({ clock: new FakeClock(), siblings: alone })
  assert.equal(counted(keys, protocol_3_0).key.secret.length, 4)
  assert.equal(counted(keys, protocol_3_2).key.secret.length, 32)
  const pids = new Set(Array.from({ length: 100 }, () => counted(keys, protocol_3_0).key.pid))
  assert.equal(pids.size, 100)
})

test("cancel keys: after the session's end a key does nothing and takes no memory", async () => {
  const keys = new CancelKeys({ clock: new FakeClock(), siblings: alone })
  const { count, key } = counted(keys, protocol_3_0)
  keys.forget(key)
  await keys.use(key)
  assert.deepEqual([count.cancelled, keys.size], [0, 0])
})

test("cancel keys: a flood with the right key reaches the target only so often", async () => {
  const clock = new FakeClock()
  const keys = new CancelKeys({ clock, siblings: alone })
  const { count, key } = counted(keys, protocol_3_0)
  for (let time = 0; time < 100; time++) await keys.use(key)
  assert.equal(count.cancelled, limits.postgres_cancels_per_second_max)
  clock.advance(1_000)
  await keys.use(key)
  assert.equal(count.cancelled, limits.postgres_cancels_per_second_max + 1)
})

/** Two processes of one gateway. */
function pair(): [CancelKeys, CancelKeys] {
  const listeners: ((words: string) => void)[] = []
  const sibling = (index: number): Siblings => ({
    index,
    count: 2,
    tell: (to, words) => listeners[to]?.(words),
    onTold: (listen) => void (listeners[index] = listen),
  })
  const clock = new FakeClock()
  return [new CancelKeys({ clock, siblings: sibling(0) }), new CancelKeys({ clock, siblings: sibling(1) })]
}

test("cancel keys: one that is shown to another process of the gateway cancels where it belongs", async () => {
  const [here, there] = pair()
  for (const version of [protocol_3_0, protocol_3_2]) {
    const [mine, other] = [counted(here, version), counted(there, version)]
    await there.use(mine.key)
    assert.deepEqual([mine.count.cancelled, other.count.cancelled], [1, 0])
    await there.use({ pid: mine.key.pid, secret: other.key.secret })
    await here.use({ pid: mine.key.pid + 2 ** 30, secret: mine.key.secret })
    await here.use({ pid: -1, secret: mine.key.secret })
    assert.deepEqual([mine.count.cancelled, other.count.cancelled], [1, 0])
  }
})
