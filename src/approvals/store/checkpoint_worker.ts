// The thread that writes SQLite's log back into the file (`checkpoints.ts`), on a connection of its own: writers go on meanwhile.
import { DatabaseSync } from "node:sqlite"
import { parentPort, workerData } from "node:worker_threads"
import { limits } from "../../core/limits.ts"

/** How many pages the log has, and how many of them are in the file by now; null: it could not be written back, as on a full disk. */
export interface Checkpoint {
  readonly log: number
  readonly checkpointed: number
}

const file = new DatabaseSync(workerData as string, { timeout: limits.store_wait_ms_max })
file.exec("pragma synchronous = full")
const checkpoint = file.prepare("pragma wal_checkpoint(passive)")

parentPort?.on("message", (word: "checkpoint" | "close") => {
  if (word === "checkpoint") return parentPort?.postMessage(writtenBack(), [])
  file.close()
  parentPort?.close()
})

/** The thread outlives a failure: there may be room the next time. */
function writtenBack(): unknown {
  try {
    return checkpoint.get()
  } catch {
    return null
  }
}
