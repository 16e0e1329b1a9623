// PostgreSQL through the gateway with the clients people have: psql, pgbench and the pg library, against a real server over TLS.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Duplex } from "node:stream"
import { after, before, suite, test } from "node:test"
import { Query } from "pg"
import type { Action } from "../../src/core/action.ts"
import type { Outcome } from "../../src/record/events.ts"
import { pgClient, psql } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, must, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { gatewayName, postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("PostgreSQL", { skip: needs("psql", "pgbench", "openssl"), concurrency: 1 }, () => {
  const { alice, bob, dana }: People = people()
  let postgres: Postgres
  let sluice: Sluice
  const folder = scratch("postgres-clients")

  before(async () => {
    postgres = await startPostgres({ tls: true })
    sluice = await spawnSluice({ users: [alice, bob, dana], targets: [postgresTarget("orders", postgres)] })
    await sluice.grant(alice, "orders", { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await postgres.stop()
  })

  const login = () => ({ sluice, person: alice, target: "orders" })
  const sql = async (...more: string[]) => run(...(await psql(login(), postgres.role, more)))

  interface Recorded {
    readonly action: Extract<Action, { kind: "postgres.statement" }>
    readonly outcome: Outcome | undefined
  }

  /** The statements of the session that ran `text`, once it is over. */
  const recorded = async (text: string): Promise<Recorded[]> =>
    eventually(`a closed recording of ${text}`, () => {
      for (const id of sluice.recorded()) {
        const lines = sluice.recording(id)
        if (lines.at(-1)?.kind !== "end" || !JSON.stringify(lines).includes(text)) continue
        return lines
          .filter((line) => line.kind === "action")
          .map(({ n, action }) => ({
            action: action as Recorded["action"],
            outcome: lines.find((line) => line.kind === "outcome" && line.action === n) as Outcome | undefined,
          }))
      }
      return undefined
    })

  test("psql works as it does directly: rows, errors, several statements in one, and each is on record with its outcome", async () => {
    const ran = await sql("-tA", "-c", "SELECT name FROM items ORDER BY id", "-c", "SELECT 1; SELECT 2", "-c", "SELECT 1/0 AS boom")
    assert.equal(ran.stdout, "apple\npear\nplum\n1\n2\n")
    assert.match(ran.stderr, /ERROR: {2}division by zero/)
    const lines = await recorded("AS boom")
    assert.deepEqual(
      lines.map(({ action, outcome }) => [action.sql, outcome?.status, outcome?.rows, outcome?.sqlstate]),
      [
        ["SELECT name FROM items ORDER BY id", "ok", 3, undefined],
        ["SELECT 1; SELECT 2", "ok", 2, undefined],
        ["SELECT 1/0 AS boom", "error", undefined, "22012"],
      ],
    )
  })

  test("pgbench in each of its modes, many clients at once", async () => {
    const script = join(folder, "mix.sql")
    writeFileSync(
      script,
      "\\set id random(1, 3)\nBEGIN;\nSELECT name FROM items WHERE id = :id;\nUPDATE items SET name = name WHERE id = :id;\nEND;\n",
    )
    const [, , environment] = await psql(login(), postgres.role)
    const env = { ...environment.env, PGSSLMODE: "verify-full", PGSSLROOTCERT: sluice.caFile, PGHOSTADDR: "127.0.0.1" }
    const where = ["-h", gatewayName, "-p", String(sluice.port("postgres")), "-U", postgres.role]
    for (const mode of ["simple", "extended", "prepared"]) {
      const said = await must("pgbench", [...where, "-n", "-f", script, "-c", "8", "-t", "50", "-M", mode, "orders"], { env })
      assert.match(said, /processed: 400\/400/, mode)
      assert.match(said, /failed transactions: 0 /, mode)
    }
    const lines = await recorded("WHERE id = $1")
    const selected = lines.find(({ action }) => action.sql.startsWith("SELECT name"))
    assert.match(String(selected?.action.values?.[0]?.value), /^[123]$/)
    assert.equal(selected?.outcome?.rows, 1)
  })

  test("COPY both ways, byte for byte, with the bytes on record", async () => {
    const file = join(folder, "rows.tsv")
    const rows = Array.from({ length: 50_000 }, (_, row) => `${row}\t${"x".repeat(row % 97)}\n`).join("")
    writeFileSync(file, rows)
    const back = join(folder, "back.tsv")
    const ran = await sql(
      "-c",
      "CREATE TEMP TABLE t (a int, b text)",
      "-c",
      `\\copy t FROM '${file}'`,
      "-c",
      `\\copy (SELECT * FROM t ORDER BY a) TO '${back}'`,
    )
    assert.equal(ran.status, 0, ran.stderr)
    assert.equal(readFileSync(back, "utf8"), rows)
    const [, copyIn, copyOut] = await recorded("CREATE TEMP TABLE t (a int, b text)")
    assert.deepEqual([copyIn?.outcome?.rows, copyIn?.outcome?.bytes_up], [50_000, rows.length])
    assert.ok((copyOut?.outcome?.bytes_down ?? 0) > rows.length)
  })

  test("Ctrl-C in psql cancels the query on the server, and the server's own words come back over the same connection", async () => {
    const program = launch(...(await psql(login(), postgres.role, ["-c", "SELECT pg_sleep(611)"])))
    await eventually("the query to run", async () => (await postgres.active()).some(({ query }) => query.includes("611")))
    program.signal("SIGINT")
    const { stderr, status } = await program.ended
    assert.equal(stderr, "Cancel request sent\nERROR:  canceling statement due to user request\n")
    assert.equal(status, 1)
    const [slept] = await recorded("pg_sleep(611)")
    assert.deepEqual([slept?.outcome?.status, slept?.outcome?.sqlstate], ["cancelled", "57014"])
  })

  test("a query does not outlive a client that vanishes", async () => {
    const program = launch(...(await psql(login(), postgres.role, ["-c", "SELECT pg_sleep(612)"])))
    const runs = async () => (await postgres.active()).some(({ query }) => query.includes("612"))
    await eventually("the query to run", runs)
    program.signal("SIGKILL")
    await eventually("the query to be gone", async () => !(await runs()))
    assert.equal((await recorded("pg_sleep(612)"))[0]?.outcome?.status, "lost")
  })

  test("a cut in the middle of a query is read in psql, with the way to ask again, and the query is gone", async () => {
    const grant = await sluice.grant(alice, "orders", { by: bob, for: "2h" })
    const program = launch(...(await psql(login(), postgres.role, ["-c", "SELECT pg_sleep(613)"])))
    const runs = async () => (await postgres.active()).some(({ query }) => query.includes("613"))
    await eventually("the query to run", runs)
    await sluice.revoke(grant, dana)
    const { stderr, status } = await program.ended
    assert.match(stderr, /FATAL: {2}sluice: your access to orders ended at .*revoked.* Ask again: ssh gateway request orders/)
    assert.equal(status, 2)
    await eventually("the query to be gone", async () => !(await runs()))
    assert.equal((await recorded("pg_sleep(613)"))[0]?.outcome?.status, "cut")
  })

  test("the pg library: prepared statements with values of every kind, reused by name, LISTEN and large objects", async () => {
    const client = await pgClient(login(), postgres.role)
    const query = { name: "mine", text: "SELECT $1::int AS a, $2::bytea AS b, $3::text AS c -- kinds" }
    for (const nth of [1, 2]) {
      const { rows } = await client.query(query, [nth, Buffer.of(0, 255), null])
      assert.deepEqual(rows, [{ a: nth, b: Buffer.of(0, 255), c: null }])
    }
    const heard = new Promise((resolve) => client.once("notification", ({ payload }) => resolve(payload)))
    await client.query("LISTEN news")
    await client.query("NOTIFY news, 'hello'")
    assert.equal(await heard, "hello")
    const { rows } = await client.query("SELECT lo_from_bytea(0, $1) AS oid", [Buffer.alloc(100_000, 5)])
    const large = await client.query("SELECT lo_get($1) AS bytes", [rows[0].oid])
    assert.deepEqual(large.rows[0].bytes, Buffer.alloc(100_000, 5))
    await client.end()
    const lines = await recorded("-- kinds")
    assert.deepEqual(
      lines.slice(0, 2).map(({ action }) => [action.statement, action.values?.map(({ format, value }) => [format, value])]),
      ["1", "2"].map((nth) => [
        "mine",
        [
          ["text", nth],
          ["binary", "00ff"],
          ["null", null],
        ],
      ]),
    )
  })

  test("a million rows to a client that does not read stay on the server, not in the gateway's memory", async () => {
    const client = await pgClient(login(), postgres.role)
    const { stream } = (client as unknown as { connection: { stream: Duplex } }).connection
    const memory = () => Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${sluice.program?.pid}/status`, "utf8"))?.[1]) / 1024
    const before_mib = memory()
    let rows = 0
    const result = new Promise<void>((resolve, reject) => {
      const query = client.query(new Query("SELECT g, repeat('x', 100) FROM generate_series(1, 1000000) g"))
      query.on("row", () => rows++)
      query.on("end", () => resolve())
      query.on("error", reject)
    })
    stream.pause()
    await eventually("the server to wait for its client", async () => {
      const [row] = await postgres.admin("SELECT count(*) AS waiting FROM pg_stat_activity WHERE wait_event = 'ClientWrite'")
      return row?.["waiting"] === "1"
    })
    assert.ok(memory() - before_mib < 100, `the gateway grew from ${before_mib} to ${memory()} MiB`)
    assert.equal((await sql("-tA", "-c", "SELECT 'not stalled'")).stdout, "not stalled\n")
    stream.resume()
    await result
    assert.equal(rows, 1_000_000)
    assert.ok(memory() - before_mib < 150, `the gateway grew from ${before_mib} to ${memory()} MiB`)
    await client.end()
  })

  test("a statement of many megabytes runs, and is on record cut with its true size", async () => {
    const file = join(folder, "large.sql")
    writeFileSync(file, `SELECT length('${"y".repeat(20_000_000)}') AS long;\n`)
    const ran = await sql("-tA", "-f", file)
    assert.equal(ran.stdout, "20000000\n")
    const [large] = await recorded("SELECT length('yyy")
    assert.equal(large?.action.sql_bytes, 20_000_000 + "SELECT length('') AS long;".length)
  })
})
