// What SQL texts do, asked again and again: read by PostgreSQL's own parser (libpg_query, in WebAssembly), and remembered by the text.
// A short text takes some microseconds and is read where it is asked about; a longer one is read in a thread of its own, so that
// nobody else waits. A text that breaks the parser, or keeps it for too long, is unknown, and costs the thread, not the process.
import { Worker } from "node:worker_threads"
import { loadModule, parseSync } from "libpg-query"
import { LRUCache } from "lru-cache"
import { limits } from "../core/limits.ts"
import { type StatementFacts, unseen } from "../core/statement.ts"
import { factsOfTree } from "./statement_tree.ts"

/** What a text is, read here and now. Throws what is no error of the text: then this parser may be broken. */
export function readStatement(sql: string): StatementFacts {
  if (sql.trim() === "") return factsOfTree({})
  let tree
  try {
    tree = parseSync(sql)
  } catch (failure) {
    if (failure instanceof Error && failure.name === "SqlError") return unseen("it could not be parsed")
    throw failure
  }
  return factsOfTree(tree)
}

interface Waiting {
  readonly sql: string
  readonly resolve: (facts: StatementFacts) => void
  timer: NodeJS.Timeout | undefined
}

export class StatementReader {
  readonly #known = new LRUCache<string, StatementFacts>({
    maxSize: limits.statement_cache_bytes_max,
    maxEntrySize: limits.statement_cache_bytes_max / 16,
    sizeCalculation: (facts, sql) => 2 * sql.length + 100 * (facts.parts.length + facts.calls.length) + 100,
  })
  #state: "unloaded" | "ready" | "broken" = "unloaded"
  #loading: Promise<void> | undefined
  #worker: Worker | undefined
  /** Asked of the thread, in turn: the first is being read. */
  readonly #queue: Waiting[] = []

  /** A promise where it takes its time. Never rejects. */
  read(sql: string): StatementFacts | Promise<StatementFacts> {
    const known = this.#known.get(sql)
    if (known) return known
    if (sql.length > limits.statement_inline_chars_max || this.#state === "broken") return this.#readAside(sql)
    if (this.#state === "unloaded") return this.load().then(() => this.read(sql))
    try {
      return this.#remember(sql, readStatement(sql))
    } catch {
      // Its memory may be in any state now; the thread's can be thrown away.
      this.#state = "broken"
      return this.#remember(sql, unseen("it could not be parsed"))
    }
  }

  /** Makes the parser ready, so that the first statement does not wait for it. */
  load(): Promise<void> {
    this.#loading ??= loadModule().then(
      () => void (this.#state = "ready"),
      () => void (this.#state = "broken"),
    )
    return this.#loading
  }

  async close(): Promise<void> {
    await this.#worker?.terminate()
    this.#worker = undefined
    for (const waiting of this.#queue.splice(0)) this.#settle(waiting, unseen("it was not parsed"))
  }

  #remember(sql: string, facts: StatementFacts): StatementFacts {
    this.#known.set(sql, facts)
    return facts
  }

  #readAside(sql: string): Promise<StatementFacts> {
    if (this.#queue.length >= limits.statement_parses_waiting_max) return Promise.resolve(unseen("too many statements wait to be parsed"))
    return new Promise((resolve) => {
      this.#queue.push({ sql, resolve, timer: undefined })
      if (this.#queue.length === 1) this.#next()
    })
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
      const first = this.#queue.shift()
      if (first) this.#settle(first, this.#remember(first.sql, facts))
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
    if (first) this.#settle(first, this.#remember(first.sql, unseen("it could not be parsed")))
    this.#next()
  }

  #settle({ timer, resolve }: Waiting, facts: StatementFacts): void {
    clearTimeout(timer)
    resolve(facts)
  }
}
