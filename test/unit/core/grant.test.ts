import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { bestGrant, covers, type Grant } from "../../../src/core/grant.ts"
import { newGrantId, type RequestId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"

describe("a grant's times", () => {
  const wanted = { subject: "alice", target: "shop", as: undefined }
  const grant = (starts_at: number, ends_at: number): Grant => ({
    id: newGrantId(),
    request: 1 as RequestId,
    subject: "alice",
    target: "shop",
    as: null,
    starts_at,
    ends_at,
    status: "active",
    revision: 1,
    first_use_ms: null,
    actions: null,
    uses_left: null,
  })

  test("one made now by a service whose clock is a little ahead opens at once, and ends at its end all the same", () => {
    const now = 1_000_000
    assert(covers(grant(now + limits.start_clock_skew_ms_max, now + 60_000), wanted, now))
    assert(!covers(grant(now + limits.start_clock_skew_ms_max + 1, now + 60_000), wanted, now))
    assert(!covers(grant(now - 1_000, now), wanted, now))
  })

  test("times that are no numbers cover nothing", () => {
    for (const [from, to] of [
      [NaN, Infinity],
      [0, NaN],
    ] as const)
      assert(!covers(grant(from, to), wanted, 1))
  })

  test("of several, the best is one that covers every action, then one that has begun, then the longest", () => {
    const whole = grant(0, 10)
    const best = (...grants: Grant[]) => bestGrant(grants, wanted, 1)
    const named = { ...grant(0, 90), actions: ["uptime"] }
    const counted = { ...grant(0, 90), uses_left: 3 }
    const waiting = { ...grant(0, 90), first_use_ms: 60 }
    for (const other of [named, counted, waiting, grant(0, 9), { ...grant(0, 99), status: "spent" as const }]) {
      assert.equal(best(other, whole), whole)
      assert.equal(best(whole, other), whole)
    }
    assert.equal(best(named, waiting), waiting, "a session on the other would refuse actions that this one covers")
    assert.equal(best(whole, grant(0, 11))?.ends_at, 11)
  })
})
