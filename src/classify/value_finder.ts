// Where SQL texts hold values of protected columns. Texts are read in a thread of its own, and remembered as far as they hold no such
// value themselves: a prepared one is asked about again and again, and one with values in it stays nowhere.
import { LRUCache } from "lru-cache"
import { limits } from "../core/limits.ts"
import { type FoundValues, mayHoldValues, type ProtectedColumn } from "../core/protected_column.ts"
import { ParserThread } from "./parser_thread.ts"

export interface ValueQuestion {
  readonly sql: string
  readonly columns: readonly ProtectedColumn[]
}

const none: FoundValues = { params: [], literals: [] }

export class ValueFinder {
  readonly #thread = new ParserThread<ValueQuestion, FoundValues>({ script: "value_worker", unread: () => "unknown" })
  /** By the columns: those of a target are one list for as long as its config stands. */
  readonly #known = new WeakMap<readonly ProtectedColumn[], LRUCache<string, FoundValues>>()

  /** A promise for a text that has to be read first. Never rejects. */
  find(sql: string, columns: readonly ProtectedColumn[]): FoundValues | Promise<FoundValues> {
    if (!mayHoldValues(sql, columns)) return none
    return this.#cacheOf(columns).get(sql) ?? this.#ask({ sql, columns })
  }

  /** Makes the thread ready, so that the first statement does not wait for it. */
  async load(): Promise<void> {
    await this.#thread.ask({ sql: "SELECT 1", columns: [] })
  }

  close(): Promise<void> {
    return this.#thread.close()
  }

  async #ask(question: ValueQuestion): Promise<FoundValues> {
    const found = await this.#thread.ask(question)
    if (found !== "unknown" && found.literals.length === 0) this.#cacheOf(question.columns).set(question.sql, found)
    return found
  }

  #cacheOf(columns: readonly ProtectedColumn[]): LRUCache<string, FoundValues> {
    const known = this.#known.get(columns)
    if (known) return known
    const made = new LRUCache<string, FoundValues>({
      maxSize: limits.protected_values_cache_bytes_max,
      sizeCalculation: (found, sql) => 2 * sql.length + (found === "unknown" ? 0 : 8 * found.params.length) + 100,
    })
    this.#known.set(columns, made)
    return made
  }
}
