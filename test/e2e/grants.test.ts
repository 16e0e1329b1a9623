// Grants for less than everything, and for longer, with the programs people have: ssh, psql, pgbench, the pg library and curl against
// a real sshd, PostgreSQL and application.
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, after, before, suite, test } from "node:test"
import { curl, pgClient, psql, webSocket } from "../support/clients.ts"
import { type HttpApp, startHttpApp } from "../support/http_app.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, run, type Ran } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type GrantOptions, type Sluice, startSluice } from "../support/sluice.ts"
import { gatewayName, httpTarget, postgresTarget, sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const denied = /your grant does not cover this action/

suite("grants for less, and for longer", { skip: needs("ssh", "sshd", "psql", "pgbench", "curl", "openssl"), concurrency: 1 }, () => {
  const { alice, bob, dana }: People = people()
  let sshd: Sshd
  let postgres: Postgres
  let app: HttpApp
  let sluice: Sluice

  before(async () => {
    ;[sshd, postgres, app] = await Promise.all([startSshd(), startPostgres({ tls: true }), startHttpApp()])
    const targets = [sshTarget("prod-host", sshd), postgresTarget("orders", postgres), httpTarget("grafana", app)]
    sluice = await startSluice({ users: [alice, bob, dana], targets })
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([sshd.stop(), postgres.stop(), app.stop()])
  })
  afterEach(async () => {
    const { grants } = await sluice.api(alice).call("grants", { query: {} })
    for (const grant of grants) await sluice.api(alice).call("drop", { id: grant.id, body: {} })
  })

  const give = (target: string, options: Partial<GrantOptions>) => sluice.grant(alice, target, { by: bob, for: "1h", ...options })
  const ssh = (...words: string[]): Promise<Ran> =>
    run("ssh", [...sluice.ssh(alice), "-J", "gateway", ...words.slice(0, -1), `${sshd.login}@prod-host`, words.at(-1)!])
  const sql = async (...more: string[]): Promise<Ran> =>
    run(...(await psql({ sluice, person: alice, target: "orders" }, postgres.role, more)))
  const get = async (path: string, ...more: string[]): Promise<Ran> =>
    run(...(await curl({ sluice, person: alice, target: "grafana" }, path, ["-w", "\n%{http_code}", ...more])))

  test("ssh: the commands it names run with their own status; another, and a shell, are refused with words and status 1", async () => {
    await give("prod-host", { actions: ["echo yes; exit 7", "echo *"] })
    const ran = await ssh("echo yes; exit 7")
    assert.deepEqual([ran.stdout, ran.status], ["yes\n", 7])
    assert.equal((await ssh("echo hello")).stdout, "hello\n")
    for (const command of ["echo hello; id", "echo $(id)", "id"]) {
      const refused = await ssh(command)
      assert.deepEqual([refused.stdout, refused.status], ["", 1], command)
      assert.match(refused.stderr, denied)
    }
    const shell = await run("ssh", [...sluice.ssh(alice), "-J", "gateway", "-tt", `${sshd.login}@prod-host`])
    assert.equal(shell.status, 1)
    assert.match(shell.stdout + shell.stderr, /a shell cannot be held to them/)
  })

  test("psql: the statements it names run; another is an error of its own, in its turn, and the connection goes on", async () => {
    await give("orders", { actions: ["SELECT 1 AS one", "pattern:SELECT * + 40"] })
    const ran = await sql("-At", "-v", "ON_ERROR_STOP=0", "-c", "SELECT 1 AS one;", "-c", "SELECT now()", "-c", "SELECT 2 + 40")
    assert.equal(ran.stdout, "1\n42\n")
    assert.match(ran.stderr, /ERROR: {2}sluice: your grant does not cover this action/)
    const both = await sql("-At", "-c", "SELECT 1 AS one; SELECT now()")
    assert.deepEqual([both.stdout, both.status], ["", 1], "a text with more in it is another text")
    assert.match(both.stderr, denied)
  })

  test("the pg library: prepared or not, in a transaction or not, a refusal is SQLSTATE 42501 and what comes after it is right", async () => {
    await give("orders", { actions: ["BEGIN", "ROLLBACK", "SELECT $1::int AS n", "SELECT count(*)::int AS n FROM pg_class WHERE false"] })
    const client = await pgClient({ sluice, person: alice, target: "orders" }, postgres.role)
    const n = async (text: string, values: unknown[] = [], name?: string): Promise<unknown> =>
      (await client.query<{ n: number }>({ text, values, ...(name === undefined ? {} : { name }) })).rows[0]?.n
    const refused = (text: string, values?: unknown[], name?: string) => assert.rejects(n(text, values, name), { code: "42501" })
    assert.equal(await n("SELECT $1::int AS n", [1]), 1)
    await refused("SELECT $1::text AS n", ["x"])
    assert.equal(await n("SELECT $1::int AS n", [2], "named"), 2)
    await refused("DELETE FROM pg_class", [], "evil")
    await refused("DELETE FROM pg_class")
    assert.equal(await n("SELECT $1::int AS n", [3], "named"), 3)
    // Sent without waiting for each other, each answered in its place.
    const many = await Promise.allSettled(
      Array.from({ length: 30 }, (_, at) =>
        at % 3 === 1 ? n(`SELECT ${at} AS n`) : n("SELECT $1::int AS n", [at], at % 2 ? "named" : undefined),
      ),
    )
    assert.deepEqual(
      many.map((one) => (one.status === "fulfilled" ? one.value : (one.reason as { code: string }).code)),
      Array.from({ length: 30 }, (_, at) => (at % 3 === 1 ? "42501" : at)),
    )
    await client.query("BEGIN")
    await refused("SELECT $1::text AS n", ["x"])
    await assert.rejects(n("SELECT $1::int AS n", [4]), { code: "25P02" }, "the server's transaction failed, as it does over any error")
    await client.query("ROLLBACK")
    assert.equal(await n("SELECT $1::int AS n", [5]), 5)
    await client.end()
  })

  test("whatever a client puts in the place of SQL's *, the server runs one value there, or it is refused", async () => {
    await give("orders", { actions: ["pattern:SELECT * AS a, 'b' AS b"] })
    const client = await pgClient({ sluice, person: alice, target: "orders" }, postgres.role)
    const pieces = [
      "1",
      "'",
      "''",
      "'x'",
      "\\",
      "--",
      "/*",
      "*/",
      ";",
      "$1",
      "$$",
      "a",
      " ",
      "-",
      ".",
      '"',
      "(",
      ")",
      "E",
      "U&",
      "\n",
      "*",
      "::int",
      ",",
      "SELECT",
      "é",
    ]
    let seed = 20_261
    const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
    const values = [
      "7",
      "-7.5",
      "'it'",
      ...pieces,
      ...Array.from({ length: 1_500 }, () => Array.from({ length: 1 + next(5) }, () => pieces[next(pieces.length)]).join("")),
    ]
    let ran = 0
    for (const value of values) {
      // More than one answer comes as a list of them.
      const answer = await client
        .query<{ a: unknown; b: string }>(`SELECT ${value} AS a, 'b' AS b`)
        .catch((failure: Error & { code?: string }) => failure)
      if (answer instanceof Error) {
        // Refused here, or one value that the server does not take in this place: a parameter without a value, a star without a table.
        assert.ok(["42501", "42P02"].includes(answer.code ?? "") || value === "*", `${value}: ${answer.code} ${answer.message}`)
        continue
      }
      ran++
      assert.ok(!Array.isArray(answer), value)
      assert.deepEqual([answer.fields.map(({ name }) => name), answer.rows.map(({ b }) => b)], [["a", "b"], ["b"]], value)
      assert.ok(/^(?:'[^']*'|-?[\d.]+)$/.test(value), value)
    }
    assert.ok(ran >= 20, `${ran} of ${values.length} ran`)
    await client.end()
  })

  test("COPY: named, its data goes in and out; another is refused before a byte of data", async () => {
    await postgres.admin(`CREATE TABLE notes (n int); GRANT ALL ON notes TO ${postgres.role}`)
    await give("orders", { actions: ["COPY notes FROM STDIN", "COPY notes TO STDOUT"] })
    const [program, args, options] = await psql({ sluice, person: alice, target: "orders" }, postgres.role)
    const copied = await run(program, [...args, "-c", "COPY notes FROM STDIN", "-c", "COPY notes TO STDOUT"], {
      ...options,
      input: "1\n2\n",
    })
    assert.deepEqual([copied.stdout, copied.status], ["COPY 2\n1\n2\n", 0], copied.stderr)
    const refused = await run(program, [...args, "-c", "COPY notes (n) FROM STDIN"], { ...options, input: "3\n" })
    assert.match(refused.stderr, denied)
    assert.deepEqual(await postgres.admin("SELECT count(*)::int AS n FROM notes"), [{ n: 2 }])
  })

  test("pgbench: every protocol it has runs what is named, and a refusal in a pipeline stops it there", async () => {
    await give("orders", { actions: ["SELECT 1;", "pattern:SELECT *", "pattern:SELECT * + 0"] })
    const folder = scratch("grants-pgbench")
    const bench = async (script: string, mode: string): Promise<Ran> => {
      const file = join(folder, `${mode}.sql`)
      writeFileSync(file, script)
      const where = `host=${gatewayName} hostaddr=127.0.0.1 port=${sluice.port("postgres")} dbname=orders user=${postgres.role}`
      const args = ["-n", "-c", "2", "-t", "20", "-M", mode, "-f", file, `${where} sslmode=verify-full sslrootcert=${sluice.caFile}`]
      return run("pgbench", args, { env: { PGPASSWORD: await sluice.token(alice, "orders") } })
    }
    for (const mode of ["simple", "extended", "prepared"]) {
      const ran = await bench("\\set n random(1, 9)\nSELECT 1;\nSELECT :n + 0;\n", mode)
      assert.equal(ran.status, 0, ran.stderr)
      assert.match(ran.stdout, /number of transactions actually processed: 40\/40/)
    }
    for (const mode of ["extended", "prepared"]) {
      const good = await bench("\\startpipeline\nSELECT 1;\nSELECT 2;\nSELECT 3;\n\\endpipeline\n", mode)
      assert.match(good.stdout, /processed: 40\/40/, good.stderr)
      const bad = await bench("\\startpipeline\nSELECT 1;\nSELECT now();\nSELECT 3;\n\\endpipeline\n", mode)
      assert.match(bad.stderr, denied)
      assert.match(bad.stdout, /processed: 0\/40/)
    }
  })

  test("curl: the methods and paths it names, and a WebSocket only where it names one; anything else is 403", async () => {
    await give("grafana", { actions: ["GET,HEAD /hello*"] })
    assert.match((await get("/hello?x=1")).stdout, /\n200$/)
    for (const more of [[], ["-X", "DELETE"]]) {
      const refused = await get(more.length === 0 ? "/other" : "/hello", ...more)
      assert.match(refused.stdout, denied)
      assert.match(refused.stdout, /\n403$/)
    }
    await assert.rejects(webSocket({ sluice, person: alice, target: "grafana" }, "/hello"), /403/)
  })

  test("uses: so many and no more, the last one whole with its own status, and then it is over", async () => {
    await give("prod-host", { uses: 2 })
    assert.equal((await ssh("echo one")).stdout, "one\n")
    const last = await ssh("head -c 3000000 /dev/zero; exit 9")
    assert.deepEqual([last.stdout.length, last.status], [3_000_000, 9])
    const after = await ssh("echo three")
    assert.equal(after.stdout, "")
    assert.notEqual(after.status, 0)

    await give("orders", { uses: 2 })
    const ran = await sql("-At", "-c", "SELECT 1", "-c", "SELECT count(*) FROM generate_series(1, 300000)", "-c", "SELECT 3")
    assert.match(ran.stdout, /^1\n300000\n/)
    assert.match(ran.stderr, /all its uses are spent/)
    assert.match((await sql("-c", "SELECT 4")).stderr, /you have no access/)

    await give("grafana", { uses: 2 })
    assert.deepEqual([(await get("/hello")).stdout.slice(-3), (await get("/hello")).stdout.slice(-3)], ["200", "200"])
    assert.equal((await get("/hello")).stdout.slice(-3), "403")
    const [session] = (await sluice.sessions(alice)).filter(({ target }) => target === "grafana")
    assert.equal(session?.ended_why, "spent")
  })

  test("first use: the grant begins with the first connection, and everything in its window uses the same one", async () => {
    const grant = await give("prod-host", { for: "10m", first_use_within_ms: 3_600_000 })
    const before_ms = Date.now()
    const runs = await Promise.all(Array.from({ length: 4 }, () => ssh("echo hi")))
    assert.deepEqual(
      runs.map(({ stdout }) => stdout),
      Array.from({ length: 4 }, () => "hi\n"),
    )
    const { grants } = await sluice.api(alice).call("grants", { query: {} })
    const [begun] = grants.filter(({ id }) => id === grant.id)
    assert(begun && begun.ends_at < grant.ends_at && begun.ends_at >= before_ms + 600_000)
    assert.equal(begun.first_use_ms, null)
    const sessions = (await sluice.sessions(alice)).filter(({ started_at }) => started_at >= before_ms)
    assert.deepEqual([...new Set(sessions.map((session) => session.grant))], [grant.id])
  })

  test("first use: a client that the target turns away has begun nothing, asks for nothing, and is in no session", async () => {
    const grant = await give("orders", { for: "10m", first_use_within_ms: 3_600_000 })
    const before_ms = Date.now()
    const filed = async () => (await sluice.api(alice).call("requests", { query: {} })).requests.length
    const requests = await filed()
    const refused = async (database: string, options: string): Promise<string> => {
      const [program, [where = "", ...more], { env }] = await psql({ sluice, person: alice, target: "orders" }, postgres.role)
      const elsewhere = where.replace("dbname=orders", `dbname=${database}`)
      return (await run(program, [elsewhere, ...more, "-c", "SELECT 1"], { env: { ...env, PGOPTIONS: options } })).stderr
    }
    assert.match(await refused("orders/postgres", "-c sluice.reason=INC-7"), /FATAL: {2}sluice: another database on this target than /)
    assert.match(await refused("orders", "-c work_mem=1234kB"), /FATAL: {2}sluice: the startup parameter "options" on this target is not/)
    const stands = async () => (await sluice.api(alice).call("grants", { query: {} })).grants.find(({ id }) => id === grant.id)
    const still = await stands()
    assert.deepEqual([still?.first_use_ms, still?.ends_at, still?.revision], [grant.first_use_ms, grant.ends_at, grant.revision])
    assert.equal(await filed(), requests)
    assert(!(await sluice.sessions(alice)).some(({ started_at }) => started_at >= before_ms))
    assert.match(sluice.log(), /a grant opens the target, not what the client wants of it/)
    assert.equal((await sql("-Atc", "SELECT 'in'")).stdout, "in\n")
    assert.equal((await stands())?.first_use_ms, null)
  })

  test("extend: asked for and approved over ssh, what runs goes on past the old end", async () => {
    const grant = await give("orders", { for: "8s" })
    const waiting = "SELECT 'still here' FROM pg_sleep(9)"
    const program = launch(...(await psql({ sluice, person: alice, target: "orders" }, postgres.role, ["-At", "-c", waiting])))
    await eventually("the query to run", async () => (await postgres.active()).some(({ query }) => query.includes("still here")))
    const asked = await run("ssh", [...sluice.ssh(alice), "gateway", `extend ${grant.id} --for 30m --reason "not done yet"`])
    assert.equal(asked.status, 0, asked.stderr)
    const [, request = ""] = /^Request (\d+) to extend orders/.exec(asked.stdout) ?? []
    const approved = await run("ssh", [...sluice.ssh(bob), "gateway", "approve", request])
    assert.match(approved.stdout, /30m more/)
    const { stdout, status } = await program.ended
    assert.deepEqual([stdout, status], ["still here\n", 0])
    const session = (await sluice.sessions(alice)).find((one) => one.grant === grant.id)
    assert(session)
    const lines = await eventually("the recording to be closed", () => {
      const all = sluice.recording(session.id)
      return all.at(-1)?.kind === "end" ? all : undefined
    })
    assert(lines.some((each) => each.kind === "extended" && each.ends_at === grant.ends_at + 30 * 60_000))
  })
})
