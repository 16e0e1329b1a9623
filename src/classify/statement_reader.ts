// What SQL texts do, asked again and again, and remembered by the text. One that was not seen before is read in a thread of its own; what
// breaks the parser there or keeps it for too long is unknown.
import { LRUCache } from "lru-cache"
import { limits } from "../core/limits.ts"
import { type StatementFacts, unseen } from "../core/statement.ts"
import { ParserThread } from "./parser_thread.ts"

export class StatementReader {
  readonly #known = new LRUCache<string, StatementFacts>({
    maxSize: limits.statement_cache_bytes_max,
    maxEntrySize: limits.statement_cache_bytes_max / 8, // the longest text that is looked at
    sizeCalculation: (facts, sql) => 2 * sql.length + 100 * (facts.parts.length + facts.calls.length) + 100,
  })
  readonly #thread = new ParserThread<string, StatementFacts>({ script: "statement_worker", unread: unseen })

  /** A promise for a text that was not seen before. Never rejects. */
  read(sql: string): StatementFacts | Promise<StatementFacts> {
    return this.#known.get(sql) ?? this.#ask(sql)
  }

  /** Makes the thread ready, so that the first statement does not wait for it. */
  async load(): Promise<void> {
    await this.read("SELECT 1")
  }

  close(): Promise<void> {
    return this.#thread.close()
  }

  async #ask(sql: string): Promise<StatementFacts> {
    const facts = await this.#thread.ask(sql)
    this.#known.set(sql, facts)
    return facts
  }
}
