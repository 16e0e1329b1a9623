import assert from "node:assert/strict"
import { describe, test } from "node:test"
import { covers, type Grant } from "../../../src/core/grant.ts"
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
})
