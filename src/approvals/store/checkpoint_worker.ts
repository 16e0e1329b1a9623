// The thread that writes SQLite's log back into the file (`checkpoints.ts`), on a connection of its own: writers go on meanwhile.
import { DatabaseSync } from "node:sqlite"
import { parentPort, workerData } from "node:worker_threads"
import { limits } from "../../core/limits.ts"

/** How many pages the log has, and how many of them are in the file by now. */
export interface Checkpoint {
  readonly log: number
  readonly checkpointed: number
}

const file = new DatabaseSync(workerData as string, { timeout: limits.store_wait_ms_max })
file.exec("pragma synchronous = full")
const checkpoint = file.prepare("pragma wal_checkpoint(passive)")

parentPort?.on("message", (word: "checkpoint" | "close") => {
  if (word === "checkpoint") return parentPort?.postMessage(checkpoint.get(), [])
  file.close()
  parentPort?.close()
})
