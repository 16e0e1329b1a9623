// Stale means no: a gateway that has not heard from the approval service for the freshness bound opens nothing new. What is open goes
// on, and when the service is back, so is everything.
import assert from "node:assert/strict"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { psql } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import type { Sluice } from "../support/sluice.ts"
import { type Split, spawnSplit } from "../support/split.ts"
import { postgresTarget, sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("the approval service away", { skip: needs("ssh", "sshd", "psql", "openssl"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let sshd: Sshd
  let postgres: Postgres
  let split: Split
  let approvals: Sluice

  before(async () => {
    ;[sshd, postgres] = await Promise.all([startSshd(), startPostgres()])
    split = await spawnSplit({ users: [alice, bob], targets: [sshTarget("prod-host", sshd), postgresTarget("orders", postgres)] })
    approvals = split.approvals
  })
  after(async () => {
    await split.gateway.stop()
    await approvals.stop()
    await Promise.all([sshd.stop(), postgres.stop()])
  })

  test("live sessions go on, new ones are refused with constant words, and it recovers", async () => {
    const { gateway } = split
    await gateway.grant(alice, "prod-host", { by: bob, for: "1h" })
    await gateway.grant(alice, "orders", { by: bob, for: "1h" })
    const token = await psql({ sluice: gateway, person: alice, target: "orders" }, postgres.role, ["-tAc", "SELECT 'in'"])
    const prodHost = [...gateway.ssh(alice), "-J", "gateway", `${sshd.login}@prod-host`]
    const live = launch("ssh", [...prodHost, "echo we are in; cat"])
    await live.says("we are in")

    await approvals.stop()
    await eventually("the gateway to say that it is not ready", async () => (await readyz(gateway)) === 503)
    const refused = await run("ssh", [...prodHost, "true"])
    assert.match(refused.stderr, /access cannot be checked right now; try again in a moment/)
    assert.equal(refused.status, 255)
    const noQuery = await run(...token)
    assert.match(noQuery.stderr, /FATAL: .*access cannot be checked right now; try again in a moment/)
    live.type("still with us\n")
    await live.says("still with us")

    approvals = await split.restartApprovals()
    await eventually("the gateway to be ready again", async () => (await readyz(gateway)) === 200)
    assert.equal((await run("ssh", [...prodHost, "exit 7"])).status, 7)
    assert.equal((await run(...token)).stdout, "in\n")
    live.closeInput()
    assert.equal((await live.ended).status, 0)
  })

  test("who asks from within a tool waits on while it is away, and is in when it is back and somebody approves", async () => {
    const { gateway } = split
    for (const { id } of (await gateway.api(alice).call("grants", { query: {} })).grants)
      await gateway.api(alice).call("drop", { id, body: {} })
    const [program, args, { env }] = await psql({ sluice: gateway, person: alice, target: "orders" }, postgres.role, [
      "-tAc",
      "SELECT 'in'",
    ])
    const waiting = launch(program, args, { env: { ...env, PGOPTIONS: "-c sluice.reason=INC-7" } })
    const id = Number((await waiting.says(/Request (\d+) for orders/))[1])
    await approvals.stop()
    await eventually("the gateway to say that it is not ready", async () => (await readyz(gateway)) === 503)
    approvals = await split.restartApprovals()
    await gateway.api(bob).call("approve", { id, body: {} })
    const { stdout, stderr } = await waiting.ended
    assert.equal(stdout, "in\n", stderr)
  })

  test("`sluice request --wait` waits on while it is away, and ends with the decision when it is back", async () => {
    const home = scratch("waiting")
    const env = { HOME: home, XDG_CACHE_HOME: home, XDG_CONFIG_HOME: home, SLUICE_GATEWAY: `${split.gateway.ssh(alice).join(" ")} gateway` }
    const words = ["request", "prod-host", "--for", "2h", "--as", sshd.login, "--reason", "INC-8", "--wait"]
    const waiting = launch(process.execPath, [join(import.meta.dirname, "../../src/main.ts"), ...words], { env })
    const id = Number((await waiting.says(/Request (\d+) for prod-host[^]*Waiting for a decision/))[1])
    await approvals.stop()
    await waiting.says("The approval service does not answer now; the request stands, and this waits on.")
    approvals = await split.restartApprovals()
    await approvals.api(bob).call("approve", { id, body: {} })
    const { status, stdout, stderr } = await waiting.ended
    assert.equal(status, 0, stderr)
    assert.match(stdout, new RegExp(`^Request ${id} was approved by bob@example.com`))
    assert.equal(stderr.match(/does not answer now/g)?.length, 1)
  })
})

const readyz = async (sluice: Sluice): Promise<number> => (await fetch(`http://127.0.0.1:${sluice.port("health")}/readyz`)).status
