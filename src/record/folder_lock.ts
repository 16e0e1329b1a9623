// Whose a folder of recordings is: one gateway's at a time, because whoever starts ends the recordings that are left in it, and would
// end those that another is still writing. Owns the lock file and nothing else in the folder.
//
// The gateway holds RESERVED, which one process can have, each of its workers SHARED, and the gateway begins only at a moment in which
// nobody held any, so not beside the workers of one that was killed.
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as pause } from "node:timers/promises"
import { LockFile } from "../config/lock_file.ts"
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

const look_ms = 100

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

function own(file: LockFile): Taken | undefined {
  if (!file.take("exclusive")) {
    if (!file.take("reserved")) return "owned"
    file.drop()
    return "shared"
  }
  file.drop()
  return file.take("reserved") ? undefined : "owned"
}

const share = (file: LockFile): Taken | undefined => (file.take("shared") ? undefined : "owned")

function hold({ dir, on_failure, log }: LockedFolder, take: (file: LockFile) => Taken | undefined): FolderLock | Taken {
  let file: LockFile | undefined
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
    const opened = (file = new LockFile(join(dir, "gateway.lock")))
    const taken = take(opened)
    if (!taken) return { release: () => opened.close() }
    opened.close()
    return taken
  } catch (failure) {
    file?.close()
    const error = new Error(`${dir} cannot be locked for this gateway's recordings: ${(failure as Error).message}`, { cause: failure })
    if (on_failure === "cut") throw error
    log.error({ err: error }, "recordings begin in a folder that another gateway could use as well (on_failure: allow)")
    return { release: () => {} }
  }
}
