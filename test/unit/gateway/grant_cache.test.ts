import assert from "node:assert/strict"
import { describe, test } from "node:test"
import type { Grant } from "../../../src/core/grant.ts"
import { newGrantId } from "../../../src/core/ids.ts"
import { GrantCache } from "../../../src/gateway/control_plane/grant_cache.ts"

const grant = (revision: number, changes: Partial<Grant> = {}): Grant => ({
  id: newGrantId(),
  request: 1 as Grant["request"],
  subject: "alice",
  target: "orders",
  as: null,
  starts_at: 0,
  ends_at: 1_000,
  status: "active",
  revision,
  first_use_ms: null,
  actions: null,
  uses_left: null,
  ...changes,
})

/** A cache whose look-ups are answered when the test says so. */
function setUp() {
  const asked: ((answer: readonly Grant[] | Error) => void)[] = []
  const cache = new GrantCache({
    lookup: () => new Promise((resolve, reject) => asked.push((answer) => (answer instanceof Error ? reject(answer) : resolve(answer)))),
  })
  return { cache, asked, known: () => cache.known("alice", "orders") }
}

describe("the grant cache", () => {
  test("asks once for what many want at the same time, and then no more", async () => {
    const { cache, asked, known } = setUp()
    const loads = [cache.load("alice", "orders"), cache.load("alice", "orders")]
    assert.equal(asked.length, 1)
    asked[0]!([grant(1)])
    await Promise.all(loads)
    await cache.load("alice", "orders")
    assert.equal(asked.length, 1)
    assert.equal(known()?.length, 1)
  })

  test("a revocation is known the moment the feed says so", async () => {
    const { cache, asked, known } = setUp()
    const given = grant(1)
    const load = cache.load("alice", "orders")
    asked[0]!([given])
    await load
    cache.apply({ ...given, status: "revoked", revision: 2 })
    assert.equal(known()?.[0]?.status, "revoked")
  })

  test("a late answer does not undo what the feed said while it was on its way", async () => {
    const { cache, asked, known } = setUp()
    const given = grant(1)
    const load = cache.load("alice", "orders")
    cache.apply({ ...given, status: "revoked", revision: 2 })
    asked[0]!([given])
    await load
    assert.equal(known()?.[0]?.status, "revoked")
  })

  test("an older revision never replaces a newer one, in whatever order they come", async () => {
    const { cache, asked, known } = setUp()
    const given = grant(5, { ends_at: 5_000 })
    const load = cache.load("alice", "orders")
    asked[0]!([given])
    await load
    cache.apply({ ...given, ends_at: 9_000, revision: 4 })
    assert.equal(known()?.[0]?.ends_at, 5_000)
  })

  test("a grant made after the answer is there without asking again", async () => {
    const { cache, asked, known } = setUp()
    const load = cache.load("alice", "orders")
    asked[0]!([])
    await load
    assert.deepEqual(known(), [])
    cache.apply(grant(7))
    assert.equal(known()?.length, 1)
  })

  test("a look-up that fails leaves nothing behind, and the next one asks", async () => {
    const { cache, asked, known } = setUp()
    const load = cache.load("alice", "orders")
    asked[0]!(new Error("no answer"))
    await assert.rejects(load)
    assert.equal(known(), undefined)
    const again = cache.load("alice", "orders")
    asked[1]!([grant(1)])
    await again
    assert.equal(known()?.length, 1)
  })

  test("an answer from before the history changed is not kept", async () => {
    const { cache, asked, known } = setUp()
    const load = cache.load("alice", "orders")
    cache.clear()
    asked[0]!([grant(1)])
    await load
    assert.equal(known(), undefined)
  })
})
