// What this gateway knows about who may go where. It holds no truth: an entry is what the approval service answered, kept up to
// date by the feed. A grant's revision orders everything, so an answer that was overtaken by the feed changes nothing.
import { LRUCache } from "lru-cache"
import type { Grant } from "../../core/grant.ts"
import { limits } from "../../core/limits.ts"

type Revisions = Map<string, Grant>

export interface GrantCacheOptions {
  /** Asks the approval service. Rejects when it cannot be reached. */
  lookup(subject: string, target: string): Promise<readonly Grant[]>
}

export class GrantCache {
  readonly #lookup: GrantCacheOptions["lookup"]
  readonly #entries = new LRUCache<string, Revisions>({ max: limits.grant_cache_entries_max })
  /** Look-ups under way, each with what the feed said about its key meanwhile. */
  readonly #asking = new Map<string, { answer: Promise<void>; meanwhile: Grant[] }>()

  constructor({ lookup }: GrantCacheOptions) {
    this.#lookup = lookup
  }

  /** Settles when `known` has an answer. Rejects when the approval service has none. */
  async load(subject: string, target: string): Promise<void> {
    const key = keyOf(subject, target)
    if (!this.#entries.get(key)) await (this.#asking.get(key)?.answer ?? this.#ask(key, subject, target))
  }

  /**
   * Every grant of `subject` on `target` as of this moment, in whatever state: the caller checks them against the clock, and in
   * the same breath, because after an await they may have changed. Undefined: not loaded, or dropped again.
   */
  known(subject: string, target: string): readonly Grant[] | undefined {
    const revisions = this.#entries.get(keyOf(subject, target))
    return revisions && [...revisions.values()]
  }

  /** A change from the feed. */
  apply(grant: Grant): void {
    const key = keyOf(grant.subject, grant.target)
    this.#asking.get(key)?.meanwhile.push(grant)
    const known = this.#entries.get(key)
    if (known) keepNewer(known, grant)
  }

  /** The approval service's history is not the one this cache followed (a restored store): everything is asked again. */
  clear(): void {
    this.#entries.clear()
    this.#asking.clear()
  }

  #ask(key: string, subject: string, target: string): Promise<void> {
    const meanwhile: Grant[] = []
    const current = (): boolean => this.#asking.get(key)?.meanwhile === meanwhile
    const answer = this.#lookup(subject, target)
      .then((grants) => {
        const revisions: Revisions = new Map()
        for (const grant of [...grants, ...meanwhile]) keepNewer(revisions, grant)
        // Merged and kept in one step: nothing from the feed can fall between. Cleared meanwhile: not kept.
        if (current()) this.#entries.set(key, revisions)
      })
      .finally(() => {
        if (current()) this.#asking.delete(key)
      })
    this.#asking.set(key, { answer, meanwhile })
    return answer
  }
}

const keyOf = (subject: string, target: string): string => JSON.stringify([subject, target])

function keepNewer(revisions: Revisions, grant: Grant): void {
  const known = revisions.get(grant.id)
  if (!known || known.revision < grant.revision) revisions.set(grant.id, grant)
}
