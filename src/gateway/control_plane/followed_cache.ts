// What the approval service answered about a thing, kept up to date by the feed. A revision orders everything, so an answer that
// was overtaken by the feed changes nothing.
import { LRUCache } from "lru-cache"

interface Revised {
  readonly revision: number
}

export interface FollowedCacheOptions<Value extends Revised> {
  readonly entries_max: number
  /** Asks the approval service. */
  lookup(key: string): Promise<Value>
}

export class FollowedCache<Value extends Revised> {
  readonly #lookup: (key: string) => Promise<Value>
  readonly #entries: LRUCache<string, Value>
  /** Look-ups under way, each with the newest that the feed said about its key meanwhile. */
  readonly #asking = new Map<string, { readonly answer: Promise<void>; meanwhile: Value | undefined }>()

  constructor({ entries_max, lookup }: FollowedCacheOptions<Value>) {
    this.#lookup = lookup
    this.#entries = new LRUCache({ max: entries_max })
  }

  /** Settles when `known` has an answer. Rejects as the look-up does. */
  async load(key: string): Promise<void> {
    if (!this.#entries.get(key)) await (this.#asking.get(key)?.answer ?? this.#ask(key))
  }

  /** As of this moment. Undefined: not loaded, or dropped again. */
  known(key: string): Value | undefined {
    return this.#entries.get(key)
  }

  /** A change from the feed. */
  apply(key: string, value: Value): void {
    const asking = this.#asking.get(key)
    if (asking) asking.meanwhile = newer(asking.meanwhile, value)
    const known = this.#entries.get(key)
    if (known) this.#entries.set(key, newer(known, value))
  }

  /** Everything is asked again. */
  clear(): void {
    this.#entries.clear()
    this.#asking.clear()
  }

  #ask(key: string): Promise<void> {
    const mine: { answer: Promise<void>; meanwhile: Value | undefined } = { answer: Promise.resolve(), meanwhile: undefined }
    mine.answer = this.#lookup(key)
      .then((value) => {
        // Merged and kept in one step: nothing from the feed can fall between. Cleared meanwhile: not kept.
        if (this.#asking.get(key) === mine) this.#entries.set(key, newer(mine.meanwhile, value))
      })
      .finally(() => {
        if (this.#asking.get(key) === mine) this.#asking.delete(key)
      })
    this.#asking.set(key, mine)
    return mine.answer
  }
}

const newer = <Value extends Revised>(known: Value | undefined, other: Value): Value =>
  known && known.revision >= other.revision ? known : other
