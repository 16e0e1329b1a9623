// A gateway of several processes on the same ports: to everybody outside it is one.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import { livePsql, type Live } from "../support/live.ts"
import { psql } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, must, type Program } from "../support/run.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const workers = 2
/** Clients are handed round, so that this many are on all of them. */
const clients = 2 * workers

suite("a gateway of several processes", { skip: needs("psql", "curl", "ps"), concurrency: 1 }, () => {
  const { alice, bob, dana }: People = people()
  let postgres: Postgres
  let sluice: Sluice
  const targets = () => [postgresTarget("orders", postgres)]
  const start = (): Promise<Sluice> => spawnSluice({ users: [alice, bob, dana], targets: targets(), gateway: { workers } })

  before(async () => {
    postgres = await startPostgres()
    sluice = await start()
  })
  after(async () => {
    await sluice?.stop()
    await postgres?.stop()
  })

  /** The process ids of the workers that run now, by number. */
  const pids = (of = sluice): Map<number, number> =>
    new Map(
      of
        .log()
        .split("\n")
        .filter((line) => line.includes('"a worker is running"'))
        .map((line) => JSON.parse(line) as { worker: number; pid: number })
        .map(({ worker, pid }) => [worker, pid]),
    )
  const exists = (pid: number): boolean => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  const sleepers = (of = sluice): Promise<Live[]> =>
    Promise.all(Array.from({ length: clients }, () => livePsql({ sluice: of, person: alice, target: "orders" }, postgres)))
  /** Which start of each process the service hears. */
  const instances = async (): Promise<Map<string, string>> => {
    const { gateways } = await sluice.api(dana).call("gateways", {})
    return new Map(gateways.map(({ name, instance }) => [name, instance]))
  }
  const live = async (): Promise<Map<string, number>> => {
    const sessions = await sluice.sessions(dana, true)
    return new Map([...Map.groupBy(sessions, ({ gateway }) => gateway)].map(([gateway, its]) => [gateway, its.length]))
  }
  /** Settles when all are listed: how many are on which; each has some. */
  const allLive = async (): Promise<Map<string, number>> => {
    const total = (map: Map<string, number>): number => [...map.values()].reduce((sum, count) => sum + count, 0)
    const spread = await eventually("every session to be listed", async () => {
      const map = await live()
      return total(map) === clients && map
    })
    assert.deepEqual(
      [...spread.keys()].sort(),
      Array.from({ length: workers }, (_, index) => `gw.test/${index}`),
    )
    return spread
  }

  test("clients are spread over all of them, and a revocation reaches each", async () => {
    const grant = await sluice.grant(alice, "orders", { by: bob, for: "1h" })
    const sessions = await sleepers()
    await allLive()
    await sluice.revoke(grant, dana)
    for (const session of sessions) {
      assert.match(await session.ended, /FATAL: {2}sluice: your access to orders ended/)
      await eventually("its query to be gone", async () => !(await session.runs()))
    }
  })

  test("Ctrl-C reaches the query, whichever process the cancel request comes to", async () => {
    await sluice.grant(alice, "orders", { by: bob, for: "1h" })
    const programs: Program[] = []
    for (let count = 0; count < clients + 1; count++) {
      programs.push(launch(...(await psql({ sluice, person: alice, target: "orders" }, postgres.role, ["-c", "SELECT pg_sleep(600)"]))))
    }
    await eventually(
      "all to sleep",
      async () => (await postgres.active()).filter(({ query }) => query.includes("600")).length === clients + 1,
    )
    for (const program of programs) {
      program.signal("SIGINT")
      assert.match((await program.ended).stderr, /canceling statement due to user request/)
    }
  })

  test("one that is killed takes its own sessions with it and no other, and another takes its place", async () => {
    await sluice.grant(alice, "orders", { by: bob, for: "1h" })
    const sessions = await sleepers()
    const spread = await allLive()
    const known = await instances()
    const killed = pids().get(1)
    assert.ok(killed)
    process.kill(killed, "SIGKILL")
    await eventually("its sessions to be marked", async () => {
      const ended = (await sluice.sessions(dana)).filter(({ gateway, ended_why }) => gateway === "gw.test/1" && ended_why === "interrupted")
      return ended.length === spread.get("gw.test/1")
    })
    assert.deepEqual([...(await live())], [["gw.test/0", spread.get("gw.test/0")]])
    await eventually("another to take its place", () => pids().get(1) !== killed)
    const now = await eventually("the new one to be listed", async () => {
      const all = await instances()
      return all.get("gw.test/1") !== known.get("gw.test/1") && all
    })
    assert.deepEqual([...now.keys()], ["gw.test/0", "gw.test/1"])
    assert.equal(now.get("gw.test/0"), known.get("gw.test/0"))
    assert.match(sluice.log(), /a worker has ended; its sessions are over/)
    const health = await must("curl", ["-sS", `http://127.0.0.1:${sluice.port("health")}/readyz`])
    assert.deepEqual(JSON.parse(health), { status: "ready" })
    const again = await sleepers()
    await eventually("both to serve", async () => (await live()).has("gw.test/1"))
    for (const session of [...sessions, ...again]) await session.stop()
  })

  test("SIGTERM, to one or to the whole group, lets live sessions go on for a little; the second ends all, and says why", async () => {
    const other = await start()
    await other.grant(alice, "orders", { by: bob, for: "1h" })
    const sessions = await sleepers(other)
    const running = [...pids(other).values()]
    assert.equal(running.length, workers)
    process.kill(-other.program!.pid!, "SIGTERM") // as Ctrl-C does, and a service manager
    await eventually("it to have heard", () => other.log().includes("live sessions get a little time"))
    for (const session of sessions) assert.ok(await session.runs())
    other.program?.signal("SIGTERM")
    for (const session of sessions) assert.match(await session.ended, /the gateway is shutting down/)
    assert.equal((await other.program?.end())?.status, 0)
    assert.deepEqual(running.filter(exists), [])
    await other.stop()
  })

  test("they do not outlive the process that started them, and say goodbye", async () => {
    const other = await start()
    await other.grant(alice, "orders", { by: bob, for: "1h" })
    const sessions = await sleepers(other)
    const running = [...pids(other).values()]
    assert.equal(running.length, workers)
    other.program?.signal("SIGKILL")
    for (const session of sessions) assert.match(await session.ended, /the gateway is shutting down/)
    await eventually("them to be gone", () => running.filter(exists).length === 0)
    await other.stop()
  })

  test("a port in use is told to the operator by the process that was started", async () => {
    const taken = { listen: `127.0.0.1:${sluice.port("ssh")}` }
    await assert.rejects(
      spawnSluice({ users: [alice, bob, dana], targets: targets(), gateway: { workers, ssh: taken } }),
      /could not start: .*EADDRINUSE[\s\S]*Another program listens there/,
    )
  })
})
