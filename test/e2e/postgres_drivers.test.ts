// Drivers that send ahead, and programs that ask a server for everything when they start: postgres.js, psycopg 3 in pipeline mode, what
// DBeaver and pgAdmin want to know of a database (asked here in our words), and pg_restore on several connections. The record is
// held against the server's own log.
import assert from "node:assert/strict"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { after, before, suite, test } from "node:test"
import postgresJs from "postgres"
import type { Action } from "../../src/core/action.ts"
import { pgClient } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { logged_statements, loggedBy } from "../support/postgres_log.ts"
import { must, type RunOptions } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { gatewayName, postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const python = "/usr/bin/python3" // Debian's, which has Debian's psycopg
const psycopgMissing = (): string | false => {
  if (existsSync("/usr/lib/python3/dist-packages/psycopg")) return false
  const words = "NOT TESTED, missing: python3-psycopg"
  if (process.env["CI"]) throw new Error(words)
  console.error(words)
  return words
}

suite("PostgreSQL: drivers and programs", { skip: needs("pg_dump", "pg_restore", "psql") || psycopgMissing(), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  const folder = scratch("postgres-drivers")
  let postgres: Postgres
  let sluice: Sluice

  before(async () => {
    postgres = await startPostgres({ server: "debian", tls: true, settings: logged_statements })
    await postgres.admin("CREATE DATABASE copies")
    await postgres.admin(`ALTER DATABASE copies OWNER TO ${postgres.role}`)
    sluice = await spawnSluice({ users: [alice, bob], targets: [postgresTarget("orders", postgres, { databases: ["copies"] })] })
    await sluice.grant(alice, "orders", { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice?.stop()
    await postgres?.stop()
  })

  const environment = async (more: Readonly<Record<string, string>> = {}): Promise<RunOptions> => ({
    env: {
      PGHOST: gatewayName,
      PGHOSTADDR: "127.0.0.1",
      PGPORT: String(sluice.port("postgres")),
      PGUSER: postgres.role,
      PGDATABASE: "orders",
      PGPASSWORD: await sluice.token(alice, "orders"),
      PGSSLMODE: "verify-full",
      PGSSLROOTCERT: sluice.caFile,
      ...more,
    },
  })
  const pg = (more?: object) => pgClient({ sluice, person: alice, target: "orders" }, postgres.role, more)

  test("postgres.js: queries sent ahead of their answers, transactions, a cursor, COPY, and a cancel", async () => {
    const sql = postgresJs({
      host: "127.0.0.1",
      port: sluice.port("postgres"),
      database: "orders",
      user: postgres.role,
      password: await sluice.token(alice, "orders"),
      ssl: { ca: readFileSync(sluice.caFile), servername: gatewayName },
      max: 1,
      fetch_types: false,
    })
    const names = await Promise.all([1, 2, 3, 2, 1].map((id) => sql`SELECT name FROM items WHERE id = ${id}`))
    assert.deepEqual(
      names.map(([one]) => one?.["name"] as string),
      ["apple", "pear", "plum", "pear", "apple"],
    )
    await assert.rejects(sql`SELECT 1 / (id - ${1}::int) FROM items`, { code: "22012" })
    await sql.begin(async (open) => {
      await open`CREATE TEMP TABLE many ON COMMIT DROP AS SELECT generate_series(1, 1000) AS n`
      const parts: number[] = []
      await open`SELECT n FROM many ORDER BY n`.cursor(300, (rows) => void parts.push(rows.length))
      assert.deepEqual(parts, [300, 300, 300, 100])
      const writable = await open`COPY many FROM STDIN`.writable()
      await new Promise((resolve, reject) => writable.once("finish", resolve).once("error", reject).end("1001\n1002\n"))
      assert.equal(await text(await open`COPY (SELECT max(n) FROM many) TO STDOUT`.readable()), "1002\n")
    })
    const slow = sql`SELECT pg_sleep(${60})`
    const failed = assert.rejects(slow, { code: "57014" })
    await eventually("it to run", async () => (await postgres.active()).some(({ query }) => query.startsWith("SELECT pg_sleep")))
    slow.cancel()
    await failed
    assert.deepEqual(
      [...(await sql`SELECT 'still there' AS here`)],
      [{ here: "still there" }],
      "the connection that was cancelled on goes on",
    )
    await sql.end()
  })

  test("node-postgres in pipeline mode: each query has its own answer, an error is of one alone, and a transaction holds together", async () => {
    const client = await pg({ pipeline: true })
    const named = { name: "item", text: "SELECT name FROM items WHERE id = $1" }
    const ahead = [
      ...Array.from({ length: 200 }, (_, nth) => client.query(named, [(nth % 3) + 1])),
      client.query("SELECT 1 / (id - $1::int) AS one FROM items", [1]),
      client.query("SET standard_conforming_strings = off"),
      client.query("SELECT 'caf\u00e9\\'s' AS drink"),
      client.query("RESET standard_conforming_strings"),
      client.query("SELECT 'C:\\' AS disk"),
      client.query("BEGIN"),
      client.query("INSERT INTO items VALUES ($1, $2)", [5001, "never"]),
      client.query("INSERT INTO items VALUES ($1, $2)", [1, "there is one"]),
      client.query("SELECT 'in a failed transaction'"),
      client.query("ROLLBACK"),
      client.query("SELECT count(*)::int AS n FROM items WHERE id = $1", [5001]),
    ]
    const answers = await Promise.allSettled(ahead)
    const said = answers.map((answer) =>
      answer.status === "fulfilled" ? Object.values((answer.value.rows[0] ?? {}) as object)[0] : (answer.reason as { code: string }).code,
    )
    assert.deepEqual(said.slice(0, 4), ["apple", "pear", "plum", "apple"])
    assert.deepEqual(said.slice(200), [
      "22012",
      undefined,
      "caf\u00e9's",
      undefined,
      "C:\\",
      undefined,
      undefined,
      "23505",
      "25P02",
      undefined,
      0,
    ])
    await client.end()
    const [lines] = sluice
      .recorded()
      .map((id) => sluice.recording(id))
      .filter((one) => JSON.stringify(one).includes("'caf\u00e9"))
    const doubtful = lines?.flatMap((line) =>
      line.kind === "action" && line.action.kind === "postgres.statement" && line.action.ambiguous ? [line.action.sql] : [],
    )
    assert.deepEqual(doubtful, ["SELECT 'caf\u00e9\\'s' AS drink"], "what it could be read as hangs on where it stands")
  })

  test("psycopg 3 in pipeline mode: many statements on their way, an error that aborts the rest, and on it goes", async () => {
    const script = join(folder, "pipeline.py")
    writeFileSync(script, psycopg)
    assert.deepEqual((await must(python, [script], await environment())).split("\n"), ["100", "22012", "pear", "3", ""])
    const lines = await eventually("its recording", () =>
      sluice
        .recorded()
        .map((id) => sluice.recording(id))
        .find((one) => one.at(-1)?.kind === "end" && JSON.stringify(one).includes("SELECT 'never'")),
    )
    const never = lines.find((line) => line.kind === "action" && JSON.stringify(line.action).includes("SELECT 'never'"))
    const outcome = lines.find((line) => line.kind === "outcome" && line.action === never?.n)
    assert.equal(outcome?.kind === "outcome" && outcome.tag, "skipped", "the server has read over it")
  })

  test("what pgAdmin asks at its start: several statements in one, settings, and who may do what", async () => {
    const client = await pg()
    for (const statement of pgAdmin) {
      const answers = await client.query(statement)
      assert(Array.isArray(answers) || answers.rows.length > 0, statement)
    }
    await client.end()
  })

  test("what DBeaver asks at its start: in the extended protocol, with values, of every catalog there is", async () => {
    const client = await pg()
    for (const [statement, ...values] of dbeaver) {
      const queryMode = { queryMode: "extended" } as object // in the library, and missing in its types
      const { rows, command } = await client.query({ text: statement, values, ...queryMode })
      assert(rows.length > 0 || command === "SET", statement)
    }
    await client.end()
  })

  test("the record and the server's log agree: every statement in its order, with its values", async () => {
    await eventually("the sessions to be over", async () => (await sluice.sessions(alice, true)).length === 0)
    const ours = sluice
      .recorded()
      .map((id) => sluice.recording(id))
      .toSorted(([left], [right]) => (left?.t ?? 0) - (right?.t ?? 0))
      .flatMap((lines) =>
        lines.map((line) => ({ line, outcome: lines.find((one) => one.kind === "outcome" && "n" in line && one.action === line.n) })),
      )
      .filter(({ outcome }) => outcome?.kind !== "outcome" || outcome.tag !== "skipped") // the server has not looked at it
      .flatMap(({ line }) => (line.kind === "action" ? [line.action as Extract<Action, { kind: "postgres.statement" }>] : []))
    const theirs = loggedBy(postgres.role, postgres)
    assert(theirs.length > 130)
    assert.deepEqual(
      ours.map(({ sql, values = [] }) => [sql, ...values.map(({ value, text: decoded }) => decoded ?? value)]),
      theirs.map(({ sql, values }) => [sql, ...values]),
    )
  })

  test("pg_restore on two connections at once", async () => {
    const source = await environment()
    const schema = ["a", "b", "c"].map(
      (name) => `CREATE TABLE ${name} AS SELECT n, repeat('x', 50) AS t FROM generate_series(1, 2000) AS n;`,
    )
    const copies = await environment({ PGDATABASE: "orders/copies" })
    await must("psql", ["-Xq", "-v", "ON_ERROR_STOP=1"], {
      ...copies,
      input: `CREATE SCHEMA old; SET search_path = old; ${schema.join("\n")}`,
    })
    const dump = join(folder, "old.dump")
    await must("pg_dump", ["-Fc", "-n", "old", "-f", dump], copies)
    await must("psql", ["-Xqc", "DROP SCHEMA old CASCADE"], copies)
    const known = sluice.recorded().length
    await must("pg_restore", ["-j", "2", "--no-owner", "-d", "orders/copies", dump], source)
    const counted = ["-XtAc", "SELECT (SELECT count(*) FROM old.a) + (SELECT count(*) FROM old.b) + (SELECT count(*) FROM old.c)"]
    assert.equal(await must("psql", counted, copies), "6000\n")
    assert(sluice.recorded().length >= known + 4, "one for what there is, two for the data, and psql's")
  })
})

const psycopg = `
import psycopg
with psycopg.connect("", autocommit=True) as db:
    with db.pipeline() as pipeline:
        cursors = [db.execute("SELECT %s::int + 1", (n,)) for n in range(100)]
        pipeline.sync()
        print(sum(cursor.fetchone()[0] - n for n, cursor in enumerate(cursors)))
    try:
        with db.pipeline() as pipeline:
            first = db.execute("SELECT 1 / (id - %s::int) FROM items", (1,))
            db.execute("SELECT 'never'")
            pipeline.sync()
            first.fetchone()
    except psycopg.Error as failure:
        print(failure.sqlstate)
    with db.pipeline():
        named = [db.execute("SELECT name FROM items WHERE id = %s", (n,), prepare=True) for n in (1, 2, 3)]
        print(named[1].fetchone()[0])
    with db.transaction(), db.pipeline():
        cursor = db.cursor()
        cursor.executemany("SELECT name FROM items WHERE id = %s", [(n,) for n in (1, 2, 3)], returning=True)
        found = 1
        while cursor.nextset():
            found += 1
        print(found)
`

const pgAdmin = [
  "SET DateStyle TO ISO; SET client_min_messages TO notice; SELECT pg_catalog.set_config('bytea_output', 'hex', false); SET client_encoding TO 'UTF8';",
  "SELECT version(), pg_catalog.current_setting('server_version_num')::int AS number, pg_catalog.pg_is_in_recovery() AS recovering",
  "SELECT d.oid, d.datname, d.datallowconn, pg_catalog.pg_encoding_to_char(d.encoding) AS encoding, pg_catalog.has_database_privilege(d.oid, 'CREATE') AS creates FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()",
  "SELECT r.oid, r.rolname, r.rolsuper, r.rolcreaterole, ARRAY(SELECT m.roleid::regrole::text FROM pg_catalog.pg_auth_members m WHERE m.member = r.oid) AS groups FROM pg_catalog.pg_roles r WHERE r.rolname = current_user",
  "SELECT s.gss_authenticated, s.encrypted FROM pg_catalog.pg_stat_gssapi s WHERE s.pid = pg_catalog.pg_backend_pid()",
  "SELECT a.pid, a.state, a.query FROM pg_catalog.pg_stat_activity a WHERE a.datname = pg_catalog.current_database()",
  "SELECT n.oid, n.nspname, pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS usable, pg_catalog.obj_description(n.oid, 'pg_namespace') AS said FROM pg_catalog.pg_namespace n WHERE n.nspname !~ '^pg_' ORDER BY 2",
  "SELECT 'transactions' AS chart, pg_catalog.row_to_json(t) AS data FROM (SELECT pg_catalog.sum(xact_commit) AS commits FROM pg_catalog.pg_stat_database) t UNION ALL SELECT 'sessions', pg_catalog.row_to_json(s) FROM (SELECT pg_catalog.count(*) AS total FROM pg_catalog.pg_stat_activity) s",
  "SHOW search_path",
  "/* what the tree shows */ SELECT c.oid, c.relname, c.relkind, pg_catalog.pg_get_userbyid(c.relowner) AS owner FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public'",
]

const dbeaver: readonly (readonly [string, ...unknown[]])[] = [
  ["SET extra_float_digits = 3"],
  ["SET application_name = 'DBeaver - Main'"],
  ["SELECT current_schema(), session_user"],
  ["SHOW search_path"],
  ["SELECT d.oid, d.* FROM pg_catalog.pg_database d WHERE d.datname = $1", "orders"],
  ["SELECT s.name, s.setting FROM pg_catalog.pg_settings s WHERE s.name = $1", "standard_conforming_strings"],
  ["SELECT pg_catalog.string_agg(k.word, ',') FROM pg_catalog.pg_get_keywords() k WHERE k.word <> ALL ($1::text[])", "{select,from}"],
  [
    "SELECT n.oid, n.*, d.description FROM pg_catalog.pg_namespace n LEFT JOIN pg_catalog.pg_description d ON d.objoid = n.oid ORDER BY n.nspname",
  ],
  [
    "SELECT t.oid, t.*, c.relkind, pg_catalog.format_type(t.oid, NULL) AS called FROM pg_catalog.pg_type t LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid WHERE t.typnamespace = $1::regnamespace",
    "pg_catalog",
  ],
  [
    "SELECT c.oid, c.*, pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS bound FROM pg_catalog.pg_class c WHERE c.relnamespace = $1::regnamespace AND c.relkind NOT IN ('i', 'I', 'c')",
    "public",
  ],
  [
    "SELECT a.attname, a.atttypid, pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) AS value FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = $1::regclass AND a.attnum > 0",
    "items",
  ],
  [
    "SELECT i.*, c.relname, pg_catalog.pg_get_indexdef(i.indexrelid) AS definition FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = $1::regclass",
    "items",
  ],
]
