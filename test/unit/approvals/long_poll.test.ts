// Waiting for a decision.
import assert from "node:assert/strict"
import test from "node:test"
import { limits } from "../../../src/core/limits.ts"
import type { RequestId } from "../../../src/core/ids.ts"
import { Waiters } from "../../../src/approvals/requests/waiters.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { openNewStore } from "../../support/store.ts"
import { eventually } from "../../support/wait.ts"
import { startService } from "./service.ts"

test("long poll: answers at once when it is decided", async (t) => {
  const service = await startService(t)
  await service.ask()
  const waiting = service.call("alice", "GET /v1/requests/1?wait_ms=30000")
  await service.call("bob", "POST /v1/requests/1/deny", { reason: "no" })
  assert.equal((await waiting).body.status, "denied")
  assert.equal((await service.call("alice", "GET /v1/requests/1?wait_ms=30000")).body.status, "denied")
})

test("long poll: answers what is so after the time asked for, and after no more than the bound", async (t) => {
  const service = await startService(t)
  await service.ask()
  const waiting = service.call("alice", "GET /v1/requests/1?wait_ms=999999999999")
  const settled = waiting.then(() => true)
  const answered = await eventually("an answer as time passes", () => {
    service.clock.advance(limits.long_poll_ms_max)
    return Promise.race([settled, new Promise<false>((resolve) => void setImmediate(() => resolve(false)))])
  })
  assert(answered)
  assert.equal((await waiting).body.status, "pending")
})

test("long poll: waiting for what one may not see is answered as missing, at once", async (t) => {
  const service = await startService(t)
  await service.ask()
  assert.equal((await service.call("carol", "GET /v1/requests/1?wait_ms=30000")).status, 404)
})

test("long poll: one person's waits are bounded, a client that leaves frees its place, and nobody is left waiting at the end", async (t) => {
  const clock = new FakeClock()
  const { store } = await openNewStore(clock)
  t.after(() => store.close())
  const waiters = new Waiters({ store, clock })
  const request = 1 as RequestId
  const entered = Array.from({ length: limits.long_polls_per_subject_max }, () => waiters.enter(request, "alice"))
  assert.throws(() => waiters.enter(request, "alice"), { code: "too_many" })
  const gone = new AbortController()
  const left = entered[0]?.settled(1000, gone.signal)
  gone.abort()
  await left
  entered[0]?.leave()
  entered[0]?.leave()
  assert.equal(waiters.count, limits.long_polls_per_subject_max - 1)
  waiters.enter(request, "alice").leave()
  const rest = entered.slice(1).map((waiter) => waiter.settled(1000, new AbortController().signal))
  waiters.close()
  await Promise.all(rest)
  for (const waiter of entered) waiter.leave()
  assert.equal(waiters.count, 0)
})

test("long poll: a client that leaves is no longer waited for", async (t) => {
  const service = await startService(t)
  await service.ask()
  for (let round = 0; round < limits.long_polls_per_subject_max + 5; round += 15) {
    const leave = new AbortController()
    const polls = Array.from({ length: 15 }, () =>
      service.call("alice", "GET /v1/requests/1?wait_ms=30000", undefined, { signal: leave.signal }).catch(() => {}),
    )
    await service.call("alice", "GET /v1/requests/1")
    leave.abort()
    await Promise.all(polls)
  }
  const waiting = service.call("alice", "GET /v1/requests/1?wait_ms=30000")
  await service.call("bob", "POST /v1/requests/1/approve", {})
  assert.equal((await waiting).body.status, "approved")
})
