// Every PostgreSQL that is still met, as a target: the same things done through the gateway to 13, 14, 15, 16, 17 and 18, with the
// same answers. The servers are packages of their own (package.json here), so that nobody fetches them who does not ask for it:
// `npm run servers`.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import type { Action } from "../../src/core/action.ts"
import { selfSigned } from "../support/certificate.ts"
import { pgClient, psql } from "../support/clients.ts"
import { withLibpq18 } from "../support/libpq.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { logged_statements, loggedBy } from "../support/postgres_log.ts"
import { launch, must, type Program, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const packages = JSON.parse(readFileSync(join(import.meta.dirname, "package.json"), "utf8")) as { dependencies: Record<string, string> }
const versions = Object.keys(packages.dependencies).map((name) => Number(name.replace("postgres-", "")))

const { alice, bob, dana }: People = people()
const folder = scratch("versions")
const servers = new Map<number, Postgres>()
let sluice: Sluice

async function startServer(version: number, clientCa: string): Promise<Postgres> {
  const inside = join(import.meta.dirname, `node_modules/postgres-${version}`)
  const { version: exact } = JSON.parse(readFileSync(join(inside, "package.json"), "utf8")) as { version: string }
  const server = await startPostgres({
    server: { folder: join(inside, "native"), version: exact },
    tls: true,
    clientCa,
    settings: logged_statements,
    access: ["hostssl all certified 127.0.0.1/32 cert", "hostssl all plain 127.0.0.1/32 password", "hostssl all aged 127.0.0.1/32 md5"],
  })
  await server.admin(`CREATE ROLE certified LOGIN; CREATE ROLE plain LOGIN PASSWORD '${server.password}'`)
  await server.admin(`SET password_encryption = md5; CREATE ROLE aged LOGIN PASSWORD '${server.password}'`)
  await server.admin(`CREATE ROLE maker LOGIN CREATEROLE PASSWORD '${server.password}'; CREATE ROLE app`)
  await server.admin("GRANT app TO maker WITH ADMIN OPTION")
  await server.admin("GRANT SELECT ON items TO app; GRANT CREATE ON SCHEMA public TO app")
  return server
}

before(async () => {
  const client = await selfSigned(["certified"])
  for (const part of ["cert", "key"] as const) writeFileSync(join(folder, part), client[part], { mode: 0o600 })
  await Promise.all(versions.map(async (version) => servers.set(version, await startServer(version, client.cert))))
  const targets = [...servers].flatMap(([version, server]) => {
    const password = `file:${server.passwordFile}`
    const roles = {
      [server.role]: { password },
      certified: { cert: `file:${join(folder, "cert")}`, key: `file:${join(folder, "key")}` },
      plain: { password, login: "password" },
      aged: { password, login: "md5" },
      reader: { member_of: ["app"] },
    }
    return [postgresTarget(`pg${version}`, server, { roles, creator: { user: "maker", password } })]
  })
  sluice = await spawnSluice({ users: [alice, bob, dana], targets })
  for (const version of versions) await sluice.grant(alice, `pg${version}`, { by: bob, for: "1h" })
})
after(async () => {
  await sluice?.stop()
  await Promise.all([...servers.values()].map((server) => server.stop()))
})

test("programs that are linked to libpq use 18 here, which minds what it is told of protocols", { skip: needs("psql") }, async () => {
  const ran = await run("psql", ["host=127.0.0.1 port=1"], { env: { ...withLibpq18(), PGMINPROTOCOLVERSION: "3.7" } })
  assert.match(ran.stderr, /invalid min_protocol_version value: "3\.7"/)
})

for (const version of versions) {
  suite(`PostgreSQL ${version} as the target`, { skip: needs("psql", "openssl"), concurrency: 1 }, () => {
    const target = `pg${version}`
    const login = () => ({ sluice, person: alice, target })
    const server = () => servers.get(version) as Postgres
    const sql = async (role: string, ...more: string[]) =>
      run(...(await psql(login(), role, ["-tA", ...more.flatMap((words) => ["-c", words])])))
    const start = async (words: string, env: Readonly<Record<string, string>> = {}): Promise<Program> => {
      const [program, args, options] = await psql(login(), server().role, ["-c", words])
      return launch(program, args, { ...options, env: { ...options.env, ...env } })
    }
    const runs = async (part: string) => (await server().active()).some(({ query }) => query.includes(part))
    const nobody = () => eventually("nobody to be left on the server", async () => (await server().active()).length === 0)
    const statements = () =>
      sluice
        .recorded()
        .map((id) => sluice.recording(id))
        .filter(([first]) => first?.kind === "session" && first.target === target && first.as === server().role)
        .toSorted(([left], [right]) => (left?.t ?? 0) - (right?.t ?? 0))

    test("it is that version, and lets the gateway in by SCRAM, a certificate, MD5 and a password inside TLS", async () => {
      const asked = "SELECT current_user, ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
      for (const role of [server().role, "certified", "plain", "aged"]) {
        const ran = await sql(role, "SHOW server_version", asked)
        assert.match(ran.stdout, new RegExp(`^${version}\\.\\d+\\n${role}\\|t\\n$`), ran.stderr)
      }
    })

    test("simple, extended and prepared statements, and those that are prepared in SQL", async () => {
      const client = await pgClient(login(), server().role)
      const named = { name: "mine", text: "SELECT name FROM items WHERE id = $1 AND $2::bytea IS NOT NULL" }
      for (const id of [1, 2]) assert.equal((await client.query(named, [id, Buffer.of(0, 255)])).rows.length, 1)
      assert.deepEqual((await client.query("SELECT $1::int + 1 AS n", [41])).rows, [{ n: 42 }])
      await assert.rejects(client.query("SELECT 1 / (id - $1::int) FROM items", [1]), { code: "22012" })
      await client.query("BEGIN; PREPARE by_id (int) AS SELECT name FROM items WHERE id = $1")
      assert.deepEqual((await client.query("EXECUTE by_id(2)")).rows, [{ name: "pear" }])
      await client.query("DEALLOCATE by_id; COMMIT")
      await client.end()
    })

    test("COPY both ways", async () => {
      const [there, back] = [join(folder, `${target}.tsv`), join(folder, `${target}.back.tsv`)]
      const rows = Array.from({ length: 20_000 }, (_, row) => `${row}\t${"x".repeat(row % 97)}\n`).join("")
      writeFileSync(there, rows)
      const copies = [`\\copy t FROM '${there}'`, `\\copy (SELECT * FROM t ORDER BY a) TO '${back}'`]
      const ran = await sql(server().role, "CREATE TEMP TABLE t (a int, b text)", ...copies)
      assert.equal(ran.status, 0, ran.stderr)
      assert.equal(readFileSync(back, "utf8"), rows)
    })

    for (const protocol of ["3.0", "3.2"]) {
      test(`Ctrl-C by libpq 18 on protocol ${protocol}, whatever the server speaks`, async () => {
        const sleeping = await start(`SELECT pg_sleep(60), '${protocol}'`, {
          ...withLibpq18(),
          PGMAXPROTOCOLVERSION: protocol,
          PGMINPROTOCOLVERSION: protocol,
        })
        await eventually("the query to run", async () => !sleeping.running || (await runs("pg_sleep(60)")))
        sleeping.signal("SIGINT")
        assert.equal((await sleeping.ended).stderr, "Cancel request sent\nERROR:  canceling statement due to user request\n")
        await nobody()
      })
    }

    test("the record and the server's log agree: every statement in its order, with its values", async () => {
      await eventually("the recordings to be over", () => statements().every((lines) => lines.at(-1)?.kind === "end"))
      const ours = statements().flatMap((lines) =>
        lines.flatMap((line) => (line.kind === "action" ? [line.action as Extract<Action, { kind: "postgres.statement" }>] : [])),
      )
      const theirs = loggedBy(server().role, server())
      assert(theirs.length > 12)
      assert.deepEqual(
        ours.map(({ sql: said, values = [] }) => [said, values.map(({ value, format }) => (format === "binary" ? `\\x${value}` : value))]),
        theirs.map(({ sql: said, values }) => [said, values]),
      )
    })

    const busy: Readonly<Record<string, (more: string) => string>> = {
      "a query": (more) => `SELECT pg_sleep(60) ${more}`,
      "a COPY to the client": (more) => `COPY (SELECT pg_sleep(0.001), repeat('x', 1000) FROM generate_series(1, 60000)) TO STDOUT ${more}`,
      "a COPY from the client": (more) => `COPY items FROM STDIN ${more}`,
    }
    for (const [what, statement] of Object.entries(busy)) {
      test(`a cut in ${what}: 57P01 is read, and nothing of it is left on the server`, async () => {
        const grant = await sluice.grant(alice, target, { by: bob, for: "2h" })
        const mark = `/* cut ${what} */`
        const program = await start(statement(mark))
        await eventually("it to run", () => runs(mark))
        await sluice.revoke(grant, dana)
        await eventually("the session to be over", async () => (await sluice.sessions(alice, true)).length === 0)
        if (what === "a COPY from the client") program.type("4711\tlate\n") // psql reads its input, and looks at the server as it writes
        program.closeInput()
        const { stderr } = await program.ended
        assert.match(stderr, new RegExp(`FATAL: {2}sluice: your access to ${target} ended at .*revoked`))
        await nobody()
        assert.deepEqual(await server().admin("SELECT * FROM items WHERE id = 4711"), [])
      })
    }

    test("a role for one session: made, of use, and gone with what it owned given away, also after a cut", async () => {
      const grant = await sluice.grant(alice, target, { by: bob, for: "2h" })
      const ran = await sql("reader", "SELECT current_user", "SELECT count(*) FROM items", "CREATE TABLE made (n int)")
      assert.match(ran.stdout, /^sluice_s_[0-9a-z]{16}\n3\nCREATE TABLE\n$/, ran.stderr)
      const roles = () => server().admin("SELECT rolname, rolvaliduntil FROM pg_roles WHERE rolname LIKE 'sluice_%'")
      const gone = () => eventually("the role to be gone", async () => (await roles()).length === 0)
      await gone()
      assert.deepEqual(await server().admin("SELECT tableowner FROM pg_tables WHERE tablename = 'made'"), [{ tableowner: "app" }])
      const [program, args, options] = await psql(login(), "reader", ["-c", "SELECT pg_sleep(60) /* as a role */"])
      const sleeping = launch(program, args, options)
      await eventually("the query to run", () => runs("/* as a role */"))
      assert.equal(((await roles()) as [{ rolvaliduntil: Date }])[0].rolvaliduntil.getTime(), grant.ends_at)
      await sluice.revoke(grant, dana)
      assert.match((await sleeping.ended).stderr, /FATAL: {2}sluice: your access to pg\d+ ended/)
      await gone()
      await nobody()
    })

    test("pgbench by libpq 18 on protocol 3.2, in each of its modes", { skip: needs("pgbench") }, async () => {
      await sluice.grant(alice, target, { by: bob, for: "1h" })
      const script = join(folder, "one.sql")
      writeFileSync(script, "\\set id random(1, 3)\nSELECT name FROM items WHERE id = :id;\n")
      const [, [where = ""], options] = await psql(login(), server().role)
      const env = { ...options.env, ...withLibpq18(), PGMINPROTOCOLVERSION: "3.2", PGMAXPROTOCOLVERSION: "3.2" }
      for (const mode of ["simple", "extended", "prepared"]) {
        const said = await must("pgbench", ["-n", "-f", script, "-c", "4", "-t", "25", "-M", mode, where], { env })
        assert.match(said, /processed: 100\/100/, mode)
      }
    })
  })
}
