// Rules for single actions with the programs people have: what is held waits in psql, ssh, the pg library and curl, and runs once, as
// it was shown, when somebody approved it; or it never does.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, afterEach, before, suite, test } from "node:test"
import { parse, stringify } from "yaml"
import type { RequestView } from "../../src/api/schema.ts"
import { curl, pgClient, psql } from "../support/clients.ts"
import { type HttpApp, startHttpApp } from "../support/http_app.ts"
import { type People, people, person } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, type Program, run, type Ran } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { httpTarget, postgresTarget, sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const targets = ["prod-host", "orders", "grafana"]
const policy = {
  access: [{ who: ["engineers"], targets, max: "8h", approve: { by: ["oncall"] } }],
  actions: [
    { targets: "orders", postgres: { kinds: ["delete", "update"], without: "where" }, then: "deny", say: "say which rows" },
    { targets: "orders", postgres: { kinds: ["delete", "ddl"] }, then: "hold", approve: { by: ["oncall"] } },
    { targets: "prod-host", ssh: { exec: "echo restart *" }, then: "hold" },
    { targets: "prod-host", ssh: { exec: "echo never" }, then: "deny", say: "never is never" },
    { targets: "grafana", http: { methods: ["DELETE", "POST"] }, then: "hold" },
    { targets: "grafana", http: { path: "/reports" }, then: "hold" },
  ],
}

suite("actions that wait for somebody", { skip: needs("ssh", "sshd", "psql", "pgbench", "curl", "openssl"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  const erin = person("erin", "oncall")
  let sshd: Sshd
  let postgres: Postgres
  let app: HttpApp
  let sluice: Sluice

  before(async () => {
    ;[sshd, postgres, app] = await Promise.all([startSshd(), startPostgres({ logStatements: true }), startHttpApp()])
    const made = [sshTarget("prod-host", sshd), postgresTarget("orders", postgres), httpTarget("grafana", app)]
    sluice = await startSluice({ users: [alice, bob, erin], targets: made, policy })
    for (const target of targets) await sluice.grant(alice, target, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([sshd.stop(), postgres.stop(), app.stop()])
  })
  afterEach(async () => assert.deepEqual(await waiting(), [], "nothing is left waiting"))

  const waiting = async (): Promise<RequestView[]> => (await sluice.api(bob).call("requests", { query: { status: "pending" } })).requests
  const whole = (id: number): Promise<RequestView> => sluice.api(bob).call("request", { id, query: {} })
  const next = async (): Promise<RequestView> => whole((await eventually("somebody to be asked", async () => (await waiting())[0])).id)
  const approve = async (): Promise<RequestView> => sluice.api(bob).call("approve", { id: (await next()).id, body: {} })
  const deny = async (reason: string): Promise<RequestView> => sluice.api(bob).call("deny", { id: (await next()).id, body: { reason } })
  const startPsql = async (...more: string[]): Promise<Program> =>
    launch(...(await psql({ sluice, person: alice, target: "orders" }, postgres.role, ["-At", ...more])))
  const startSsh = (command: string): Program => launch("ssh", [...sluice.ssh(alice), "-J", "gateway", `${sshd.login}@prod-host`, command])
  const startCurl = async (path: string, ...more: string[]): Promise<Program> =>
    launch(...(await curl({ sluice, person: alice, target: "grafana" }, path, ["-w", "\n%{http_code}", ...more])))
  const rows = async (): Promise<number> => Number((await postgres.admin("SELECT count(*) AS n FROM items"))[0]?.["n"])
  const ran = (sql: string): number => postgres.log().split(sql).length - 1

  test("psql: a statement waits, its person is told where, the approver sees all of it, and it runs once", async () => {
    await postgres.admin("INSERT INTO items VALUES (10, 'ten')")
    const client = await startPsql("-c", "DELETE FROM items WHERE id = 10")
    const request = await next()
    await eventually("the notice", () =>
      /NOTICE: {2}sluice: held: request \d+ .*ssh gateway approve \d+ .*\/requests\/\d+/.test(client.stderr),
    )
    assert.equal(request.action?.text, "DELETE FROM items WHERE id = 10")
    assert.deepEqual([request.action?.action_kind, request.action?.tables, request.as], ["delete", ["items"], [postgres.role]])
    assert.equal(request.reason, "a test", "the reason of the access")
    assert.equal(await rows(), 4)
    await assert.rejects(sluice.api(alice).call("approve", { id: request.id, body: {} }), { code: "own_request" })
    const seen = await run("ssh", [...sluice.ssh(bob), "gateway", "requests", String(request.id)])
    assert.match(seen.stdout, /action {2}DELETE FROM items WHERE id = 10\n {2}does {4}delete on items\n/)
    const given = await run("ssh", [...sluice.ssh(bob), "gateway", "approve", String(request.id)])
    assert.match(given.stdout, /is approved\.\n {2}who {5}alice/)
    assert.deepEqual([(await client.ended).stdout, await rows()], ["DELETE 1\n", 3])
    assert.equal((await sluice.api(bob).call("request", { id: request.id, query: {} })).run_at !== null, true)
    const session = request.action?.session ?? ""
    const lines = sluice.recording(session).filter(({ kind }) => ["held", "settled", "action", "outcome"].includes(kind))
    assert.deepEqual(
      lines.slice(-4).map(({ kind }) => kind),
      ["held", "settled", "action", "outcome"],
    )
  })

  test("psql: denied with words, in a transaction or not; what came before it in the transaction is not committed", async () => {
    const client = await startPsql("-v", "ON_ERROR_STOP=0", "-c", "DELETE FROM items WHERE id = 1", "-c", "SELECT 'goes on'")
    await deny("use the\u00a0runbook")
    const one = await client.ended
    assert.match(one.stderr, /ERROR: {2}sluice: request \d+ was denied by bob@example\.com: use the.runbook \[s_/)
    assert.equal(one.stdout, "goes on\n")
    const script = "BEGIN; INSERT INTO items VALUES (11, 'x');\nDELETE FROM items WHERE id = 1;\nCOMMIT;\nSELECT count(*) FROM items;\n"
    const other = launch(...(await psql({ sluice, person: alice, target: "orders" }, postgres.role, ["-At", "-v", "ON_ERROR_STOP=0"])))
    other.type(script)
    other.closeInput()
    await deny("no")
    const two = await other.ended
    assert.match(two.stderr, /was denied by bob/)
    assert.match(two.stdout, /ROLLBACK\n3\n/)
  })

  test("a rule's own no: in its words, at once, and nobody is asked", async () => {
    const client = await (await startPsql("-c", "DELETE FROM items")).ended
    assert.match(client.stderr, /ERROR: {2}sluice: say which rows \[s_/)
    const ssh = await startSsh("echo never").ended
    assert.deepEqual([ssh.stdout, ssh.status], ["", 1])
    assert.match(ssh.stderr, /sluice: never is never/)
    assert.equal(await rows(), 3)
  })

  test("Ctrl-C in psql takes it back: 57014, and it never runs", async () => {
    const client = await startPsql()
    client.type("\\set VERBOSITY verbose\nDROP TABLE items;\n")
    const request = await next()
    await eventually("the notice", () => client.stderr.includes("held: request"))
    client.signal("SIGINT")
    await eventually("the answer", () => /57014: sluice: the action was taken back/.test(client.stderr))
    assert.equal((await sluice.api(bob).call("request", { id: request.id, query: {} })).status, "withdrawn")
    client.closeInput()
    assert.ok(!(await client.ended).stderr.includes("connection"), "it was an answer, and no end")
    assert.equal(ran("DROP TABLE items"), 0)
  })

  test("psql is killed while it waits: it is taken back, and an approval after that is for nothing", async () => {
    const client = await startPsql("-c", "DROP TABLE items")
    const request = await next()
    client.signal("SIGKILL")
    await eventually("it to be taken back", async () => (await waiting()).length === 0)
    await assert.rejects(sluice.api(bob).call("approve", { id: request.id, body: {} }), { code: "over" })
    assert.equal(ran("DROP TABLE items"), 0)
  })

  test("two approve at once: it runs once", async () => {
    await postgres.admin("INSERT INTO items VALUES (20, 'x')")
    const client = await startPsql("-c", "DELETE FROM items WHERE id = 20")
    const { id } = await next()
    const answers = await Promise.allSettled([bob, erin].map((one) => sluice.api(one).call("approve", { id, body: {} })))
    assert.ok(answers.some(({ status }) => status === "fulfilled"))
    assert.equal((await client.ended).stdout, "DELETE 1\n")
    assert.equal(ran("DELETE FROM items WHERE id = 20"), 1)
  })

  test("the pg library: a prepared statement is shown with its values, and what was pipelined behind it keeps its place", async () => {
    const client = await pgClient({ sluice, person: alice, target: "orders" }, postgres.role)
    await postgres.admin("INSERT INTO items VALUES (30, 'x'), (31, 'y')")
    const all = [
      client.query("SELECT 1 AS n"),
      client.query({ name: "gone", text: "DELETE FROM items WHERE id = $1 AND name = $2", values: [30, "x"] }),
      client.query("SELECT 2 AS n"),
      client.query({ name: "gone", text: "DELETE FROM items WHERE id = $1 AND name = $2", values: [31, "y"] }),
      client.query("SELECT 3 AS n"),
    ]
    const settled = Promise.allSettled(all)
    const first = await next()
    assert.deepEqual(first.action?.values, ["30", "x"])
    await sluice.api(bob).call("approve", { id: first.id, body: {} })
    const second = await whole((await eventually("the second", async () => (await waiting()).find(({ id }) => id !== first.id))).id)
    assert.deepEqual(second.action?.values, ["31", "y"])
    assert.notEqual(second.action?.digest, first.action?.digest)
    await sluice.api(bob).call("deny", { id: second.id, body: { reason: "not this one" } })
    const results = (await settled).map((one) =>
      one.status === "fulfilled" ? (one.value.rows[0]?.n ?? one.value.rowCount) : one.reason.code,
    )
    assert.deepEqual(results, [1, 1, 2, "42501", 3])
    assert.equal((await postgres.admin("SELECT count(*)::int AS n FROM items WHERE id IN (30, 31)"))[0]?.["n"], 1)
    await postgres.admin("DELETE FROM items WHERE id = 31")
    await client.end()
  })

  test("pgbench: in every protocol it has, with and without a pipeline, what is held in the middle runs once, in its place", async () => {
    await postgres.admin(`CREATE TABLE steps (n serial, what text); GRANT ALL ON steps, steps_n_seq TO ${postgres.role}`)
    const folder = scratch("held-pgbench")
    const lines = [
      "INSERT INTO steps (what) VALUES ('before');",
      "DELETE FROM steps WHERE n < 0;",
      "INSERT INTO steps (what) VALUES ('after');",
    ]
    writeFileSync(join(folder, "plain.sql"), lines.join("\n"))
    writeFileSync(join(folder, "pipeline.sql"), ["\\startpipeline", ...lines, "\\endpipeline"].join("\n"))
    let deletes = ran("DELETE FROM steps WHERE n < 0")
    for (const [mode, script] of [
      ["simple", "plain"],
      ["extended", "plain"],
      ["prepared", "plain"],
      ["extended", "pipeline"],
      ["prepared", "pipeline"],
    ] as const) {
      await postgres.admin("TRUNCATE steps")
      const where = ["-h", "127.0.0.1", "-p", String(sluice.port("postgres")), "-U", postgres.role]
      const args = [...where, "-n", "-f", join(folder, `${script}.sql`), "-c", "1", "-t", "3", "-M", mode, "orders"]
      const client = launch("pgbench", args, { env: { PGPASSWORD: await sluice.token(alice, "orders") } })
      for (let done = 0; done < 3; done++) {
        const { id } = await next()
        await sluice.api(bob).call("approve", { id, body: {} })
        await eventually("it to be decided", async () => (await waiting()).every((one) => one.id !== id))
      }
      const { stdout, stderr, status } = await client.ended
      assert.equal(status, 0, stderr)
      assert.match(stdout, /number of transactions actually processed: 3\/3/)
      const rows = await postgres.admin("SELECT what FROM steps ORDER BY n")
      assert.deepEqual(
        rows.map(({ what }) => what),
        ["before", "after", "before", "after", "before", "after"],
        `${mode} ${script}`,
      )
      assert.equal(ran("DELETE FROM steps WHERE n < 0") - deletes, 3, `${mode} ${script}`)
      deletes = ran("DELETE FROM steps WHERE n < 0")
    }
  })

  test("ssh: a command waits, told on stderr alone, and runs with its own status and input", async () => {
    const client = startSsh("echo restart nginx; cat; exit 7")
    client.type("input\n")
    client.closeInput()
    const request = await next()
    assert.equal(request.action?.text, "echo restart nginx; cat; exit 7")
    await eventually("the words", () => /sluice: held: request \d+/.test(client.stderr))
    assert.equal(client.stdout, "")
    await approve()
    const done = await client.ended
    assert.deepEqual([done.stdout, done.status], ["restart nginx\ninput\n", 7])
    const other = startSsh("echo restart sshd")
    await deny("not now")
    const no = await other.ended
    assert.deepEqual([no.stdout, no.status], ["", 1])
    assert.match(no.stderr, /was denied by bob@example\.com: not now/)
  })

  test("ssh: who leaves takes the command back", async () => {
    const client = startSsh("echo restart postgres")
    const { id } = await next()
    client.signal("SIGKILL")
    await eventually("it to be taken back", async () => (await sluice.api(bob).call("request", { id, query: {} })).status === "withdrawn")
  })

  test("curl: a request waits with its query and body in sight, and is answered when it was approved", async () => {
    const client = await startCurl("/echo?id=7", "-d", '{"name":"x"}', "-H", "Content-Type: application/json")
    const request = await next()
    assert.equal(request.action?.text, 'POST /echo?id=7\nContent-Type: application/json\n\n{"name":"x"}')
    const seen = app.received.length
    await approve()
    assert.match((await client.ended).stdout, /\n200$/)
    assert.equal(app.received.length, seen + 1)
    const denied = await startCurl("/echo?id=7", "-d", '{"name":"y"}', "-H", "Content-Type: application/json")
    await deny("not that one")
    const answer = await denied.ended
    assert.match(answer.stdout, /was denied by bob@example\.com: not that one[^]*\n403$/)
    assert.equal(app.received.length, seen + 1)
  })

  test("http: what headers make a request do is in sight, and an approval is not for the same request with others", async () => {
    const page = async (user: string, key: string): Promise<string> => {
      const headers = ["Accept: text/html", `Impersonate-User: ${user}`, `X-Api-Key: ${key}`, `User-Agent: ${key}`]
      const more = headers.flatMap((header) => ["-H", header])
      return (await (await startCurl("/reports?of=all", "-i", ...more)).ended).stdout
    }
    assert.match(await page("guest", "k1"), /^HTTP\/1\.1 202 /)
    const { action } = await next()
    assert.equal(action?.text, "GET /reports?of=all\nImpersonate-User: guest")
    await approve()
    assert.match(await page("root", "k1"), /^HTTP\/1\.1 202 /)
    assert.equal((await next()).action?.text, "GET /reports?of=all\nImpersonate-User: root")
    await deny("not as root")
    assert.match(await page("guest", "k2"), /^HTTP\/1\.1 (200|404) /)
  })

  test("a browser gets a page that asks again by itself, and what it asked for once it is approved; another person does not", async () => {
    const page = async (): Promise<Ran> => (await startCurl("/reports?of=may", "-i", "-H", "Accept: text/html")).ended
    const held = await page()
    assert.match(held.stdout, /^HTTP\/1\.1 202 /)
    assert.match(held.stdout, /\r\nRefresh: 5\r\n[^]*Retry-After: 5|Retry-After: 5\r\n[^]*Refresh: 5/)
    const { id, action } = await next()
    assert.match(held.stdout, new RegExp(`request ${id}</a>`))
    assert.equal(action?.text, "GET /reports?of=may")
    await page()
    assert.equal((await waiting()).length, 1, "asked again is not asked twice")
    await approve()
    const other = await (await startCurl("/reports?of=june", "-i", "-H", "Accept: text/html")).ended
    assert.match(other.stdout, /^HTTP\/1\.1 202 /, "another query is another request")
    await deny("no")
    assert.match((await page()).stdout, /^HTTP\/1\.1 (200|404) /)
    assert.match((await page()).stdout, /^HTTP\/1\.1 202 /, "an approval is for once")
    await deny("enough")
    assert.match((await page()).stdout, /^HTTP\/1\.1 403 [^]*enough/, "and a page does not ask for ever")
  })

  test("rules that are not in force yet are rehearsed on what is on record: whom they would have stopped, and how often", async () => {
    const file = join(sluice.folder, "next.yaml")
    const next = parse(readFileSync(sluice.configFile, "utf8")) as { policy: { actions: object[] } }
    next.policy.actions = [{ targets: "orders", postgres: { kinds: "delete", tables: "items" }, then: "deny" }]
    writeFileSync(file, stringify(next))
    const main = join(import.meta.dirname, "../../src/main.ts")
    const rehearse = await run(process.execPath, [main, "policy", "rehearse", file, "--config", sluice.configFile, "--json"])
    const { found, actions } = JSON.parse(rehearse.stdout) as { found: { verdict: string; who: string; count: number }[]; actions: number }
    assert.deepEqual(
      found.map(({ verdict, who }) => [verdict, who]),
      [["deny", alice.name]],
    )
    assert.ok((found[0]?.count ?? 0) >= 3 && actions > 10, rehearse.stdout)
  })
})
