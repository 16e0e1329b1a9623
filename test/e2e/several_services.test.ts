// Two approval services and two gateways on one PostgreSQL: to people it is one Sluice. Real psql; every part a process of its own.
import assert from "node:assert/strict"
import { join } from "node:path"
import { writeFileSync } from "node:fs"
import { after, before, suite, test } from "node:test"
import type { SessionView } from "../../src/api/schema.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, type SluiceOptions, spawnSluice } from "../support/sluice.ts"
import { gatewayName, postgresTarget } from "../support/sluice_config.ts"
import { newPostgresStore, query, storeUrl } from "../support/store.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("two services and two gateways on one PostgreSQL", { skip: needs("psql"), concurrency: 1 }, () => {
  const { alice, bob, dana }: People = people()
  let orders: Postgres
  let database: Postgres
  let store: Awaited<ReturnType<typeof newPostgresStore>>
  let services: Sluice[]
  let gateways: Sluice[]

  const setup = () => ({ users: [alice, bob, dana], targets: [postgresTarget("orders", orders)] })
  const service = (name: string, more: Partial<SluiceOptions> = {}): Promise<Sluice> => {
    const folder = more.folder ?? scratch(`service-${name}`)
    writeFileSync(join(folder, "store_url"), storeUrl(store), { mode: 0o600 })
    const approvals = { store: "file:store_url", ...more.approvals }
    return spawnSluice({ ...setup(), role: "approvals", ...more, folder, approvals })
  }

  before(async () => {
    ;[orders, database] = await Promise.all([startPostgres(), startPostgres()])
    store = await newPostgresStore(database)
    services = await Promise.all([service("one"), service("two")])
    gateways = await Promise.all(
      services.map((at, index) =>
        spawnSluice({
          ...setup(),
          role: "gateway",
          gateway: { name: `${index + 1}.${gatewayName}`, workers: 1 },
          approvals: { url: `http://127.0.0.1:${at.port("approvals")}` },
        }),
      ),
    )
  })
  after(async () => {
    for (const part of [...(gateways ?? []), ...(services ?? [])]) await part.stop()
    await Promise.all([orders?.stop(), database?.stop()])
  })

  /** A psql through the gateway `at`, with a token of the service `issuer`. */
  const through = async (at: Sluice, more: readonly string[], issuer = services[1] as Sluice): Promise<Parameters<typeof launch>> => {
    const where = `host=localhost hostaddr=127.0.0.1 port=${at.port("postgres")} dbname=orders user=${orders.role} sslmode=require`
    return ["psql", [where, "-X", ...more], { env: { PGPASSWORD: await issuer.token(alice, "orders") } }]
  }
  const ask = async (at: Sluice): Promise<number> =>
    (await at.api(alice).call("ask", { body: { target: "orders", duration_ms: 3_600_000, reason: "a test" } })).id

  test("an approval sent to both services at once makes one grant, on record once", async () => {
    const [one, two] = services as [Sluice, Sluice]
    for (let round = 0; round < 5; round++) {
      const id = await ask(one)
      const approve = (at: Sluice) => at.api(bob).call("approve", { id, body: { reason: "go" } })
      const answers = await Promise.all([approve(one), approve(two)])
      assert.deepEqual(
        answers.map(({ status, decisions }) => [status, decisions.length]),
        [
          ["approved", 1],
          ["approved", 1],
        ],
      )
      assert.equal(answers[0]?.grant?.id, answers[1]?.grant?.id)
      const events = await query(store, `select kind from events where request = ${id} order by sequence`)
      assert.deepEqual(
        events.map(({ kind }) => kind),
        ["request.asked", "request.decision", "request.approved", "grant.made"],
      )
      const grant = answers[0]?.grant
      assert(grant)
      await two.api(alice).call("drop", { id: grant.id, body: {} })
    }
  })

  test("one asks here and the other approves there; a revocation here cuts what runs there, and both list it", async () => {
    const [one, two] = services as [Sluice, Sluice]
    const id = await ask(one)
    const { grant } = await two.api(bob).call("approve", { id, body: {} })
    assert.ok(grant)
    const programs = []
    for (const gateway of gateways) programs.push(launch(...(await through(gateway, ["-c", "SELECT pg_sleep(600)"]))))
    await eventually("both to sleep", async () => (await orders.active()).filter(({ query: sql }) => sql.includes("600")).length === 2)
    const lists = await eventually("both services to list both", async () => {
      const all = await Promise.all(services.map((at) => at.sessions(dana, true)))
      return all.every((sessions) => sessions.length === 2) ? all : undefined
    })
    const names = (sessions: readonly SessionView[]): string[] => sessions.map(({ gateway }) => gateway).sort()
    assert.deepEqual(lists.map(names), [
      [`1.${gatewayName}`, `2.${gatewayName}`],
      [`1.${gatewayName}`, `2.${gatewayName}`],
    ])
    await one.api(dana).call("revoke", { id: grant.id, body: { reason: "enough" } })
    for (const program of programs) assert.match((await program.ended).stderr, /your access to orders ended .*revoked/)
    await eventually("nothing to run on the target", async () => (await orders.active()).length === 0)
  })

  test("a gateway whose service is gone opens nothing new, keeps what it has, and comes back", async () => {
    const [one, two] = services as [Sluice, Sluice]
    const [first, second] = gateways as [Sluice, Sluice]
    await two.api(bob).call("approve", { id: await ask(two), body: {} })
    const [program, args, options] = await through(first, ["-qtA"])
    const live = launch(program, args, options)
    live.type("SELECT 'before';\n")
    await live.says("before")
    const port = one.port("approvals")
    const { folder } = one
    await one.program?.stop("SIGKILL")
    const refused = await eventually("it to be stale", async () => {
      const ran = await run(...(await through(first, ["-c", "SELECT 1"])))
      return /access cannot be checked right now/.test(ran.stderr) ? ran : undefined
    })
    assert.notEqual(refused.status, 0)
    live.type("SELECT 'still there';\n")
    await live.says("still there")
    // The other half goes on meanwhile.
    assert.equal((await run(...(await through(second, ["-qtAc", "SELECT 'elsewhere'"])))).stdout, "elsewhere\n")
    services[0] = await service("one", { folder, approvals: { listen: `127.0.0.1:${port}` } })
    await eventually(
      "it to open again",
      async () => (await run(...(await through(first, ["-qtAc", "SELECT 'again'"])))).stdout === "again\n",
    )
    live.closeInput()
    assert.equal((await live.ended).status, 0)
  })

  test("the database crashes under load: nothing that was answered is lost, nothing is doubled, and the log has no gap", async () => {
    const answered = { requests: new Set<number>(), grants: new Set<string>() }
    const stop = new AbortController()
    const worker = async (at: Sluice, target: string): Promise<void> => {
      for (let count = 0; !stop.signal.aborted; count++) {
        try {
          const { id } = await at.api(alice).call("ask", { body: { target, duration_ms: 60_000, reason: `load ${count}` } })
          answered.requests.add(id)
          const { grant } = await at.api(bob).call("approve", { id, body: {} })
          if (grant) answered.grants.add(grant.id)
        } catch {
          // "try again in a moment": the next one does
        }
      }
    }
    const load = services.flatMap((at) => [worker(at, "orders"), worker(at, "orders")])
    for (let crash = 1; crash <= 2; crash++) {
      const until = answered.grants.size + 20
      await eventually("some to be answered", () => answered.grants.size >= until)
      await database.restart()
    }
    const until = answered.grants.size + 20
    await eventually("more to be answered", () => answered.grants.size >= until)
    stop.abort()
    await Promise.all(load)
    const column = async (sql: string): Promise<unknown[]> => (await query(store, sql)).map((row) => Object.values(row)[0])
    const requests = new Set(await column("select id from requests"))
    const grants = new Set(await column("select id from grants"))
    assert.deepEqual(
      [...answered.requests].filter((id) => !requests.has(id)),
      [],
    )
    assert.deepEqual(
      [...answered.grants].filter((id) => !grants.has(id)),
      [],
    )
    assert.deepEqual(await column("select request from grants group by request having count(*) > 1"), [])
    const sequences = (await column("select sequence from events order by sequence")) as number[]
    assert.deepEqual(
      sequences,
      Array.from(sequences, (_, index) => index + 1),
    )
    assert.equal((await column("select 1 from events where kind = 'grant.made'")).length, grants.size)
    for (const gateway of gateways) assert.equal((await run(...(await through(gateway, ["-qtAc", "SELECT 'in'"])))).stdout, "in\n")
  })
})
