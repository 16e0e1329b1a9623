// A recorder that cannot write ends the session: what cannot be put on record does not happen. The gateway runs with a bound on the
// size of its files, which is how a full disk looks to a write.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import { psql } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, run } from "../support/run.ts"
import { type Split, spawnSplit } from "../support/split.ts"
import { postgresTarget, sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const file_bytes_max = 64 * 1024

suite("a recording that cannot be written", { skip: needs("ssh", "sshd", "psql", "openssl", "prlimit"), concurrency: 1 }, () => {
  const { alice, bob, dana }: People = people()
  let sshd: Sshd
  let postgres: Postgres
  let split: Split

  before(async () => {
    ;[sshd, postgres] = await Promise.all([startSshd(), startPostgres({ logStatements: true })])
    split = await spawnSplit({
      users: [alice, bob, dana],
      targets: [sshTarget("prod-host", sshd), postgresTarget("orders", postgres)],
      through: ["prlimit", `--fsize=${file_bytes_max}`],
    })
    await split.gateway.grant(alice, "prod-host", { by: bob, for: "1h" })
    await split.gateway.grant(alice, "orders", { by: bob, for: "1h" })
  })
  after(async () => {
    await split.gateway.stop()
    await split.approvals.stop()
    await Promise.all([sshd.stop(), postgres.stop()])
  })

  test("ends an ssh session, and its user reads why", async () => {
    const lines = "i=0; while :; do echo line $i; i=$((i+1)); done"
    const ran = await run("ssh", [...split.gateway.ssh(alice), "-J", "gateway", `${sshd.login}@prod-host`, lines])
    assert.match(ran.stderr, /sluice: this session can no longer be recorded, so it was ended/)
    assert.equal(ran.status, 255)
    assert.ok(ran.stdout.length < 2 * file_bytes_max, `${ran.stdout.length} bytes passed`)
  })

  test("ends a psql session before the statement that could not be recorded reaches the server", async () => {
    const { gateway } = split
    const [program, args, environment] = await psql({ sluice: gateway, person: alice, target: "orders" }, postgres.role, ["-qtA"])
    const database = launch(program, args, environment)
    const filler = "x".repeat(2_000)
    for (let count = 1; count <= 100; count++) database.type(`SELECT 'full ${count}' /* ${filler} */;\n`)
    database.closeInput()
    const ran = await database.ended
    assert.match(ran.stderr, /FATAL: .*sluice: this session can no longer be recorded, so it was ended/)
    const [session] = (await gateway.sessions(dana)).filter(({ protocol }) => protocol === "postgres")
    assert.ok(session)
    const recorded = gateway
      .recording(session.id)
      .flatMap((line) => (line.kind === "action" && line.action.kind === "postgres.statement" ? [line.action.sql] : []))
      .join("\n")
    const reached = [...postgres.log().matchAll(/SELECT '(full \d+)'/g)].map(([, name = ""]) => name)
    assert.ok(reached.length > 0 && reached.length < 100)
    for (const name of reached) assert.ok(recorded.includes(`'${name}'`), `${name} ran and is not on record`)
  })

  test("the catalogue says why, and new sessions can still be opened", async () => {
    const { gateway } = split
    await eventually("both to be listed as ended", async () => {
      const sessions = await gateway.sessions(dana)
      return sessions.length === 2 && sessions.every(({ ended_why }) => ended_why === "recorder_failed")
    })
    const ran = await run("ssh", [...gateway.ssh(alice), "-J", "gateway", `${sshd.login}@prod-host`, "echo still here"])
    assert.equal(ran.stdout, "still here\n", ran.stderr)
  })
})
