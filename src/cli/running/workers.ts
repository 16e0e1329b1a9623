// The processes that are the gateway when one is not enough: each a whole gateway with its own feed, cache, leases and sessions,
// all on the same ports. This one accepts clients and hands them round, starts a worker again that has died, and tells all of
// them to stop; it never sees a byte of a session.
import cluster, { type Worker } from "node:cluster"
import { once } from "node:events"
import { availableParallelism } from "node:os"
import type { ConfigSource } from "../../config/config_source.ts"
import type { Clock } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import type { Ready } from "../../observe/health.ts"
import type { Log } from "../../observe/log.ts"
import { type FromWorker, type Listening, type Place, place_variable, type ToWorker } from "./worker_messages.ts"

export interface WorkersOptions {
  readonly count: number
  /** The words after `sluice` that make a process a worker. */
  readonly words: readonly string[]
  readonly place: Omit<Place, "index" | "count">
  /** What the first config was made from. */
  readonly source: ConfigSource
  readonly clock: Clock
  readonly log: Log
}

/** "gone": it has ended, and what takes its place begins with the newest config. Anything else: why it cannot. */
type Answer = "done" | "gone" | (string & {})

interface Started {
  readonly listening: Listening
  readonly ca: string | undefined
}

/** A worker that loads, and listens when it is told to. */
interface Forked {
  begin(): Promise<Started>
}

/**
 * V8 lets the memory for what is young grow to three times 16 MiB and then keeps it: with two workers a third of what 5,000 idle sessions
 * take. Half of that costs about a twentieth of the processor time of a statement. What Sluice itself was started with counts more.
 */
const heap_flags = ["--max-semi-space-size=8"]

/** How many processes `gateway.workers` means here. */
export function workerCount(workers: "auto" | number): number {
  return workers === "auto" ? Math.min(availableParallelism(), limits.workers_auto_max) : workers
}

export class Workers {
  readonly #options: WorkersOptions
  readonly #workers: (Worker | undefined)[]
  readonly #failures: number[]
  /** Those that were told to begin. */
  readonly #begun = new WeakSet<Worker>()
  /** The newest that was good: what a worker that is started later begins with. */
  #source: ConfigSource
  #configs = 0
  #stopping = false

  constructor(options: WorkersOptions) {
    this.#options = options
    this.#source = options.source
    this.#workers = Array.from({ length: options.count })
    this.#failures = Array.from({ length: options.count }, () => 0)
    cluster.setupPrimary({ args: [...options.words], execArgv: [...heap_flags, ...process.execArgv] })
  }

  /** Settles when all of them listen. Rejects with words for the operator when one cannot. */
  async start(): Promise<Started> {
    const [first, ...others] = this.#workers.map((_, index) => this.#fork(index))
    if (!first) throw new Error("a gateway of no processes")
    // The first one alone: it makes the keys that all of them use, and finds out whether the ports can be had.
    const started = await first.begin()
    await Promise.all(others.map((other) => other.begin()))
    return started
  }

  /** One that does not answer is not ready. */
  async ready(): Promise<Ready> {
    const answers = await Promise.all(this.#workers.map((worker) => this.#askReady(worker)))
    return answers.find(({ ready }) => !ready) ?? { ready: true, why: "" }
  }

  /**
   * As a gateway's own `prepare`, in all of them: rejects when one cannot. One that was ready and then does not use it in time is ended,
   * so that none goes on with the config before: another takes its place and begins with the new one.
   */
  async prepare(source: ConfigSource): Promise<{ use(): Promise<void>; drop(): void }> {
    const number = ++this.#configs
    const ready = new Set(this.#running())
    const drop = (): void => {
      for (const worker of ready) tell(worker, { kind: "drop", number })
    }
    const send = (worker: Worker): Promise<Answer> => {
      const answer = this.#answerOf(worker, number, "prepared")
      tell(worker, { kind: "config", number, source: source.message() })
      return answer
    }
    const answers = await Promise.all([...ready].map(send))
    const problem = answers.find((answer) => answer !== "done" && answer !== "gone")
    if (problem !== undefined) {
      drop()
      throw new Error(problem)
    }
    const use = async (): Promise<void> => {
      this.#source = source
      await Promise.all(
        this.#running().map(async (worker) => {
          if (!ready.has(worker)) void send(worker) // it began meanwhile, with the one before
          const answer = this.#answerOf(worker, number, "used")
          tell(worker, { kind: "use", number })
          const problem = await answer
          if (problem === "done" || problem === "gone") return
          this.#options.log.error({ pid: worker.process.pid, problem }, "a worker does not use the new config; it is ended")
          worker.process.kill("SIGKILL")
        }),
      )
    }
    return { use, drop }
  }

  /** As a gateway's own `drain`, in all of them. A second call shortens the first. */
  async drain(time_ms_max?: number): Promise<void> {
    this.#stopping = true
    await Promise.all(
      this.#workers.map(async (worker) => {
        if (!worker || worker.isDead()) return
        const over = once(worker, "exit")
        if (this.#begun.has(worker)) tell(worker, { kind: "drain", time_ms_max })
        else worker.process.kill() // it holds nothing
        await over
      }),
    )
  }

  #fork(index: number): Forked {
    const { count, place, log } = this.#options
    const worker = cluster.fork({ [place_variable]: JSON.stringify({ ...place, index, count } satisfies Place) })
    this.#workers[index] = worker
    const started = Promise.withResolvers<Started>()
    started.promise.catch(() => {}) // whoever begins it hears of it
    worker.on("message", (message: FromWorker) => {
      if (message.kind === "tell") return this.#pass(message.index, message.words)
      if (message.kind === "failed") started.reject(Object.assign(new Error(message.message), { code: message.code }))
      if (message.kind !== "started") return
      this.#failures[index] = 0
      log.info({ worker: index, pid: worker.process.pid }, "a worker is running")
      started.resolve({ listening: message.listening, ca: message.ca })
    })
    worker.once("exit", (status, signal) => {
      started.reject(new Error(`a worker ended at its start (${signal ?? `status ${status}`})`))
      if (this.#workers[index] === worker) this.#workers[index] = undefined
      if (this.#stopping) return
      log.error({ worker: index, status, signal }, "a worker has ended; its sessions are over, and another takes its place")
      this.#again(index)
    })
    return {
      begin: () => {
        this.#begun.add(worker)
        tell(worker, { kind: "go", source: this.#source.message() })
        return started.promise
      },
    }
  }

  #again(index: number): void {
    const { clock, log } = this.#options
    const failures = (this.#failures[index] ?? 0) + 1
    this.#failures[index] = failures
    clock.after(Math.min(100 * 2 ** (failures - 1), limits.worker_restart_ms_max), () => {
      if (this.#stopping) return
      this.#fork(index)
        .begin()
        .catch((err: unknown) => log.error({ err, worker: index }, "a worker could not be started again"))
    })
  }

  #pass(index: number, words: string): void {
    const worker = this.#workers[index]
    if (worker) tell(worker, { kind: "told", words })
  }

  /** Those that have a config, or are about to. */
  #running(): Worker[] {
    return this.#workers.filter((worker) => worker !== undefined && this.#begun.has(worker) && worker.isConnected()) as Worker[]
  }

  #answerOf(worker: Worker, number: number, kind: "prepared" | "used"): Promise<Answer> {
    return new Promise((resolve) => {
      const settle = (answer: Answer): void => {
        timer.cancel()
        worker.off("message", onMessage).off("exit", onExit)
        resolve(answer)
      }
      const onMessage = (message: FromWorker): void => {
        if (message.kind === kind && message.number === number) settle(message.problem ?? "done")
      }
      const onExit = (): void => settle("gone")
      const timer = this.#options.clock.after(limits.worker_config_ms_max, () => settle("a worker does not answer"))
      worker.on("message", onMessage).on("exit", onExit)
    })
  }

  #askReady(worker: Worker | undefined): Promise<Ready> {
    if (!worker?.isConnected()) return Promise.resolve({ ready: false, why: "a worker is not running" })
    return new Promise((resolve) => {
      const settle = (answer: Ready): void => {
        timer.cancel()
        worker.off("message", onMessage)
        resolve(answer)
      }
      const onMessage = (message: FromWorker): void => {
        if (message.kind === "ready") settle(message.answer)
      }
      const timer = this.#options.clock.after(limits.worker_answer_ms_max, () => settle({ ready: false, why: "a worker does not answer" }))
      worker.on("message", onMessage)
      tell(worker, { kind: "ready" })
    })
  }
}

/** One that is just leaving takes nothing more, which is no failure. */
function tell(worker: Worker, message: ToWorker): void {
  if (worker.isConnected()) worker.send(message, () => {})
}
