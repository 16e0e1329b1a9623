// Whose an embedded store is.
import assert from "node:assert/strict"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { symlinkSync } from "node:fs"
import test from "node:test"
import { schema_version } from "../../../src/approvals/store/migrations.ts"
import { openSqliteStore } from "../../../src/approvals/store/sqlite_store.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { scratch } from "../../support/scratch.ts"
import { query } from "../../support/store.ts"

const clock = new FakeClock()
const newPath = (): string => `${scratch("store")}/store.db`

test("store: a second service on the same file is refused before it touches it, also by another name; and not after the first has ended", async (t) => {
  const path = newPath()
  const source = `
    import { openSqliteStore } from ${JSON.stringify(import.meta.resolve("../../../src/approvals/store/sqlite_store.ts"))}
    import { systemClock } from ${JSON.stringify(import.meta.resolve("../../../src/core/clock.ts"))}
    const store = await openSqliteStore(${JSON.stringify(path)}, systemClock())
    console.log("open")
    setInterval(() => {}, 60_000)
  `
  const child = spawn(process.execPath, ["--input-type=module", "--eval", source], { stdio: ["ignore", "pipe", "inherit"] })
  t.after(() => child.kill("SIGKILL"))
  await once(child.stdout, "data")
  const version = "pragma user_version"
  // A newer program would bring the store up to its own version first of all.
  await query({ kind: "sqlite", path }, "pragma user_version = 1")
  const link = newPath()
  symlinkSync(path, link)
  for (const name of [path, link]) await assert.rejects(openSqliteStore(name, clock), /in use by another approval service/)
  assert.deepEqual((await query({ kind: "sqlite", path }, version))[0]?.["user_version"], 1)
  await query({ kind: "sqlite", path }, `pragma user_version = ${schema_version}`)
  child.kill("SIGKILL")
  await once(child, "exit")
  const store = await openSqliteStore(link, clock)
  await assert.rejects(openSqliteStore(path, clock), /in use by another approval service/)
  await store.close()
  await (await openSqliteStore(path, clock)).close()
})
