// Lists as the verbs show them: as many calls as it takes, and the line that goes on.
import assert from "node:assert/strict"
import { test } from "node:test"
import { andNext, inPages } from "../../../src/cli/pages.ts"
import { limits } from "../../../src/core/limits.ts"

/** A list of the numbers below `count`, the largest first, that gives at most 1,000 at once. */
function numbers(count: number) {
  const calls: unknown[] = []
  const read = async (wanted: { readonly limit: number; readonly before?: number }) => {
    calls.push(wanted)
    const from = wanted.before ?? count
    const rows = Math.min(wanted.limit, limits.list_rows_max, from)
    const items = Array.from({ length: rows }, (_, index) => from - 1 - index)
    return { items, next: from - rows > 0 ? from - rows : null }
  }
  return { calls, read }
}

test("pages: more than one page of the API has takes several calls, and no more than are wanted", async () => {
  const { calls, read } = numbers(5_000)
  const { items, next } = await inPages({ limit: 2_500 }, read)
  assert.deepEqual([items.length, new Set(items).size, items.at(-1), next], [2_500, 2_500, 2_500, 2_500])
  assert.deepEqual(calls, [{ limit: 1_000 }, { limit: 1_000, before: 4_000 }, { limit: 500, before: 3_000 }])
})

test("pages: a list that is shorter ends by itself, and one goes on from where the last one ended", async () => {
  const { read } = numbers(1_200)
  assert.deepEqual((await inPages({ limit: 100_000 }, read)).items.length, 1_200)
  const first = await inPages({ limit: 700 }, read)
  assert(first.next !== null)
  const second = await inPages({ limit: 700, before: first.next }, read)
  assert.deepEqual([first.items.length, second.items.length, second.items[0], second.next], [700, 500, 499, null])
})

test("pages: the line that goes on asks for as many again", () => {
  assert.equal(
    andNext("rows", "sluice requests --pending", { limit: 2, next: 7 }),
    "rows\n\nThe next page: sluice requests --pending --limit 2 --before 7",
  )
  assert.equal(
    andNext("rows", "sluice grants", { limit: limits.list_rows_max, next: 7 }),
    "rows\n\nThe next page: sluice grants --before 7",
  )
  assert.equal(andNext("rows", "sluice grants", { limit: 2, next: null }), "rows")
})
