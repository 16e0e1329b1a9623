// A gateway that is not heard any more: its sessions are marked in the catalogue within the bound. A real gateway, known by a key of
// its own, with real psqls; the service is in this process, so that its clock can be moved on instead of waited for.
import assert from "node:assert/strict"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { startApprovals, type Approvals } from "../../src/approvals/approvals.ts"
import type { GatewaysAnswer, GatewayView } from "../../src/api/schema.ts"
import { loadConfig } from "../../src/config/load.ts"
import { openState } from "../../src/config/state.ts"
import { limits } from "../../src/core/limits.ts"
import { Secret } from "../../src/core/secret.ts"
import { gatewayPublicKey } from "../../src/identity/gateway_assertion.ts"
import { createLog } from "../../src/observe/log.ts"
import { psql } from "../support/clients.ts"
import { FakeClock } from "../support/fake_clock.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, must, type Program, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { gatewayKey, gatewayName, postgresTarget, type Section, writeConfig } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const tick_ms = 50

suite("a gateway that is lost", { skip: needs("psql", "ssh"), concurrency: 1 }, () => {
  const { alice, bob, dana }: People = people()
  /** As the machine's, and further on when a test says so. */
  const clock = new FakeClock(Date.now())
  let ahead_ms = 0
  const ticking = setInterval(() => clock.advance(Math.max(0, Date.now() + ahead_ms - clock.now())), tick_ms)
  let orders: Postgres
  let service: Approvals
  let gateway: Sluice
  /** With a token from before the service's clock is moved on: one from the gateway's future would be refused. */
  let login: Awaited<ReturnType<typeof psql>>

  const setup = () => ({ users: [alice, bob, dana], targets: [postgresTarget("orders", orders)] })

  async function startService(gateways: readonly Section[]): Promise<Approvals> {
    const folder = scratch("service")
    const loaded = await loadConfig(writeConfig({ ...setup(), folder, approvals: { gateways } }))
    assert.ok(loaded.ok, JSON.stringify(loaded))
    const { keys } = await openState(loaded.config.state)
    return startApprovals({ config: loaded.config, keys, gatewayKey: new Secret(gatewayKey), clock, log: createLog("silent") })
  }

  before(async () => {
    orders = await startPostgres()
    const folder = scratch("gateway")
    const { keys } = await openState(join(folder, "state"))
    const { type, blob } = gatewayPublicKey(await keys.private("gateway", "ssh-ed25519"))
    service = await startService([
      { name: gatewayName, public_key: `${type} ${blob.toString("base64")}` },
      { name: "tests.tool" }, // what the tests themselves ask with the key that gateways may share
    ])
    gateway = await spawnSluice({
      ...setup(),
      folder,
      role: "gateway",
      gateway: { workers: 1 },
      approvals: { url: `http://127.0.0.1:${service.address.port}`, gateway_key: undefined },
    })
  })
  after(async () => {
    clearInterval(ticking)
    await gateway?.stop()
    await service?.close()
    await orders?.stop()
  })

  const live = async (): Promise<Program> => {
    const program = launch(...login)
    program.type("SELECT 'in';\n")
    await program.says("in")
    return program
  }
  const sessions = async (): Promise<string[]> => (await gateway.sessions(dana)).map(({ ended_why }) => ended_why ?? "live")
  const listed = async (): Promise<GatewayView> => {
    const { gateways } = await gateway.api(dana).call("gateways", {})
    assert.equal(gateways.length, 1)
    return gateways[0] as GatewayView
  }
  /** The service's time passes, in steps that it can follow. */
  const pass = (what: string, condition: () => Promise<boolean>): Promise<boolean> =>
    eventually(what, async () => {
      ahead_ms += 500
      clock.advance(500)
      return condition()
    })

  test("it is listed, with its version and where it listens; whoever may sees so by ssh alone", async () => {
    await gateway.grant(alice, "orders", { by: bob, for: "1h" })
    login = await psql({ sluice: gateway, person: alice, target: "orders" }, orders.role, ["-qtA"])
    const client = await live()
    const told = await eventually("the session to be counted", async () => {
      const { stdout } = await run("ssh", [...gateway.ssh(dana), "gateway", "gateways"])
      return / live +1 /.test(stdout) && stdout
    })
    assert.match(told, new RegExp(`^${gatewayName} .*postgres ${gateway.port("postgres")}`, "m"))
    const refused = await run("ssh", [...gateway.ssh(alice), "gateway", "gateways"])
    assert.equal(refused.status, 1)
    assert.match(refused.stderr, /you may not do that/)
    const { gateways, version } = JSON.parse(await must("ssh", [...gateway.ssh(dana), "gateway", "gateways", "--json"])) as GatewaysAnswer
    assert.deepEqual([gateways[0]?.version, gateways[0]?.other_version], [version, false])
    client.closeInput()
    assert.equal((await client.ended).status, 0)
  })

  test("one that only stood still is heard again: its session is live again, and its true end is told", async () => {
    const client = await live()
    await eventually("the session to be listed", async () => (await sessions())[0] === "live")
    const { instance } = await listed()
    gateway.program?.signal("SIGSTOP")
    await pass("its session to be marked", async () => (await sessions())[0] === "gateway_lost")
    assert.equal((await listed()).status, "lost")
    gateway.program?.signal("SIGCONT")
    await eventually("the session to be live again", async () => (await sessions())[0] === "live")
    const back = await listed()
    assert.deepEqual([back.status, back.instance, back.sessions], ["live", instance, 1])
    client.type("SELECT 'still' || ' here';\n")
    await client.says("still here")
    client.closeInput()
    assert.equal((await client.ended).status, 0)
    await eventually("its true end", async () => (await sessions())[0] === "closed")
  })

  test("one that is killed with a live session: the session is marked within the bound, and it says by when", async () => {
    const client = await live()
    await eventually("the session to be listed", async () => (await sessions())[0] === "live")
    const { seen_at } = await listed()
    await gateway.program?.stop("SIGKILL")
    await client.stop()
    const killed_at = clock.now()
    await pass("its session to be marked", async () => (await sessions())[0] === "gateway_lost")
    const [session] = await gateway.sessions(dana)
    const late_ms = (session?.ended_at ?? Infinity) - Math.max(seen_at, killed_at - limits.gateway_word_ms)
    assert.ok(late_ms <= limits.gateway_lost_ms + limits.gateway_word_ms + 2 * limits.sweep_ms, String(late_ms))
    const { events } = await gateway.api(dana).call("audit", { query: { kind: "gateway.*" } })
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["gateway.lost", "gateway.returned", "gateway.lost", "gateway.joined"],
    )
  })
})
