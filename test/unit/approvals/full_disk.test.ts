// A disk that takes nothing more, under a running service with the embedded store: nothing is decided that is not on record, what can be
// read is answered, and everything goes on when there is room again. The bound on the size of this process's files is how a full disk
// looks to a write.
import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { readdirSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { DatabaseSync } from "node:sqlite"
import test, { type TestContext } from "node:test"
import { setImmediate as nextTurn } from "node:timers/promises"
import { note } from "../../../src/approvals/journal.ts"
import { backUp } from "../../../src/approvals/store/sqlite_backup.ts"
import { openSqliteStore } from "../../../src/approvals/store/sqlite_store.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { scratch } from "../../support/scratch.ts"
import { onPostgres } from "../../support/store.ts"
import { needs } from "../../support/tools.ts"
import { eventually } from "../../support/wait.ts"
import { hour, startService } from "./service.ts"

const skip = onPostgres ? "about the embedded store" : needs("prlimit")

const fileSize = (words: string): void => void execFileSync("prlimit", ["--pid", String(process.pid), `--fsize=${words}:`])
const room = (): void => fileSize("unlimited")

/** From now on no file of this process can be longer than this. */
function fill(t: TestContext, bytes: number): void {
  t.after(room)
  fileSize(String(bytes))
}

/** One that grows by 100 kB with each line. */
async function bigStore(t: TestContext) {
  const path = `${scratch("full")}/store.db`
  const store = await openSqliteStore(path, new FakeClock())
  t.after(() => store.close())
  const reason = "x".repeat(100_000)
  const actor = { actor: "person", by: "alice", from: null } as const
  const write = () => store.change((change) => note(change, { at: 1, kind: "request.asked", actor, detail: {}, reason }))
  return { path, store, write }
}

const isStale = (failure: unknown): boolean => failure instanceof GatewayError && failure.code === "stale"

test(
  "full disk: what cannot be put on record does not happen, whoever reads is answered, and it goes on when there is room",
  { skip },
  async (t) => {
    const service = await startService(t)
    await service.ask()
    await service.ask({ target: "prod-host", reason: "another one" }, "carol")
    const { body: approved } = await service.call("bob", "POST /v1/requests/1/approve", { reason: "go" })
    assert(service.config.approvals.store.kind === "sqlite")
    fill(t, statSync(`${service.config.approvals.store.path}-wal`).size)
    for (const [who, line, body] of [
      ["bob", "POST /v1/requests/2/approve", { reason: "go" }],
      ["bob", "POST /v1/requests/2/deny", { reason: "no" }],
      ["dana", `POST /v1/grants/${approved.grant?.id}/revoke`, { reason: "stop" }],
      ["alice", "POST /v1/requests", { target: "prod-host", duration_ms: hour / 2, reason: "more" }],
    ] as const) {
      const refused = await service.call(who, line, body)
      assert.deepEqual([line, refused.status, refused.body.code], [line, 503, "stale"])
    }
    assert.equal((await service.call("bob", "GET /v1/requests/2")).body.status, "pending")
    const health = await fetch(`${service.url}/readyz`)
    assert.equal(health.status, 503)
    // What it does by itself goes on to be tried, and nothing of it ends the process.
    for (let minutes = 0; minutes < 5; minutes++) {
      service.clock.advance(60_000)
      await nextTurn()
    }
    const errors = service.log
      .map((line) => JSON.parse(line) as { level: string | number })
      .filter(({ level }) => level === "error" || level === 50)
    assert.match(JSON.stringify(errors), /disk/, "the operator is told why")
    room()
    assert.equal((await service.call("bob", "POST /v1/requests/2/approve", { reason: "go" })).status, 200)
    assert.equal((await service.call("dana", `POST /v1/grants/${approved.grant?.id}/revoke`, { reason: "stop" })).status, 200)
    const kinds = (await service.query("select kind from events order by sequence")).map(({ kind }) => kind)
    assert.deepEqual(kinds.filter((kind) => kind === "grant.made").length, 2)
  },
)

test(
  "full disk: a log that cannot be written back is written back when there is room, and no change is half there",
  { skip },
  async (t) => {
    const { path, store, write } = await bigStore(t)
    // Where the log may still grow, and the file that it is written back into may not.
    let written = 0
    for (; statSync(`${path}-wal`).size < 5_000_000; written++) await write()
    await eventually("the log to be written back", async () => {
      await write()
      written++
      return statSync(path).size > 4_000_000
    })
    fill(t, statSync(path).size + 1_000_000)
    let refused = 0
    await eventually("the disk to be full", async () => {
      await write().then(
        () => written++,
        (failure: unknown) => {
          assert.ok(isStale(failure), String(failure))
          refused++
        },
      )
      return refused > 20
    })
    assert.equal(await store.sequence(), written, "what was answered is there, and no more")
    const before = statSync(path).size
    room()
    await eventually("the log to be written back again", async () => {
      await write()
      written++
      return statSync(path).size > before + 4_000_000
    })
    assert.equal(await store.sequence(), written)
    const db = new DatabaseSync(path, { readOnly: true })
    t.after(() => db.close())
    assert.equal(db.prepare("pragma integrity_check").get()?.["integrity_check"], "ok")
  },
)

test("full disk: a copy that has no room is no copy, leaves nothing behind, and can be made again", { skip }, async (t) => {
  const { path, write } = await bigStore(t)
  for (let count = 0; count < 20; count++) await write()
  const to = `${scratch("copy")}/copy.db`
  fill(t, 1_000_000)
  await assert.rejects(backUp(path, to), /disk|full/i)
  assert.deepEqual(readdirSync(dirname(to)), [])
  room()
  await backUp(path, to)
  assert.deepEqual(readdirSync(dirname(to)), ["copy.db"])
})
