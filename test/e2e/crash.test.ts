// A gateway killed with SIGKILL in the middle of sessions: nothing reached a client or a target that is not on record, and the next
// start says that they were interrupted.
import assert from "node:assert/strict"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { createLog } from "../../src/observe/log.ts"
import type { Line } from "../../src/record/events.ts"
import { ownRecordings } from "../../src/record/folder_lock.ts"
import { psql } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch } from "../support/run.ts"
import { livePsql } from "../support/live.ts"
import { type SluiceOptions, spawnSluice, startSluice } from "../support/sluice.ts"
import { postgresTarget, sshTarget } from "../support/sluice_config.ts"
import { scratch } from "../support/scratch.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("SIGKILL", { skip: needs("ssh", "sshd", "psql", "openssl"), concurrency: 1 }, () => {
  const { alice, bob, dana }: People = people()
  let sshd: Sshd
  let postgres: Postgres

  before(async () => {
    ;[sshd, postgres] = await Promise.all([startSshd(), startPostgres({ logStatements: true })])
  })
  after(async () => {
    await Promise.all([sshd.stop(), postgres.stop()])
  })

  test("what was forwarded before it is on record, and the next start marks the sessions interrupted", async () => {
    const options: SluiceOptions = {
      users: [alice, bob, dana],
      targets: [sshTarget("prod-host", sshd), postgresTarget("orders", postgres)],
      folder: scratch("crash"),
    }
    const first = await spawnSluice(options)
    await first.grant(alice, "prod-host", { by: bob, for: "1h" })
    await first.grant(alice, "orders", { by: bob, for: "1h" })

    // Both as busy as they can be, so that the kill finds something on its way in every place where something can be.
    const lines = "i=0; while :; do echo line $i; i=$((i+1)); done"
    const shell = launch("ssh", [...first.ssh(alice), "-J", "gateway", `${sshd.login}@prod-host`, lines])
    const [program, args, environment] = await psql({ sluice: first, person: alice, target: "orders" }, postgres.role, ["-qtA"])
    const database = launch(program, args, environment)
    let statements = 0
    const feed = setInterval(() => {
      for (let count = 0; count < 20; count++) database.type(`SELECT 'statement ${++statements}';\n`)
    }, 10)
    await Promise.all([shell.says("line 2000"), database.says("statement 200")])
    await first.program?.stop("SIGKILL") // all of its processes
    clearInterval(feed)
    const [heard] = await Promise.all([shell.ended, database.stop(), first.stop()])

    const second = await spawnSluice(options)
    try {
      const sessions = await eventually("the catalogue to say that they were interrupted", async () => {
        const all = await second.sessions(dana)
        return all.length === 2 && all.every(({ ended_why }) => ended_why === "interrupted") ? all : undefined
      })
      for (const { id, protocol } of sessions) {
        const recording = second.recording(id)
        const last = recording.at(-1)
        assert.ok(last?.kind === "end" && last.code === "interrupted", JSON.stringify(last))
        if (protocol === "ssh") assert.ok(stdoutOf(recording).startsWith(heard.stdout), "ssh showed something that is not on record")
        else assertHolds(recording, reached(postgres.log()))
      }
    } finally {
      await second.stop()
    }
  })

  test("a second gateway on a folder of recordings that is in use says so and does not start, and what is live there stays live", async () => {
    const recordings = scratch("shared_recordings")
    const shared: SluiceOptions = {
      users: [alice, bob, dana],
      targets: [postgresTarget("orders", postgres)],
      recordings: { store: `dir:${recordings}` },
    }
    const first = await startSluice(shared)
    await first.grant(alice, "orders", { by: bob, for: "1h" })
    const sleeper = await livePsql({ sluice: first, person: alice, target: "orders" }, postgres)
    await assert.rejects(
      spawnSluice(shared),
      /sluice: could not start: another gateway records in \S+; each needs a folder of its own \(recordings\.store\)/,
    )
    assert(await sleeper.runs())
    assert.equal(readdirSync(join(recordings, "live")).length, 1)
    await first.stop()
    assert.match(await sleeper.ended, /the gateway is shutting down/)
    ;(await ownRecordings({ dir: recordings, on_failure: "cut", log: createLog("silent") })).release() // it was given back
  })
})

function stdoutOf(recording: readonly Line[]): string {
  return recording
    .filter((line) => line.kind === "data" && line.stream === "stdout")
    .map((line) => ("text" in line ? line.text : "base64" in line ? Buffer.from(line.base64, "base64").toString() : ""))
    .join("")
}

/** The statements that the server was given, by its own log. */
const reached = (log: string): string[] => [...log.matchAll(/statement: (SELECT 'statement \d+')/g)].map(([, sql = ""]) => sql)

function assertHolds(recording: readonly Line[], statements: readonly string[]): void {
  const recorded = recording
    .flatMap((line) => (line.kind === "action" && line.action.kind === "postgres.statement" ? [line.action.sql] : []))
    .join("\n")
  assert.ok(statements.length >= 200)
  for (const sql of statements) assert.ok(recorded.includes(sql), `the server was given what is not on record: ${sql}`)
}
