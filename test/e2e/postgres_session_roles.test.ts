// Roles that last for one session: made on a real server by a role that may make roles and no more, and gone with the session.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import { Client } from "pg"
import { psql } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { launch, run } from "../support/run.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("PostgreSQL: a role for one session", { skip: needs("psql", "openssl"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let postgres: Postgres
  let sluice: Sluice
  const setup = () => ({
    users: [alice, bob],
    targets: [
      postgresTarget("orders", postgres, {
        creator: { user: "maker", password: `file:${postgres.passwordFile}` },
        roles: { reader: { member_of: ['app "reader"', "extra"] } },
      }),
      postgresTarget("unmade", postgres, {
        creator: { user: postgres.role, password: `file:${postgres.passwordFile}` },
        roles: { reader: { member_of: ["extra"] } },
      }),
    ],
  })

  before(async () => {
    postgres = await startPostgres({ tls: true })
    await postgres.admin(`CREATE ROLE maker LOGIN CREATEROLE PASSWORD '${postgres.password}'`)
    await postgres.admin('CREATE ROLE "app ""reader"""; CREATE ROLE extra')
    await postgres.admin('GRANT "app ""reader""", extra TO maker WITH ADMIN OPTION')
    await postgres.admin('GRANT SELECT ON items TO "app ""reader"""; GRANT CREATE ON SCHEMA public TO extra, "app ""reader"""')
    sluice = await spawnSluice(setup())
  })
  after(async () => {
    await sluice?.stop()
    await postgres?.stop()
  })

  const sql = async (target: string, ...more: string[]) =>
    run(...(await psql({ sluice, person: alice, target }, "reader", ["-tA", ...more.flatMap((words) => ["-c", words])])))
  const roles = () => postgres.admin("SELECT rolname, rolvaliduntil FROM pg_roles WHERE rolname LIKE 'sluice_%'")
  const gone = () => eventually("the role to be gone", async () => (await roles()).length === 0)
  const grant = (target: string) => sluice.grant(alice, target, { by: bob, for: "1h" })

  test("it is called like the session, has the rights it should, ends with the grant, and what it owned is the first role's", async () => {
    const lent = await grant("orders")
    const ran = await sql("orders", "SELECT current_user", "SELECT name FROM items WHERE id = 1", "CREATE TABLE made (n int)")
    assert.match(ran.stdout, /^sluice_(s_[0-9a-z]{16})\napple\nCREATE TABLE\n$/, ran.stderr)
    const [, id = ""] = /^sluice_(s_\w+)/.exec(ran.stdout) ?? []
    await gone()
    assert.deepEqual(await postgres.admin("SELECT tableowner FROM pg_tables WHERE tablename = 'made'"), [{ tableowner: 'app "reader"' }])
    await eventually("its recording to be over", () => sluice.recording(id).at(-1)?.kind === "end")
    const told = sluice.recording(id).flatMap((line) => (line.kind === "role" ? [[line.what, line.name]] : []))
    assert.deepEqual(told, [
      ["made", `sluice_${id}`],
      ["dropped", `sluice_${id}`],
    ])
    const forbidden = await sql("orders", "UPDATE items SET name = name")
    assert.match(forbidden.stderr, /permission denied for table items/)
    await gone()
    await sluice.revoke(lent, bob)
  })

  test("a cut in the middle of a query takes the role away too, and it was good no longer than the grant", async () => {
    const lent = await grant("orders")
    const [program, args, options] = await psql({ sluice, person: alice, target: "orders" }, "reader", ["-c", "SELECT pg_sleep(60)"])
    const sleeping = launch(program, args, options)
    await eventually("the query to run", async () => (await postgres.active()).some(({ query }) => query.includes("pg_sleep(60)")))
    const [made] = (await roles()) as [{ rolvaliduntil: Date }]
    assert.equal(made.rolvaliduntil.getTime(), lent.ends_at)
    await sluice.revoke(lent, bob)
    assert.match((await sleeping.ended).stderr, /your access to orders ended .*revoked/)
    await gone()
    assert.deepEqual(await postgres.active(), [])
  })

  test("who gave it a password of their own is put out with it, also where the gateway is not in the way", async () => {
    const lent = await grant("orders")
    const [program, args, options] = await psql({ sluice, person: alice, target: "orders" }, "reader", ["-tA"])
    const inside = launch(program, args, options)
    inside.type("ALTER ROLE CURRENT_USER PASSWORD 'mine'; SELECT current_user;\n")
    await eventually("the role to be told", () => inside.stdout.includes("sluice_s_"))
    const [user = ""] = /sluice_s_\w+/.exec(inside.stdout) ?? []
    const past = new Client({
      host: postgres.address.host,
      port: postgres.address.port,
      user,
      password: "mine",
      database: postgres.database,
    })
    const out = new Promise<string>((resolve) => past.on("error", ({ message }) => resolve(message)))
    await past.connect()
    await past.query("SELECT 1")
    await sluice.revoke(lent, bob)
    inside.closeInput()
    await inside.ended
    assert.match(await out, /terminating connection/)
    await gone()
  })

  test("a cut while it is being made leaves none behind", async () => {
    const lent = await grant("orders")
    const locking = postgres.admin("LOCK TABLE pg_authid IN SHARE MODE; SELECT pg_sleep(60)").catch(() => {})
    const waits = async (words: string): Promise<boolean> =>
      (await postgres.admin("SELECT FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()", [`${words}%`])).length > 0
    await eventually("the lock", () => waits("LOCK TABLE"))
    const asking = sql("orders", "SELECT 1")
    await eventually("the role to be waited for", () => waits("CREATE ROLE"))
    await sluice.revoke(lent, bob)
    await asking
    await postgres.admin("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LOCK TABLE%' AND pid <> pg_backend_pid()")
    await locking
    await eventually("the session to be over", async () => (await sluice.sessions(bob, true)).length === 0)
    await eventually("nobody to be making roles", async () => !(await waits("CREATE ROLE")) && !(await waits("COMMIT")))
    assert.deepEqual(await roles(), [])
  })

  test("a gateway that is killed leaves one behind; the next session drops it, and none that is in use or young", async () => {
    await grant("orders")
    const [program, args, options] = await psql({ sluice, person: alice, target: "orders" }, "reader", ["-c", "SELECT pg_sleep(60)"])
    const sleeping = launch(program, args, options)
    await eventually("the query to run", async () => (await postgres.active()).some(({ query }) => query.includes("pg_sleep(60)")))
    const [{ rolname: left }] = (await roles()) as [{ rolname: string }]
    await sluice.program!.stop("SIGKILL")
    await sleeping.ended
    sluice = await spawnSluice({ ...setup(), folder: sluice.folder })
    await eventually("the gateway to know the grant", async () => (await sql("orders", "SELECT 1")).status === 0)
    assert(
      (await roles()).some(({ rolname }) => rolname === left),
      "it may be a session's that is about to log in",
    )
    // The server would find out that nobody is there when the query is over.
    await postgres.admin("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", [left])
    await eventually("its backend to be gone", async () => (await postgres.active()).length === 0)
    await postgres.admin(`COMMENT ON ROLE ${left} IS 'made by Sluice at 2026-01-01T00:00:00.000Z'`)
    await postgres.admin("CREATE ROLE sluice_s_0123456789abcdef")
    await postgres.admin("COMMENT ON ROLE sluice_s_0123456789abcdef IS 'made by Sluice at noon'")
    assert.equal((await sql("orders", "SELECT 1")).status, 0)
    await eventually("the role that was left to be gone", async () => {
      const names = (await roles()).map(({ rolname }) => rolname)
      return names.length === 1 && names[0] === "sluice_s_0123456789abcdef" // nobody knows whose that is
    })
    await postgres.admin("DROP ROLE sluice_s_0123456789abcdef")
  })

  test("a creator who may not make roles: the user reads that the target refused, the operator reads why", async () => {
    await grant("unmade")
    const refused = await sql("unmade", "SELECT 1")
    assert.match(refused.stderr, /FATAL: {2}sluice: the target did not accept the gateway's credentials/)
    await eventually("the log to say why", () => /42501: permission denied to create role/.test(sluice.log()))
  })
})
