// Which of the things in a list the one who reads it may end. Everybody but an auditor may end whatever of others' they see; an auditor
// is asked for once more, as the person they are besides.
import { endableBy, type Person } from "../policy.ts"
import type { Seen } from "../store.ts"

/** Rows of others that are open and that `person` may end: those of the list as somebody sees it who may end all of it. */
export async function withMayEnd<Item extends { readonly id: string; readonly subject: string }>(
  { items, person, isOpen }: { readonly items: readonly Item[]; readonly person: Person; isOpen(item: Item): boolean },
  read: (seen: Seen, limit: number) => Promise<readonly Item[]>,
): Promise<(Item & { readonly may_end: boolean })[]> {
  // Only auditors see what they may not end.
  const all = !person.auditor || person.admin
  const ids = all || items.length === 0 ? [] : (await read(endableBy(person), items.length)).map(({ id }) => id)
  const endable = new Set(ids)
  return items.map((item) => ({ ...item, may_end: item.subject !== person.name && isOpen(item) && (all || endable.has(item.id)) }))
}
