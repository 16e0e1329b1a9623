// Whose a folder or a store is, kept by the kernel: a file beside it that stays empty, and SQLite's own locks on it
// (sqlite.org/lockingv3.html). Such a lock ends with its process, however that dies, and holds between containers and wherever else
// the file system is one; between hosts only where the file system carries such locks (NFS 4 does, until a host is cut off from its
// server for longer than a lease). Which locks stand against which is SQLite's; what they mean is their owner's.
import { DatabaseSync } from "node:sqlite"

/** SHARED, which several processes can have; RESERVED, one beside those; EXCLUSIVE, one and nobody else. */
export type Lock = "shared" | "reserved" | "exclusive"

// It is the first read that takes a share, and the open transaction that keeps it.
const taking: Readonly<Record<Lock, string>> = {
  shared: "BEGIN; SELECT count(*) FROM sqlite_schema",
  reserved: "BEGIN IMMEDIATE",
  exclusive: "BEGIN EXCLUSIVE",
}
/** One that nobody refers to would be collected, and its lock with it. */
const open = new Set<DatabaseSync>()
const busy = 5 // SQLITE_BUSY

export class LockFile {
  readonly #file: DatabaseSync

  /** Makes the file when it is not there. `wait_ms`: for a lock that somebody has. Throws what the file system says. */
  constructor(path: string, wait_ms = 0) {
    this.#file = new DatabaseSync(path, { timeout: wait_ms })
    open.add(this.#file)
  }

  /** False: somebody holds what stands against it. Throws what the file system says. */
  take(lock: Lock): boolean {
    try {
      this.#file.exec(`PRAGMA journal_mode = MEMORY; ${taking[lock]}`) // nothing is ever written, not even beside it
      return true
    } catch (failure) {
      if (this.#file.isTransaction) this.drop()
      if ((failure as { readonly errcode?: number }).errcode !== busy) throw failure
      return false
    }
  }

  /** Gives back what was taken; another can be taken. */
  drop(): void {
    this.#file.exec("ROLLBACK")
  }

  close(): void {
    if (open.delete(this.#file)) this.#file.close()
  }
}
