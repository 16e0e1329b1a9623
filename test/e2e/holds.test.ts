// What can happen to an action while it waits for somebody, with psql, ssh and curl: other rules, a gateway or a service that goes, a
// grant that ends, a key that interrupts. Whatever it is, nothing runs that nobody approved, nobody else can use the approval, and who
// waits is told.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { after, afterEach, before, suite, test } from "node:test"
import { parse, stringify } from "yaml"
import type { RequestView } from "../../src/api/schema.ts"
import { curl, pgClient, psql } from "../support/clients.ts"
import { type HttpApp, startHttpApp } from "../support/http_app.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, type Program, run } from "../support/run.ts"
import type { Sluice } from "../support/sluice.ts"
import { httpTarget, postgresTarget, type Section, sshTarget } from "../support/sluice_config.ts"
import { type Split, spawnSplit } from "../support/split.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const targets = ["prod-host", "orders", "grafana"]
const held: readonly Section[] = [
  { targets: "orders", postgres: { kinds: ["delete"] }, then: "hold", approve: { by: ["oncall"] } },
  { targets: "prod-host", ssh: { exec: true, shell: true }, then: "hold" },
  { targets: "grafana", http: { methods: ["DELETE"] }, then: "hold" },
]
const policyOf = (actions: readonly Section[]): Section => ({
  access: [{ who: ["engineers"], targets, max: "8h", approve: { by: ["oncall"] } }],
  actions,
})

suite("while an action waits", { skip: needs("ssh", "sshd", "psql", "curl", "openssl"), concurrency: 1 }, () => {
  const { alice, bob, carol }: People = people()
  let sshd: Sshd
  let postgres: Postgres
  let app: HttpApp
  let split: Split
  let gateway: Sluice
  let approvals: Sluice
  let last = 0

  before(async () => {
    ;[sshd, postgres, app] = await Promise.all([startSshd(), startPostgres({ logStatements: true }), startHttpApp()])
    const made = [sshTarget("prod-host", sshd), postgresTarget("orders", postgres), httpTarget("grafana", app)]
    split = await spawnSplit({ users: [alice, bob, carol], targets: made, policy: policyOf(held), gateway: { workers: 1 } })
    ;({ gateway, approvals } = split)
    for (const target of targets) await gateway.grant(alice, target, { by: bob, for: "1h" })
  })
  after(async () => {
    await gateway?.stop()
    await approvals?.stop()
    await Promise.all([sshd?.stop(), postgres?.stop(), app?.stop()])
  })
  afterEach(async () => assert.deepEqual(await waiting(), [], "nothing is left waiting"))

  const waiting = async (): Promise<RequestView[]> => (await gateway.api(bob).call("requests", { query: { status: "pending" } })).requests
  const look = (id: number): Promise<RequestView> => gateway.api(bob).call("request", { id, query: {} })
  const approve = (id: number): Promise<RequestView> => gateway.api(bob).call("approve", { id, body: {} })
  const next = async (): Promise<number> => {
    const { id } = await eventually("somebody to be asked", async () => (await waiting()).findLast((one) => one.id > last))
    return (last = id)
  }
  const onOrders = (sql: string) => psql({ sluice: gateway, person: alice, target: "orders" }, postgres.role, ["-At", "-c", sql])
  const startPsql = async (id: number): Promise<Program> => launch(...(await onOrders(`DELETE FROM items WHERE id = ${id}`)))
  const startSsh = (command: string, ...more: string[]): Program =>
    launch("ssh", [...gateway.ssh(alice), ...more, "-J", "gateway", `${sshd.login}@prod-host`, command])
  const startCurl = async (path: string): Promise<Program> =>
    launch(...(await curl({ sluice: gateway, person: alice, target: "grafana" }, path, ["-w", "\n%{http_code}", "-X", "DELETE"])))
  const deletes = (id: number): number => postgres.log().split(`DELETE FROM items WHERE id = ${id}\n`).length - 1
  const closed = async (id: number): Promise<void> => {
    await eventually(`request ${id} to be taken back`, async () => (await look(id)).status === "withdrawn")
    await assert.rejects(approve(id), { code: "over" })
  }
  async function reload(actions: readonly Section[]): Promise<void> {
    for (const one of [approvals, gateway]) {
      const used = (): number => one.log().split("the new config is in use").length
      const before = used()
      const file = parse(readFileSync(one.configFile, "utf8")) as Section
      writeFileSync(one.configFile, stringify({ ...file, policy: policyOf(actions) }))
      one.program?.signal("SIGHUP")
      await eventually("the config to be in use", () => used() > before)
    }
  }

  test("other rules that deny it: approved all the same, it does not run; rules that leave its own alone do not matter", async () => {
    const one = await startPsql(1)
    const first = await next()
    await reload([{ targets: "prod-host", ssh: { exec: "echo never" }, then: "deny" }, ...held])
    await approve(first)
    assert.equal((await one.ended).stdout, "DELETE 1\n", "its rule stands at another place, and is the same")

    const other = await startPsql(2)
    const second = await next()
    await reload([{ targets: "orders", postgres: { tables: "items" }, then: "deny", say: "items are frozen" }, ...held])
    await approve(second)
    assert.match((await other.ended).stderr, /ERROR: {2}sluice: items are frozen \[s_/)
    assert.equal(deletes(2), 0)
    assert.equal((await look(second)).run_at, null, "its approval was not taken")
  })

  test("other rules that want another approval: the one that was given is not enough, and its person is told to ask again", async () => {
    await reload(held)
    const client = startSsh("echo ran")
    const first = await next()
    await reload([held[0]!, { ...held[1], approve: { by: [bob.name] } }, { ...held[2], approve: { by: [bob.name] } }])
    await approve(first)
    const done = await client.ended
    assert.deepEqual([done.stdout, done.status], ["", 1])
    assert.match(done.stderr, /the rules have changed while this waited, and want another approval of it: run it again/)

    const request = await startCurl("/things/1")
    const second = await next()
    await reload(held)
    await approve(second)
    assert.match((await request.ended).stdout, /the rules have changed[^]*\n403$/)
    const again = await startCurl("/things/1")
    const third = await next()
    assert.notEqual(third, second, "what was approved under another rule is not found again")
    await approve(third)
    assert.match((await again.ended).stdout, /\n(200|404)$/)
  })

  test("who decides has the planner guess: with the values, on record, nothing runs; not its own person, and not where planning may run code", async () => {
    const estimate = async (id: number) => (await run("ssh", [...gateway.ssh(bob), "gateway", "requests", String(id), "--estimate"])).stdout
    await postgres.admin("CREATE TABLE many AS SELECT g AS id FROM generate_series(1, 5000) AS g; ANALYZE many")
    await postgres.admin("CREATE TABLE touched (id int)")
    await postgres.admin(
      `CREATE FUNCTION sly(n int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE LOG 'sly %', 'ran'; RETURN n; END $$;
       GRANT ALL ON many, touched TO ${postgres.role}`,
    )
    const client = await pgClient({ sluice: gateway, person: alice, target: "orders" }, postgres.role)
    const answers = Promise.allSettled([
      client.query("DELETE FROM many WHERE id <= $1", [1_000]),
      client.query("DELETE FROM many WHERE id = sly(3)"),
      client.query("DELETE FROM many WHERE id = 1; DELETE FROM touched WHERE id = 1"),
      client.query("DELETE FROM nowhere WHERE id = 1"),
    ])
    const first = await look(await next())
    const [said, rows] = /rows {4}about (\d+) by the planner \(cost [\d.]+\)/.exec(await estimate(first.id)) ?? []
    assert.ok(Number(rows) > 800 && Number(rows) < 1_200, said)
    const seen = await run("ssh", [...gateway.ssh(bob), "gateway", "requests", String(first.id)])
    assert.match(seen.stdout, /rows {4}about/, "it stays with the request")
    await assert.rejects(gateway.api(alice).call("estimate", { id: first.id, body: {} }), { code: "forbidden" })
    const deny = (id: number) => gateway.api(bob).call("deny", { id, body: { reason: "no" } })
    await deny(first.id)
    for (const why of [
      /no estimate: planning it may run code/,
      /no estimate: the target could not plan it \(SQLSTATE 42601\)/,
      /no estimate: the target could not plan it \(SQLSTATE 42P01\)/,
    ]) {
      const id = await next()
      assert.match(await estimate(id), why)
      await deny(id)
    }
    for (const one of await answers) assert.equal(one.status === "rejected" && one.reason.code, "42501")
    assert.ok(!postgres.log().includes("sly ran"))
    assert.deepEqual(
      await postgres.admin("SELECT (SELECT count(*)::int FROM many) AS many, (SELECT count(*)::int FROM touched) AS touched"),
      [{ many: 5_000, touched: 0 }],
    )
    const lines = gateway.recording(first.action?.session ?? "")
    const asked = lines.findIndex((line) => line.kind === "estimate" && line.request === first.id)
    assert.deepEqual([asked > 0, lines[asked + 1]?.kind], [true, "estimated"])
    await client.end()
    await assert.rejects(gateway.api(bob).call("estimate", { id: first.id, body: {} }), { code: "over" })
  })

  test("the grant is revoked: each client is told so in its own way, and nobody can approve it", async () => {
    const grants = (await gateway.api(alice).call("grants", { query: {} })).grants
    const [psqlOne, sshOne] = [await startPsql(2), startSsh("echo ran")]
    const ids = [await next(), await next()]
    for (const grant of grants.filter(({ target }) => target !== "grafana")) await gateway.revoke(grant, bob, "enough")
    assert.match((await psqlOne.ended).stderr, /FATAL: {2}sluice: your access to orders ended .*revoked/)
    const ssh = await sshOne.ended
    assert.match(ssh.stderr, /sluice: your access to prod-host ended .*revoked/)
    assert.equal(ssh.stdout, "")
    for (const id of ids) await closed(id)
    assert.equal(deletes(2), 0)
  })

  test("the grant ends by its time: the same", async () => {
    await gateway.grant(alice, "orders", { by: bob, for: "6s" })
    const client = await startPsql(2)
    const id = await next()
    assert.match((await client.ended).stderr, /FATAL: {2}sluice: your access to orders ended .*expired/)
    await assert.rejects(approve(id), { code: "over" })
    assert.equal(deletes(2), 0)
    for (const target of ["orders", "prod-host"]) await gateway.grant(alice, target, { by: bob, for: "1h" })
  })

  test("ssh -t: the key that interrupts takes it back, and what else was typed is not lost to a program that is approved", async () => {
    const shell = startSsh("read line; echo got $line", "-tt")
    const first = await next()
    await shell.says(/held: request/)
    shell.type("early\n")
    await approve(first)
    await shell.says(/got early/)
    await shell.ended

    const other = startSsh("echo ran", "-tt")
    const second = await next()
    await other.says(/held: request/)
    other.type("\u0003")
    const done = await other.ended
    assert.match(done.stdout + done.stderr, /the action was taken back/)
    assert.ok(!/^ran/m.test(done.stdout))
    assert.equal(done.status, 1)
    await closed(second)
  })

  test("the service is away when it is asked: nothing runs and it is said; it goes while something waits: approved when it is back, it runs once", async () => {
    const client = await startPsql(3)
    const id = await next()
    const live = launch(
      ...(await psql({ sluice: gateway, person: alice, target: "orders" }, postgres.role, ["-At", "-v", "ON_ERROR_STOP=0"])),
    )
    live.type("SELECT 'in';\n")
    await live.says("in")
    await approvals.stop()
    live.type("DELETE FROM items WHERE id = 99;\nSELECT 'goes on';\n")
    await live.says("goes on")
    assert.match(live.stderr, /ERROR: {2}sluice: access cannot be checked right now/)
    live.closeInput()
    await live.ended
    assert.ok(client.running)
    approvals = await split.restartApprovals()
    await approve(id)
    assert.equal((await client.ended).stdout, "DELETE 1\n")
    assert.deepEqual([deletes(3), deletes(99)], [1, 0])
  })

  for (const [signal, words] of [
    ["SIGTERM", /sluice: the gateway is shutting down; connect again in a moment/],
    ["SIGKILL", /(server closed the connection unexpectedly|connection to server was lost|Connection .* closed|unexpectedly)/i],
  ] as const)
    test(`the gateway gets ${signal}: who waits is told as far as that goes, and when it is back the approval is nobody's`, async () => {
      const clients = [await startPsql(2), startSsh("echo ran")]
      const ids = [await next(), await next()]
      if (signal === "SIGTERM") {
        const ready = `http://127.0.0.1:${gateway.port("health")}/readyz`
        gateway.program?.signal("SIGTERM")
        await eventually("it to take nobody new", async () => !(await fetch(ready).catch(() => ({ ok: false }))).ok)
      }
      await gateway.program?.stop(signal)
      for (const client of clients) {
        const { stdout, stderr, status } = await client.ended
        assert.equal(stdout, "")
        assert.notEqual(status, 0)
        assert.match(stderr, words)
      }
      gateway = await split.restartGateway()
      for (const id of ids) await closed(id)
      const again = await startPsql(2)
      const id = await next()
      assert.ok(!ids.includes(id), "it is asked anew")
      await gateway.api(bob).call("deny", { id, body: { reason: "no" } })
      assert.match((await again.ended).stderr, /was denied by/)
      assert.equal(deletes(2), 0)
    })
})
