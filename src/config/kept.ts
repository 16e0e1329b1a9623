// Something with connections of its own that a part of the config describes. It stays, with all it knows, while that part says the
// same; when it says something else a new one takes its place, and the one before is closed: what it had under way fails, and is tried
// again by whoever wanted it.
import type { Config } from "./config.ts"
import type { CurrentConfig } from "./current_config.ts"
import { sameValue } from "./same_value.ts"

export interface KeptOptions<Part, T> {
  readonly current: CurrentConfig
  part(config: Config): Part
  make(part: Part): T
}

export class Kept<Part, T extends { close(): Promise<void> } | undefined> {
  readonly #options: KeptOptions<Part, T>
  readonly #closing = new Set<Promise<void>>()
  #last: { readonly of: Part; readonly made: T } | undefined

  constructor(options: KeptOptions<Part, T>) {
    this.#options = options
  }

  get now(): T {
    const { current, part, make } = this.#options
    const of = part(current())
    if (this.#last && sameValue(of, this.#last.of)) return this.#last.made
    const before = this.#last?.made
    this.#last = { of, made: make(of) }
    if (before) this.#end(before)
    return this.#last.made
  }

  async close(): Promise<void> {
    if (this.#last?.made) this.#end(this.#last.made)
    await Promise.all(this.#closing)
  }

  #end(made: NonNullable<T>): void {
    const closed = made
      .close()
      .catch(() => {}) // it was to go
      .finally(() => this.#closing.delete(closed))
    this.#closing.add(closed)
  }
}
