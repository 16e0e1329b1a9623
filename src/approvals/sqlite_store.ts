// The embedded store: one SQLite file, for one approval service. A change that was answered is on the disk (WAL with
// `synchronous = FULL`). It owns connections, transactions and SQL; what a change means is decided by those who ask for it.
import assert from "node:assert/strict"
import { DatabaseSync } from "node:sqlite"
import { GatewayError } from "../core/errors.ts"
import type { Clock } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import { changer, lastSequence } from "./sqlite_changes.ts"
import { lists } from "./sqlite_lists.ts"
import { preparer, reader } from "./sqlite_reads.ts"
import { toEvent, toGrant } from "./sqlite_rows.ts"
import { migrate } from "./sqlite_schema.ts"
import type { EventRecord, Store } from "./store.ts"

/** Opens or makes the file at `path`. Throws when it is no store, is damaged, or is of a newer version. */
export function openSqliteStore(path: string, clock: Clock): Store {
  // Two connections: a read between the steps of a change must not see the half of it.
  const db = new DatabaseSync(path, { timeout: limits.store_wait_ms_max })
  db.exec("pragma journal_mode = wal; pragma synchronous = full; pragma foreign_keys = on")
  migrate(db)
  const readDb = new DatabaseSync(path, { timeout: limits.store_wait_ms_max, readOnly: true })
  const prepare = preparer(db)
  const prepareRead = preparer(readDb)
  const listeners = new Set<(events: readonly EventRecord[]) => void>()
  const snapshot = <T>(read: () => T): T => {
    readDb.exec("begin")
    try {
      return read()
    } finally {
      readDb.exec("commit")
    }
  }

  let last: Promise<unknown> = Promise.resolve()
  const change: Store["change"] = (work) => {
    const run = async () => {
      const appended: EventRecord[] = []
      db.exec("begin immediate")
      let answer
      try {
        answer = await work(changer(prepare, appended))
        db.exec("commit")
      } catch (failure) {
        if (db.isTransaction) db.exec("rollback")
        throw failure
      }
      if (appended.length > 0) for (const listener of listeners) listener(appended)
      return answer
    }
    const turn = last.then(run)
    last = turn.catch(() => {})
    return turn
  }

  return {
    ...reader(prepareRead),
    ...lists(prepareRead),
    change,
    async lookup({ subject, target, now }) {
      return snapshot(() => ({
        sequence: lastSequence(prepareRead),
        grants: prepareRead(
          "select * from grants where subject = ? and target = ? and status = 'active' and ends_at > ? order by ends_at desc limit ?",
        )
          .all(subject, target, now, limits.live_grants_per_subject_max)
          .map(toGrant),
      }))
    },
    async sequence() {
      return lastSequence(prepareRead)
    },
    async feed(after, limit) {
      return snapshot(() => {
        const rows = prepareRead(
          `select * from events where kind in ('grant.made', 'grant.revoked', 'grant.dropped', 'session.killed')
           and sequence > ? order by sequence limit ?`,
        ).all(after, limit)
        const events = rows.map(toEvent)
        const through = events.length === limit ? events.at(-1)?.sequence : lastSequence(prepareRead)
        assert(through !== undefined)
        return { events, through }
      })
    },
    onCommit(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    async probe() {
      await change(async () => {
        prepare("insert into probe (id, at) values (1, ?) on conflict (id) do update set at = excluded.at").run(clock.now())
      }).catch((failure: unknown) => {
        throw new GatewayError("stale", {}, failure)
      })
    },
    async close() {
      await last
      readDb.close()
      db.close()
    },
  }
}
