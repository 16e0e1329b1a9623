// Whose an embedded store is: one service's at a time. A second one would decide, revoke and kill, and the gateways of the first would
// hear nothing of it, because what is pushed to them is told within the process. Owns the file `<store>.lock` and nothing in the store,
// which has no lock of its own because `sluice backup` reads it too.
import { open, realpath } from "node:fs/promises"
import { LockFile } from "../../config/lock_file.ts"
import { limits } from "../../core/limits.ts"

/**
 * Takes the store at `path`, which is there, for this process; the answer gives it back. Waits a moment for one that is just dying.
 * Rejects, with words for the operator, when another service has it.
 */
export async function ownSqliteStore(path: string): Promise<() => void> {
  // Where it really lies: a link is another name, and no other store.
  const place = `${await realpath(path)}.lock`
  await (await open(place, "a", 0o600)).close()
  const file = new LockFile(place, limits.store_wait_ms_max)
  const release = (): void => file.close()
  try {
    if (file.take("exclusive")) return release
  } catch (failure) {
    release()
    throw failure
  }
  release()
  throw new Error("it is in use by another approval service; each needs a store of its own, or all share one in PostgreSQL")
}
