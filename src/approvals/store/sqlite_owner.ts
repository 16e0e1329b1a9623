// Whose an embedded store is: one service's at a time. A second one would decide, revoke and kill, and the gateways of the first would
// hear nothing of it, because what is pushed to them is told within the process. Owns the file `<store>.lock` and nothing in the store.
//
// The lock is SQLite's own (sqlite.org/lockingv3.html) on a database that stays empty, so it is the kernel's and ends with the process,
// however that dies. It is not taken on the store itself, which is shared with `sluice backup`.
import { open, realpath } from "node:fs/promises"
import { DatabaseSync } from "node:sqlite"
import { limits } from "../../core/limits.ts"

/** One that nobody refers to would be collected, and its lock with it. */
const held = new Set<DatabaseSync>()

const busy = 5 // SQLITE_BUSY

/**
 * Takes the store at `path`, which is there, for this process; the answer gives it back. Waits a moment for one that is just dying.
 * Rejects, with words for the operator, when another service has it.
 */
export async function ownSqliteStore(path: string): Promise<() => void> {
  // Where it really lies: a link is another name, and no other store.
  const place = `${await realpath(path)}.lock`
  await (await open(place, "a", 0o600)).close()
  const file = new DatabaseSync(place, { timeout: limits.store_wait_ms_max })
  try {
    file.exec("pragma journal_mode = memory; begin exclusive") // nothing is ever written, not even beside it
  } catch (failure) {
    file.close()
    if ((failure as { readonly errcode?: number }).errcode !== busy) throw failure
    throw new Error("it is in use by another approval service; each needs a store of its own, or all share one in PostgreSQL", {
      cause: failure,
    })
  }
  held.add(file)
  return () => {
    if (held.delete(file)) file.close()
  }
}
