// A thread that reads SQL texts, one after the other, for `statement_reader.ts` and `value_finder.ts`: nobody else waits for a long text,
// and one that breaks the parser or keeps it for too long costs the thread, not the process.
import { Worker } from "node:worker_threads"
import { limits } from "../core/limits.ts"

interface Waiting<Question, Answer> {
  readonly question: Question
  readonly resolve: (answer: Answer) => void
  timer: NodeJS.Timeout | undefined
}

/** `script`: a module beside this one that answers each message with one of its own. */
export interface ParserThreadOptions<Answer> {
  readonly script: string
  /** The answer where there is none. */
  unread(why: string): Answer
}

export class ParserThread<Question, Answer> {
  readonly #options: ParserThreadOptions<Answer>
  #worker: Worker | undefined
  /** Asked of the thread, in turn: the first is being read. */
  readonly #queue: Waiting<Question, Answer>[] = []

  constructor(options: ParserThreadOptions<Answer>) {
    this.#options = options
  }

  /** Never rejects. */
  ask(question: Question): Promise<Answer> {
    if (this.#queue.length >= limits.statement_parses_waiting_max)
      return Promise.resolve(this.#options.unread("too many statements wait to be parsed"))
    return new Promise((resolve) => {
      this.#queue.push({ question, resolve, timer: undefined })
      if (this.#queue.length === 1) this.#next()
    })
  }

  async close(): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    for (const waiting of this.#queue.splice(0)) settle(waiting, this.#options.unread("it was not parsed"))
    await worker?.terminate()
  }

  #next(): void {
    const [first] = this.#queue
    if (!first) return
    const worker = (this.#worker ??= this.#start())
    first.timer = setTimeout(() => this.#failed(worker), limits.statement_parse_ms_max)
    worker.postMessage(first.question, [])
  }

  #start(): Worker {
    const ending = import.meta.url.endsWith(".ts") ? "ts" : "js"
    const worker = new Worker(new URL(`./${this.#options.script}.${ending}`, import.meta.url))
    worker.unref()
    worker.on("message", (answer: Answer) => {
      if (worker !== this.#worker) return
      const first = this.#queue.shift()
      if (first) settle(first, answer)
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
    if (first) settle(first, this.#options.unread("it could not be parsed"))
    this.#next()
  }
}

function settle<Answer>({ timer, resolve }: Waiting<unknown, Answer>, answer: Answer): void {
  clearTimeout(timer)
  resolve(answer)
}
