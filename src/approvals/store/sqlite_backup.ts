// A copy of the embedded store while it is in use, and its way back. Going back must not bring back access: what was revoked after the
// copy was made is in it as if nothing had happened, so every grant of the copy ends with the restoring.
import { chmod, copyFile, open, rename, rm, stat } from "node:fs/promises"
import { backup, DatabaseSync } from "node:sqlite"
import { systemClock } from "../../core/clock.ts"
import { note } from "../journal.ts"
import { sqlite } from "./dialect.ts"
import { schema_version } from "./migrations.ts"
import { ownSqliteStore } from "./sqlite_owner.ts"
import { openSqliteStore } from "./sqlite_store.ts"
import { otherHistory } from "./steps/step_8_history.ts"

const grants_at_once = 500

/** Writes a whole copy of the store at `path` to `to`, which must not be there. Rejects with words for the operator. */
export async function backUp(path: string, to: string): Promise<void> {
  if (await stat(to).catch(() => undefined)) throw new Error(`${to} is there already`)
  await stat(path).catch((failure: NodeJS.ErrnoException) => {
    throw failure.code === "ENOENT" ? new Error(`there is no store at ${path}; a service makes it at its first start`) : failure
  })
  const unfinished = `${to}.unfinished`
  await (await open(unfinished, "wx", 0o600)).close()
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    await backup(db, unfinished)
    makeOneFile(unfinished)
    checkCopy(unfinished)
    await rename(unfinished, to)
  } finally {
    db.close()
    await removeStore(unfinished)
  }
}

export interface Restored {
  /** Where the store that was there lies now; undefined: there was none. */
  readonly kept: string | undefined
  /** How many grants of the copy were ended. */
  readonly ended: number
}

/** Puts the copy `from` in the place of the store at `path`. Rejects, and changes nothing, while a service uses that. */
export async function restore(path: string, from: string): Promise<Restored> {
  checkCopy(from)
  const there = await stat(path).catch(() => undefined)
  if (!there) return { kept: undefined, ended: await putInPlace(path, from) }
  checkUnused(path)
  // From here on no service begins with what is about to be moved away.
  const release = await ownSqliteStore(path)
  try {
    const kept = `${path}.before-${new Date().toISOString().replaceAll(/[:.]/g, "-")}`
    return { kept, ended: await putInPlace(path, from, kept) }
  } finally {
    release()
  }
}

/** Answers how many grants were ended. What is at `path` moves to `kept` once nothing can fail any more but the move itself. */
async function putInPlace(path: string, from: string, kept?: string): Promise<number> {
  const unfinished = `${path}.restoring`
  await rm(unfinished, { force: true })
  try {
    await copyFile(from, unfinished)
    await chmod(unfinished, 0o600)
    const ended = await endGrants(unfinished)
    beginOtherHistory(unfinished)
    if (kept !== undefined) await rename(path, kept)
    await rename(unfinished, path)
    return ended
  } finally {
    await removeStore(unfinished)
  }
}

/** With what SQLite and we keep beside it; what checks a copy leaves an empty log there. */
async function removeStore(path: string): Promise<void> {
  for (const beside of ["", "-wal", "-shm", "-journal", ".lock"]) await rm(path + beside, { force: true })
}

function checkCopy(path: string): void {
  let db
  try {
    db = new DatabaseSync(path, { readOnly: true })
    const [found] = db.prepare("pragma integrity_check").all()
    if (found?.["integrity_check"] !== "ok") throw new Error(String(found?.["integrity_check"]))
    const version = Number(db.prepare("pragma user_version").get()?.["user_version"])
    if (version < 1) throw new Error("there is no store in it")
    if (version > schema_version) throw new Error(`it is of version ${version}, and this program knows up to ${schema_version}`)
  } catch (failure) {
    throw new Error(`${path} cannot be used: ${(failure as Error).message}`, { cause: failure })
  } finally {
    db?.close()
  }
}

function checkUnused(path: string): void {
  try {
    makeOneFile(path)
  } catch (failure) {
    throw new Error(`${path} is in use: stop the service first`, { cause: failure })
  }
}

/** Without its write-ahead log, and what lies beside that. Throws while anybody else has it open. */
function makeOneFile(path: string): void {
  const db = new DatabaseSync(path, { timeout: 0 })
  try {
    db.exec("pragma journal_mode = delete")
  } finally {
    db.close()
  }
}

function beginOtherHistory(path: string): void {
  const db = new DatabaseSync(path)
  try {
    db.exec(otherHistory(sqlite.ddl.random))
  } finally {
    db.close()
  }
}

async function endGrants(path: string): Promise<number> {
  const clock = systemClock()
  const store = await openSqliteStore(path, clock)
  let ended = 0
  try {
    for (;;) {
      const live = await store.grants({ seen: "all", limit: grants_at_once, live_at: clock.now() })
      if (live.length === 0) break
      await store.change(async (change) => {
        for (const grant of live) {
          const revision = await change.nextSequence()
          const over = { ...grant, status: "revoked" as const, revision, ended_by: "restore", ended_reason: reason, ended_at: clock.now() }
          const actor = { actor: "policy", by: "restore", from: null } as const
          await note(change, {
            at: clock.now(),
            kind: "grant.revoked",
            actor,
            reason,
            request: grant.request,
            grant: grant.id,
            detail: over,
          })
          await change.changeGrant(over)
        }
      })
      ended += live.length
    }
  } finally {
    await store.close()
  }
  checkUnused(path) // one file again, without its log
  return ended
}

const reason = "the store was restored from a copy"
