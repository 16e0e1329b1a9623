// One page of a list of the API, and where the next one begins. A list goes on after the last thing that was shown, by what never
// changes about it: what is added or changed meanwhile moves nothing from one page to another. It owns the bounds, not the order.
import { setImmediate as nextTurn } from "node:timers/promises"
import { limits } from "../core/limits.ts"

/** What a page is asked for with; `before`: as `next` of the page before it. */
export interface Paged<Place> {
  readonly limit?: number | undefined
  readonly before?: Place | undefined
}

export interface Page<Item, Place> {
  readonly items: readonly Item[]
  /** Null: there is no more. */
  readonly next: Place | null
}

const page_rows_default = limits.list_rows_max

/**
 * `read` is asked for so many rows before a place, a slice of the page at a time: what else the service does goes on in between. In all it
 * is one row more than the page has, to see whether there is another.
 */
export async function pageOf<Item, Place>(
  { limit = page_rows_default, before }: Paged<Place>,
  read: (limit: number, before: Place | undefined) => Promise<readonly Item[]>,
  placeOf: (item: Item) => Place,
): Promise<Page<Item, Place>> {
  const rows = Math.min(limit, limits.list_rows_max)
  const found: Item[] = []
  while (found.length <= rows) {
    const last = found.at(-1)
    const wanted = Math.min(rows + 1 - found.length, limits.list_slice_rows)
    const slice = await read(wanted, last === undefined ? before : placeOf(last))
    found.push(...slice)
    if (slice.length < wanted) break
    await nextTurn()
  }
  const items = found.slice(0, rows)
  const last = items.at(-1)
  return { items, next: found.length > rows && last !== undefined ? placeOf(last) : null }
}
