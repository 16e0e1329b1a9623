// Lists of the API in pages, as the verbs that list show them: page after page until there are as many as were asked for, and the line
// that goes on from there.
import { limits } from "../core/limits.ts"
import { count } from "./ids.ts"

export interface PageOptions<Place> {
  /** At most so many; more than one page of the API has takes several calls. */
  readonly limit: number
  /** Where the list before ended. */
  readonly before?: Place
}

export const limitOption = ["--limit <count>", "at most so many", count, limits.list_rows_max] as const

interface Wanted<Place> {
  readonly limit: number
  readonly before?: Place
}

interface Found<Item, Place> {
  readonly items: readonly Item[]
  /** Where the list goes on; null: there is no more. */
  readonly next: Place | null
}

export async function inPages<Item, Place>(
  { limit, before }: PageOptions<Place>,
  read: (wanted: Wanted<Place>) => Promise<Found<Item, Place>>,
): Promise<Found<Item, Place>> {
  const items: Item[] = []
  let next: Place | null = before ?? null
  do {
    const wanted = { limit: Math.min(limit - items.length, limits.list_rows_max), ...(next === null ? {} : { before: next }) }
    const page: Found<Item, Place> = await read(wanted)
    items.push(...page.items)
    next = page.next
  } while (next !== null && items.length < limit)
  return { items, next }
}

/** `text`, and the line that lists what comes after it. `verb`: as it was called, with what else it was called with. */
export function andNext(
  text: string,
  verb: string,
  { limit, next }: { readonly limit: number; readonly next: string | number | null },
): string {
  if (next === null) return text
  const asMany = limit === limits.list_rows_max ? "" : ` --limit ${limit}`
  return `${text}\n\nThe next page: ${verb}${asMany} --before ${next}`
}
