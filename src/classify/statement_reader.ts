// What SQL texts do, asked again and again, and remembered by the text. A text that was not seen before is read in a thread of its own:
// nobody else waits for a long one, and one that breaks the parser or keeps it for too long is unknown, and costs the thread, not the
// process.
import { Worker } from "node:worker_threads"
import { LRUCache } from "lru-cache"
import { limits } from "../core/limits.ts"
import { type StatementFacts, unseen } from "../core/statement.ts"

interface Waiting {
  readonly sql: string
  readonly resolve: (facts: StatementFacts) => void
  timer: NodeJS.Timeout | undefined
}

export class StatementReader {
  readonly #known = new LRUCache<string, StatementFacts>({
    maxSize: limits.statement_cache_bytes_max,
    maxEntrySize: limits.statement_cache_bytes_max / 8, // the longest text that is looked at
    sizeCalculation: (facts, sql) => 2 * sql.length + 100 * (facts.parts.length + facts.calls.length) + 100,
  })
  #worker: Worker | undefined
  /** Asked of the thread, in turn: the first is being read. */
  readonly #queue: Waiting[] = []

  /** A promise for a text that was not seen before. Never rejects. */
  read(sql: string): StatementFacts | Promise<StatementFacts> {
    const known = this.#known.get(sql)
    if (known) return known
    if (this.#queue.length >= limits.statement_parses_waiting_max) return Promise.resolve(unseen("too many statements wait to be parsed"))
    return new Promise((resolve) => {
      this.#queue.push({ sql, resolve, timer: undefined })
      if (this.#queue.length === 1) this.#next()
    })
  }

  /** Makes the thread ready, so that the first statement does not wait for it. */
  async load(): Promise<void> {
    await this.read("SELECT 1")
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    for (const waiting of this.#queue.splice(0)) this.#settle(waiting, unseen("it was not parsed"))
    await worker?.terminate()
  }

  #next(): void {
    const [first] = this.#queue
    if (!first) return
    const worker = (this.#worker ??= this.#start())
    first.timer = setTimeout(() => this.#failed(worker), limits.statement_parse_ms_max)
    worker.postMessage(first.sql, [])
  }

  #start(): Worker {
    const worker = new Worker(new URL(import.meta.url.endsWith(".ts") ? "./statement_worker.ts" : "./statement_worker.js", import.meta.url))
    worker.unref()
    worker.on("message", (facts: StatementFacts) => {
      if (worker !== this.#worker) return
      const first = this.#queue.shift()
      if (first) this.#settle(first, facts)
      this.#next()
    })
    worker.on("error", () => this.#failed(worker))
    return worker
  }

  /** The thread is given up with the text it was at; the next one gets another. */
  #failed(worker: Worker): void {
    if (worker !== this.#worker) return
    this.#worker = undefined
    void worker.terminate()
    const first = this.#queue.shift()
    if (first) this.#settle(first, unseen("it could not be parsed"))
    this.#next()
  }

  #settle({ sql, timer, resolve }: Waiting, facts: StatementFacts): void {
    clearTimeout(timer)
    this.#known.set(sql, facts)
    resolve(facts)
  }
}
