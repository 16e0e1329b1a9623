// The clients people have besides psql and pg, against Debian's PostgreSQL: libpq's Python driver, JDBC, pg_dump and pg_restore,
// pg_basebackup and logical replication. And the proof that the record is whole: the server's own log says the same, statement
// for statement.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import type { Action } from "../../src/core/action.ts"
import { jdbc, jdbc_answers, jdbcSays } from "../support/jdbc.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { logged_statements, loggedBy } from "../support/postgres_log.ts"
import { launch, must, run, type RunOptions } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { gatewayName, postgresTarget } from "../support/sluice_config.ts"
import { selfSigned } from "../support/certificate.ts"
import { needs, needsFile } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const python = "/usr/bin/python3" // Debian's, which has Debian's psycopg2
const missing =
  needs("psql", "pg_dump", "pg_restore", "pg_basebackup", "pg_recvlogical", "java") ||
  needsFile("/usr/lib/postgresql", "postgresql") ||
  needsFile("/usr/lib/python3/dist-packages/psycopg2", "python3-psycopg2") ||
  needsFile(jdbc, "libpostgresql-jdbc-java")

suite("PostgreSQL: other clients", { skip: missing, concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  const folder = scratch("postgres-clients")
  let postgres: Postgres
  let client: { cert: string; key: string }
  let sluice: Sluice

  const access = ["hostssl all certified 127.0.0.1/32 cert", "hostssl all plain 127.0.0.1/32 password", "hostssl all aged 127.0.0.1/32 md5"]

  before(async () => {
    const settings = { ...logged_statements, wal_level: "logical" }
    client = await selfSigned(["certified"])
    postgres = await startPostgres({ server: "debian", tls: true, clientCa: client.cert, settings, access })
    await postgres.admin(`CREATE ROLE certified LOGIN; CREATE ROLE plain LOGIN PASSWORD '${postgres.password}'`)
    await postgres.admin(`SET password_encryption = md5; CREATE ROLE aged LOGIN PASSWORD '${postgres.password}'`)
    await postgres.admin("CREATE DATABASE copies")
    await postgres.admin(`GRANT CREATE ON DATABASE copies TO ${postgres.role}`)
    await postgres.admin(`ALTER ROLE ${postgres.role} REPLICATION`)
    await postgres.admin("CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS 'SELECT n * 2'")
    const password = `file:${postgres.passwordFile}`
    for (const part of ["cert", "key"] as const) writeFileSync(join(folder, part), client[part], { mode: 0o600 })
    const certificate = { cert: `file:${join(folder, "cert")}`, key: `file:${join(folder, "key")}` }
    const roles = { plain: { password, login: "password" }, aged: { password, login: "md5" }, certified: certificate }
    const targets = [
      postgresTarget("kinds", postgres, { roles }),
      postgresTarget("strict", postgres, { roles: { plain: { password }, aged: { password }, certified: {} } }),
      postgresTarget("orders", postgres, { databases: ["copies"] }),
      postgresTarget("open", postgres, { databases: ["copies"], startup: ["options", "replication"] }),
    ]
    sluice = await spawnSluice({ users: [alice, bob], targets })
    for (const target of ["orders", "open", "kinds", "strict"]) await sluice.grant(alice, target, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice?.stop()
    await postgres?.stop()
  })

  const environment = async (target: string, more: Readonly<Record<string, string>> = {}): Promise<RunOptions> => ({
    env: {
      PGHOST: gatewayName,
      PGHOSTADDR: "127.0.0.1",
      PGPORT: String(sluice.port("postgres")),
      PGUSER: postgres.role,
      PGDATABASE: target,
      PGPASSWORD: await sluice.token(alice, target),
      PGSSLMODE: "verify-full",
      PGSSLROOTCERT: sluice.caFile,
      ...more,
    },
  })

  /** Of all sessions so far that are over, in the order they began. */
  const recorded = () =>
    sluice
      .recorded()
      .map((id) => sluice.recording(id))
      .toSorted(([left], [right]) => (left?.t ?? 0) - (right?.t ?? 0))

  /** Those of the role that most of the tests use. */
  const statements = () =>
    recorded().flatMap((lines) =>
      lines.flatMap((line) =>
        lines[0]?.kind === "session" && lines[0].as === postgres.role && line.kind === "action"
          ? [line.action as Extract<Action, { kind: "postgres.statement" }>]
          : [],
      ),
    )

  test("a role logs in by what its server asks for, if the target says so; a weaker way is refused, and the operator reads which", async () => {
    for (const role of ["plain", "aged", "certified"]) {
      const who = ["-XtAc", "SELECT current_user"]
      assert.equal(await must("psql", who, await environment("kinds", { PGUSER: role })), `${role}\n`)
      const refused = await run("psql", who, await environment("strict", { PGUSER: role }))
      assert.match(refused.stderr, /FATAL: {2}sluice: the target did not accept the gateway's credentials/)
    }
    for (const asked of ["authentication 3; this role logs in by scram-sha-256", "authentication 5; this role", "28000: "])
      await eventually(`the log to say "${asked}"`, () => sluice.log().includes(asked))
  })

  test("another database of the server is reached when the target names it, and no other", async () => {
    const asked = ["-XtAc", "SELECT current_database()"]
    assert.equal(await must("psql", asked, await environment("orders", { PGDATABASE: "orders/copies" })), "copies\n")
    const refused = await run("psql", asked, await environment("orders", { PGDATABASE: "orders/postgres" }))
    assert.match(refused.stderr, /FATAL: {2}sluice: another database on this target than "\w+", "copies" is not supported/)
    assert(recorded().some((lines) => lines.some((line) => line.kind === "startup" && line.database === "copies")))
  })

  test("options reach a target that takes them, on record; another refuses them by name", async () => {
    const set = { PGOPTIONS: "-c work_mem=1234kB" }
    assert.equal(await must("psql", ["-XtAc", "SHOW work_mem"], await environment("open", set)), "1234kB\n")
    assert(recorded().some((lines) => lines.some((line) => line.kind === "startup" && line.settings["options"] === set.PGOPTIONS)))
    const refused = await run("psql", ["-XtAc", "SHOW work_mem"], await environment("orders", set))
    assert.match(refused.stderr, /the startup parameter "options" on this target is not/)
  })

  test("pg_dump into pg_restore: what comes out is what went in", async () => {
    const dump = join(folder, "items.dump")
    await must("pg_dump", ["-Fc", "-t", "items", "-f", dump], await environment("orders"))
    const copies = await environment("orders", { PGDATABASE: "orders/copies" })
    await postgres.admin(`GRANT ALL ON DATABASE copies TO ${postgres.role}`)
    await must("psql", ["-Xqc", "CREATE SCHEMA mine", "-c", "SELECT 1"], copies)
    const sql = await must("pg_restore", ["--no-owner", "--no-acl", "-f", "-", dump])
    await must("psql", ["-Xq", "-v", "ON_ERROR_STOP=1"], { ...copies, input: sql.replaceAll("public.items", "mine.items") })
    const rows = ["-XtAc", "SELECT id, name FROM mine.items ORDER BY id"]
    assert.equal(await must("psql", rows, copies), "1|apple\n2|pear\n3|plum\n")
  })

  test("psycopg2: values, a cursor on the server, COPY, a large object, an error inside a transaction", async () => {
    const script = join(folder, "driver.py")
    writeFileSync(script, psycopg)
    assert.deepEqual((await must(python, [script], await environment("orders"))).split("\n"), [
      "pear",
      "5000",
      "3",
      "large",
      "22012",
      "done",
      "",
    ])
    assert(statements().some(({ sql }) => sql === "SELECT name FROM items WHERE id = 2"))
  })

  test("JDBC: prepared, in batches, fetched in parts, with values of many types on record as text", async () => {
    const url = `jdbc:postgresql://localhost:${sluice.port("postgres")}/orders?sslmode=verify-ca&sslrootcert=${sluice.caFile}`
    const { env } = await environment("orders")
    assert.deepEqual(await jdbcSays(url, postgres.role, env?.["PGPASSWORD"] ?? ""), jdbc_answers)
    const fetched = statements().filter(({ sql }) => sql === "SELECT generate_series(1, $1) AS n")
    assert.equal(fetched.length, 11, "each part that was fetched is an action of its own")
    const typed = statements().find(({ sql }) => sql.startsWith("SELECT $1::int8"))
    assert.deepEqual(
      typed?.values?.map(({ format, value, text }) => (format === "binary" ? text : value)),
      ["7", "-9223372036854775808", "1.5", "TRUE", "it's \u2603"],
    )
  })

  test("the server's log and the record agree: every statement in its order, with its values", async () => {
    await eventually("the last recording to be over", () => recorded().every((lines) => lines.at(-1)?.kind === "end"))
    // The server says nothing of a statement that it could not parse: it never ran. It has no text for a call by number.
    const unparsed = "SELECT 'x'::int"
    const ours = statements().filter(({ how, sql }) => how !== "function_call" && sql !== unparsed)
    const theirs = loggedBy(postgres.role, postgres)
    assert(theirs.length > 100)
    assert.deepEqual(
      ours.map(({ sql }) => sql).filter((sql) => sql !== ""),
      theirs.map(({ sql }) => sql),
    )
    for (const [nth, { values, sql }] of theirs.entries()) {
      const bound = ours.filter(({ sql: some }) => some !== "")[nth]?.values ?? []
      assert.deepEqual(
        bound.map(({ value, text }) => text ?? (value === "TRUE" ? "t" : value)), // the server shows what it understood
        values,
        sql,
      )
    }
  })

  test("pg_basebackup goes through a target that takes replication, and its commands are on record", async () => {
    const backup = join(folder, "backup")
    const physical = await environment("open", { PGUSER: `${postgres.role}@open` })
    await must("pg_basebackup", ["-D", backup, "-X", "stream", "-c", "fast", "--no-sync"], physical)
    assert.match(readFileSync(join(backup, "PG_VERSION"), "utf8"), /^\d+\n$/)
    const said = statements().map(({ sql }) => sql)
    assert(said.some((sql) => sql.startsWith("BASE_BACKUP")))
    assert(said.some((sql) => sql.startsWith("START_REPLICATION")))
    const refused = await run(
      "pg_basebackup",
      ["-D", join(folder, "none")],
      await environment("orders", { PGUSER: `${postgres.role}@orders` }),
    )
    assert.match(refused.stderr, /the startup parameter "replication" on this target is not/)
  })

  test("logical replication streams, and a cut ends it", async () => {
    const slot = ["-S", "watch"]
    const here = await environment("open")
    await must("pg_recvlogical", ["-d", "open", ...slot, "--create-slot", "-P", "test_decoding"], here)
    const stream = launch("pg_recvlogical", ["-d", "open", ...slot, "--start", "-n", "-F", "0", "-f", "-"], here)
    await eventually("the stream to begin", async () => (await postgres.admin("SELECT 1 FROM pg_stat_replication")).length === 1)
    await postgres.admin("INSERT INTO items VALUES (77, 'streamed')")
    await stream.says(/INSERT: id\[integer\]:77 name\[text\]:'streamed'/)
    const { id } = (await sluice.sessions(alice, true)).find(({ target }) => target === "open")!
    await sluice.api(bob).call("kill", { id, body: { reason: "seen enough" } })
    const ended = await stream.ended
    assert.match(ended.stderr, /FATAL: {2}sluice: this session was ended by a colleague/)
    await eventually("the server to have let go", async () => (await postgres.admin("SELECT 1 FROM pg_stat_replication")).length === 0)
    await postgres.admin("SELECT pg_drop_replication_slot('watch')")
    await postgres.admin("DELETE FROM items WHERE id = 77")
  })
})

const psycopg = `
import io, os, psycopg2
db = psycopg2.connect("")
c = db.cursor()
c.execute("SELECT name FROM items WHERE id = %s", (2,))
print(c.fetchone()[0])
named = db.cursor("big")
named.itersize = 1000
named.execute("SELECT generate_series(1, 5000)")
print(sum(1 for _ in named))
named.close()
c.execute("CREATE TEMPORARY TABLE copied (id int, name text)")
c.copy_expert("COPY copied FROM STDIN", io.StringIO("1\\tone\\n2\\ttwo\\n3\\tthree\\n"))
out = io.StringIO()
c.copy_expert("COPY copied TO STDOUT", out)
print(len(out.getvalue().splitlines()))
large = db.lobject(0, "wb")
large.write(b"large")
large.close()
print(db.lobject(large.oid, "rb").read().decode())
db.commit()
try:
    c.execute("SELECT 1/0")
except psycopg2.Error as failure:
    print(failure.pgcode)
db.rollback()
c.execute("SELECT 'done'")
print(c.fetchone()[0])
db.close()
`
