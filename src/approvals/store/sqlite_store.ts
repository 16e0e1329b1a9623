// The embedded store: one SQLite file, for one approval service. A change that was answered is on the disk (WAL with
// `synchronous = FULL`). It owns connections and transactions; what a change means is decided by those who ask for it.
import { mkdir, open } from "node:fs/promises"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { GatewayError } from "../../core/errors.ts"
import type { Clock } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import type { EventRecord, Store } from "../store.ts"
import { Checkpoints } from "./checkpoints.ts"
import { changer } from "./changes.ts"
import { sqlite } from "./dialect.ts"
import { lists } from "./lists.ts"
import { migrate, schema_version } from "./migrations.ts"
import { type Door, feeds, lastSequence, reader } from "./reads.ts"
import { able, type SqliteConnection, sqliteConnection } from "./sqlite_database.ts"
import { ownSqliteStore } from "./sqlite_owner.ts"
import { Turns } from "./turns.ts"

/**
 * Opens or makes the file at `path`, and its folder. Rejects when another service has it, and when it is no store, is damaged, or is of a
 * newer version.
 */
export async function openSqliteStore(path: string, clock: Clock): Promise<Store> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  // Made here so that it is ours alone from its first byte: SQLite would let others read it.
  await (await open(path, "a", 0o600)).close()
  const release = await ownSqliteStore(path)
  try {
    return await openOwned(path, { clock, release })
  } catch (failure) {
    release()
    throw failure
  }
}

async function openOwned(path: string, { clock, release }: { readonly clock: Clock; release(): void }): Promise<Store> {
  await migrateSqlite(path)
  // Two connections: a read between the steps of a change must not see the half of it.
  const file = new DatabaseSync(path, { timeout: limits.store_wait_ms_max })
  file.exec("pragma synchronous = full; pragma foreign_keys = on")
  const writing = sqliteConnection(file)
  const reading = sqliteConnection(new DatabaseSync(path, { timeout: limits.store_wait_ms_max, readOnly: true }))
  const listeners = new Set<(events: readonly EventRecord[]) => void>()
  const turns = new Turns()
  const checkpoints = new Checkpoints({ path, file })

  const inside = { ...doorOf(writing), write: writing.run }

  const change: Store["change"] = (work) =>
    turns.take(async () => {
      const appended: EventRecord[] = []
      checkpoints.beginning()
      const answer = await whole(file, async () => {
        const writes = changer(inside, { appended, last: await lastSequence(writing.db) })
        const answer = await work(writes)
        await writes.writeEvents()
        return answer
      })
      checkpoints.committed()
      if (appended.length > 0) for (const listener of listeners) listener(appended)
      return answer
    })

  const door = doorOf(reading)
  return {
    ...reader(door),
    ...lists(door),
    ...feeds(door),
    change,
    onCommit(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    async probe() {
      await change((writes) => writes.probe(clock.now())).catch((failure: unknown) => {
        throw GatewayError.from(failure, "stale")
      })
    },
    async close() {
      await turns.idle()
      await checkpoints.close()
      await reading.close()
      await writing.close()
      release()
    },
  }
}

const doorOf = ({ db, all }: SqliteConnection): Door => ({ db, dialect: sqlite, read: async (sql, parameters) => all(sql, parameters) })

/** All of `work` or nothing of it. Throws `stale` when the disk does not take it. */
async function whole<T>(file: DatabaseSync, work: () => Promise<T>): Promise<T> {
  able(() => file.exec("begin immediate"))
  try {
    const answer = await work()
    able(() => file.exec("commit"))
    return answer
  } catch (failure) {
    if (file.isTransaction) file.exec("rollback")
    throw failure
  }
}

/** Takes the file to a version of the schema; `user_version` counts the steps it has been through. */
export async function migrateSqlite(path: string, to = schema_version): Promise<void> {
  const file = new DatabaseSync(path, { timeout: limits.store_wait_ms_max })
  try {
    // Foreign keys are off meanwhile, as SQLite's documentation of ALTER TABLE asks for, and checked at the end.
    file.exec("pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = off; begin exclusive")
    await migrate(
      {
        dialect: sqlite,
        version: async () => Number(file.prepare("pragma user_version").get()?.["user_version"]),
        setVersion: async (version) => file.exec(`pragma user_version = ${version}`),
        exec: async (text) => file.exec(text),
      },
      to,
    )
    if (file.prepare("pragma foreign_key_check").get()) throw new Error("the store has rows that refer to others that are not there")
    file.exec("commit")
  } finally {
    if (file.isTransaction) file.exec("rollback")
    file.close()
  }
}
