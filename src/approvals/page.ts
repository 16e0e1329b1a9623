// One page of a list of the API, and where the next one begins. A list goes on after the last thing that was shown, by what never
// changes about it: what is added or changed meanwhile moves nothing from one page to another. It owns the bounds, not the order.
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

/** `read` is asked for one more than the page has, to see whether there is another. */
export async function pageOf<Item, Place>(
  { limit = page_rows_default }: Paged<Place>,
  read: (limit: number) => Promise<readonly Item[]>,
  placeOf: (item: Item) => Place,
): Promise<Page<Item, Place>> {
  const rows = Math.min(limit, limits.list_rows_max)
  const found = await read(rows + 1)
  const items = found.slice(0, rows)
  const last = items.at(-1)
  return { items, next: found.length > rows && last !== undefined ? placeOf(last) : null }
}
