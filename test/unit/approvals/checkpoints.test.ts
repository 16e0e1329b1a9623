// The embedded store's log, and when it is written back into the file.
import assert from "node:assert/strict"
import { statSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import test from "node:test"
import { note } from "../../../src/approvals/journal.ts"
import { openSqliteStore } from "../../../src/approvals/store/sqlite_store.ts"
import { limits } from "../../../src/core/limits.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { scratch } from "../../support/scratch.ts"
import { eventually } from "../../support/wait.ts"

test("store: what was written is taken into the file beside the changes, and the log does not grow without bound", async (t) => {
  const path = `${scratch("checkpoints")}/store.db`
  const store = await openSqliteStore(path, new FakeClock())
  const reason = "x".repeat(100_000)
  const write = () =>
    store.change((change) =>
      note(change, { at: 1, kind: "request.asked", actor: { actor: "person", by: "alice", from: null }, detail: {}, reason }),
    )
  const before = statSync(path).size
  let written = 0
  await eventually("the log to be written back", async () => {
    for (let count = 0; count < 20; count++, written++) await write()
    return statSync(path).size > before + limits.store_log_bytes_min
  })
  // All of it is in the file now, so what comes next is written over it.
  await eventually("the log to begin anew", async () => {
    const size = statSync(`${path}-wal`).size
    for (let count = 0; count < 3; count++, written++) await write()
    return statSync(`${path}-wal`).size === size
  })
  await store.close()
  const again = await openSqliteStore(path, new FakeClock())
  t.after(() => again.close())
  assert.equal(await again.sequence(), written)
  const db = new DatabaseSync(path, { readOnly: true })
  t.after(() => db.close())
  assert.equal(db.prepare("pragma integrity_check").get()?.["integrity_check"], "ok")
})
