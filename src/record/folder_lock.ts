// Whose a folder of recordings is: one gateway's at a time, because whoever starts ends the recordings that are left in it, and would
// end those that another is still writing. Owns the lock file and nothing else in the folder.
//
// The lock is one of SQLite's own on a file that stays empty (sqlite.org/lockingv3.html): the gateway holds RESERVED, which one
// process can have, each of its workers SHARED, and the gateway begins only at a moment in which nobody held any, so not beside the
// workers of one that was killed. It is the kernel's (fcntl), so it ends with its process, however that dies, and holds between
// containers and wherever else the file system is one; between hosts only where the file system carries such locks (NFS 4 does, until
// a host is cut off from its server for longer than a lease).
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { setTimeout as pause } from "node:timers/promises"
import { limits } from "../core/limits.ts"
import type { Log } from "../observe/log.ts"

export interface FolderLock {
  release(): void
}

export interface LockedFolder {
  readonly dir: string
  /** "allow": a lock that cannot be had for another reason than that somebody has it is logged, and that is all. */
  readonly on_failure: "cut" | "allow"
  readonly log: Log
}

/** A file that nobody refers to would be collected, and its lock with it. */
const held = new Set<DatabaseSync>()

const look_ms = 100
const busy = 5 // SQLITE_BUSY

/**
 * The folder for a gateway that starts. Waits for what is left of one that was killed. Rejects with words for the operator when
 * another gateway has the folder, or when it cannot be locked.
 */
export async function ownRecordings(folder: LockedFolder): Promise<FolderLock> {
  for (let waited_ms = 0; ; waited_ms += look_ms) {
    const lock = hold(folder, own)
    if (typeof lock !== "string") return lock
    if (lock === "owned") {
      throw new Error(`another gateway records in ${folder.dir}; each needs a folder of its own (recordings.store)`)
    }
    if (waited_ms >= limits.recordings_wait_ms_max) {
      throw new Error(`a process of a gateway that is not there any more still records in ${folder.dir}; end it, then start again`)
    }
    await pause(look_ms)
  }
}

/** A share of the folder that this process's gateway owns. Throws as `ownRecordings` rejects. */
export function shareRecordings(folder: LockedFolder): FolderLock {
  const lock = hold(folder, share)
  if (typeof lock === "string") throw new Error(`another gateway has begun to record in ${folder.dir}`)
  return lock
}

/** What stands in the way: a gateway, or processes that one has left behind. */
type Taken = "owned" | "shared"

function own(file: DatabaseSync): Taken | undefined {
  if (!get(file, "BEGIN EXCLUSIVE")) {
    if (!get(file, "BEGIN IMMEDIATE")) return "owned"
    file.exec("ROLLBACK")
    return "shared"
  }
  file.exec("ROLLBACK")
  return get(file, "BEGIN IMMEDIATE") ? undefined : "owned"
}

// It is the first read that takes the lock, and the open transaction that keeps it.
const share = (file: DatabaseSync): Taken | undefined => (get(file, "BEGIN; SELECT count(*) FROM sqlite_schema") ? undefined : "owned")

function hold({ dir, on_failure, log }: LockedFolder, take: (file: DatabaseSync) => Taken | undefined): FolderLock | Taken {
  let file: DatabaseSync | undefined
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    file = new DatabaseSync(join(dir, "gateway.lock"), { timeout: 0 })
    file.exec("PRAGMA journal_mode = MEMORY") // nothing is ever written, not even beside it
    const taken = take(file)
    if (!taken) return keep(file)
    file.close()
    return taken
  } catch (failure) {
    file?.close()
    const error = new Error(`${dir} cannot be locked for this gateway's recordings: ${(failure as Error).message}`, { cause: failure })
    if (on_failure === "cut") throw error
    log.error({ err: error }, "recordings begin in a folder that another gateway could use as well (on_failure: allow)")
    return { release: () => {} }
  }
}

function keep(file: DatabaseSync): FolderLock {
  held.add(file)
  return {
    release() {
      if (held.delete(file)) file.close()
    },
  }
}

/** Whether it could be had; false: somebody holds what stands against it. */
function get(file: DatabaseSync, sql: string): boolean {
  try {
    file.exec(sql)
    return true
  } catch (failure) {
    if ((failure as { readonly errcode?: number }).errcode !== busy) throw failure
    if (file.isTransaction) file.exec("ROLLBACK")
    return false
  }
}
