// When SQLite's log is written back into the file. SQLite does so by itself in the commit that fills the log, and that one call, and
// everybody else meanwhile, waits for it; here a thread does it beside the changes. It owns the when, and that the log stays bounded.
import { statSync } from "node:fs"
import type { DatabaseSync } from "node:sqlite"
import { Worker } from "node:worker_threads"
import { limits } from "../../core/limits.ts"
import type { Checkpoint } from "./checkpoint_worker.ts"
import { able } from "./sqlite_database.ts"

const page_bytes = 4096 // SQLite's own choice

export interface CheckpointsOptions {
  readonly path: string
  /** The connection that writes. */
  readonly file: DatabaseSync
}

export class Checkpoints {
  readonly #options: CheckpointsOptions
  #worker: Worker | undefined
  #asked_at = -Infinity
  #busy = false
  /** More was written each time than was written back: the next change waits for the rest, which is little. */
  #behind = false
  #failed = false

  constructor(options: CheckpointsOptions) {
    this.#options = options
    options.file.exec("pragma wal_autocheckpoint = 0")
  }

  /** Before a change begins. Throws `stale` when the log is too long and cannot be written back. */
  beginning(): void {
    if (!this.#behind) return
    // Of this connection: then the log begins anew with what is written next. When it fails no change begins, or the log had no bound.
    able(() => this.#options.file.exec("pragma wal_checkpoint(passive)"))
    this.#behind = false
  }

  /** After a commit. */
  committed(): void {
    const now = performance.now()
    if (this.#busy || this.#failed || now - this.#asked_at < limits.store_checkpoint_ms) return
    this.#asked_at = now
    if (logBytes(this.#options.path) < limits.store_log_bytes_min) return
    this.#busy = true
    this.#worker ??= this.#start()
    this.#worker.postMessage("checkpoint", [])
  }

  async close(): Promise<void> {
    const worker = this.#worker
    if (!worker || this.#failed) return
    const exited = new Promise((resolve) => worker.once("exit", resolve))
    worker.postMessage("close", [])
    await exited
  }

  #start(): Worker {
    const here = import.meta.url
    const script = new URL(here.endsWith(".ts") ? "./checkpoint_worker.ts" : "./checkpoint_worker.js", here)
    const worker = new Worker(script, { workerData: this.#options.path })
    worker.unref()
    worker.on("message", (done: Checkpoint | null) => {
      this.#busy = false
      const { log, checkpointed } = done ?? { log: logBytes(this.#options.path) / page_bytes, checkpointed: 0 }
      this.#behind = checkpointed < log && log > limits.store_log_pages_max
    })
    worker.once("error", () => this.#fallBack())
    worker.once("exit", () => this.#fallBack())
    return worker
  }

  /** Without the thread SQLite does it by itself again. */
  #fallBack(): void {
    this.#failed = true
    if (this.#options.file.isOpen) this.#options.file.exec("pragma wal_autocheckpoint = 1000")
  }
}

function logBytes(path: string): number {
  return statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
}
