// pgbouncer as the target, in session and in transaction mode. What is behind it is only reached through it: a cut has to ask it to
// cancel, and what a client sends ahead must not be with it yet.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { message, protocol_3_0, startupMessage } from "../../protocols/postgres/codec.ts"
import type { GrantView } from "../../src/api/schema.ts"
import type { Action } from "../../src/core/action.ts"
import { pgClient, psql } from "../support/clients.ts"
import { jdbc, jdbc_answers, jdbcSays } from "../support/jdbc.ts"
import { withLibpq18 } from "../support/libpq.ts"
import { type People, people } from "../support/people.ts"
import { type Pooler, startPooler } from "../support/pgbouncer.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { logged_statements, loggedBy } from "../support/postgres_log.ts"
import { launch, must, type Program } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { postgresTarget } from "../support/sluice_config.ts"
import { needs, needsFile } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"
import { bind, execute, parse, query, sync } from "../unit/postgres/dialogue.ts"

/** Pgbench's, of several clients at a time. */
const side_by_side = /AS bench|^START TRANSACTION;$|^END;$/

/** What pgbouncer says to the server by itself, for the next client of a connection. */
const of_the_pooler = /^DISCARD ALL$|^SET application_name='\w*';$/

const jdbcMissing = needs("java") || needsFile(jdbc, "libpostgresql-jdbc-java")

for (const program of ["pgbouncer", "newer-pgbouncer"])
  suite(`${program} as the target`, { skip: needs("psql", "openssl", program, "pgbench"), concurrency: 1 }, () => {
    const { alice, bob, dana }: People = people()
    const folder = scratch("pooler")
    const poolers: Pooler[] = []
    let postgres: Postgres
    let sluice: Sluice
    let row = 1_000

    before(async () => {
      postgres = await startPostgres({ settings: logged_statements })
      const session = await startPooler(postgres, { program, mode: "session", tls: true })
      const transaction = await startPooler(postgres, { program, mode: "transaction" })
      poolers.push(session, transaction)
      const targets = [
        postgresTarget("session", session, { pooler: "session" }),
        postgresTarget("transaction", transaction, { pooler: "transaction" }),
        postgresTarget("untold", session),
        postgresTarget("ruled", transaction, { pooler: "transaction" }),
      ]
      const names = ["session", "transaction", "untold", "ruled"]
      const access = [{ who: ["engineers"], targets: names, max: "8h", approve: { by: ["oncall"] } }]
      const actions = [{ targets: "ruled", postgres: { kinds: ["delete"] }, then: "deny", say: "nothing is deleted here" }]
      sluice = await spawnSluice({ users: [alice, bob, dana], targets, policy: { access, actions, admins: ["admins"] } })
    })
    after(async () => {
      await sluice?.stop()
      for (const pooler of poolers) await pooler.stop()
      await postgres?.stop()
    })

    const grant = (target: string) => sluice.grant(alice, target, { by: bob, for: "2h" })
    const start = async (target: string, words: string, env: Readonly<Record<string, string>> = {}): Promise<Program> => {
      const [program, args, options] = await psql({ sluice, person: alice, target }, postgres.role, ["-tA", "-c", words])
      return launch(program, args, { ...options, env: { ...options.env, ...env } })
    }
    const runs = async (part: string) => (await postgres.active()).some(({ query: sql }) => sql.includes(part))
    const nobody = () => eventually("nobody to be at work on the server", async () => (await postgres.active()).length === 0)
    const over = () => eventually("the session to be over", async () => (await sluice.sessions(alice, true)).length === 0)

    /** A client that sends what it likes, logged in. */
    const rawTo = async (target: string): Promise<{ client: Socket; heard(): string }> => {
      const client = connect({ host: "127.0.0.1", port: sluice.port("postgres"), noDelay: true })
      let heard = ""
      client.on("error", () => {}).on("data", (chunk) => (heard += chunk.toString("latin1")))
      const startup = [
        ["user", postgres.role],
        ["database", target],
      ] as const
      client.write(Buffer.concat([startupMessage(protocol_3_0, startup), message("p", await sluice.token(alice, target))]))
      await eventually("the login", () => heard.endsWith("Z\0\0\0\u0005I"))
      const greeting = heard.length
      return { client, heard: () => heard.slice(greeting) }
    }

    test("a pooler that the config does not name as one is found out: a cut reaches what runs, and the operator reads it", async () => {
      const lent = await grant("untold")
      const running = await start("untold", "SELECT pg_sleep(60) /* untold */")
      await eventually("the query to run", () => runs("/* untold */"))
      await sluice.revoke(lent, bob)
      assert.match((await running.ended).stderr, /^FATAL: {2}sluice: your access to untold ended/)
      await nobody()
      assert.match(sluice.log(), /"target":"untold".*this target answers as a pooler does, and is taken for one/)
    })

    for (const target of ["session", "transaction"]) {
      suite(`in ${target} mode`, { concurrency: 1 }, () => {
        const login = () => ({ sluice, person: alice, target })
        const raw = () => rawTo(target)

        test("clients of protocol 3.0 and 3.2 get in, and their statements run", async () => {
          await grant(target)
          for (const version of ["3.0", "3.2"]) {
            const env = { ...withLibpq18(), PGMINPROTOCOLVERSION: version, PGMAXPROTOCOLVERSION: version }
            const { stdout, stderr } = await (await start(target, "SELECT current_user; SELECT name FROM items", env)).ended
            assert.equal(stdout, `${postgres.role}\napple\npear\nplum\n`, stderr)
          }
          const client = await pgClient(login(), postgres.role)
          await client.query("BEGIN")
          const named = { name: "mine", text: "SELECT name FROM items WHERE id = $1" }
          for (const id of [1, 2]) assert.equal((await client.query(named, [id])).rows.length, 1)
          await client.query("COMMIT")
          await assert.rejects(client.query("SELECT 1 / (id - $1::int) FROM items", [1]), { code: "22012" })
          await client.end()
        })

        test("COPY both ways, and pgbench with several clients", async () => {
          const back = join(folder, `${target}.tsv`)
          const rows = Array.from({ length: 5_000 }, (_, nth) => `${nth}\t${"x".repeat(nth % 97)}\n`).join("")
          writeFileSync(join(folder, "rows.tsv"), rows)
          const copies = `BEGIN;\nCREATE TEMP TABLE t (a int, b text);\n\\copy t FROM '${folder}/rows.tsv'\n\\copy (SELECT * FROM t ORDER BY a) TO '${back}'\nROLLBACK;\n`
          const [program, args, options] = await psql(login(), postgres.role)
          await must(program, args, { ...options, input: copies })
          assert.equal(readFileSync(back, "utf8"), rows)
          const script = join(folder, "one.sql")
          writeFileSync(script, "\\set id random(1, 3)\nSTART TRANSACTION;\nSELECT name AS bench FROM items WHERE id = :id;\nEND;\n")
          for (const mode of ["simple", "extended"]) {
            const bench = ["-n", "-f", script, "-c", "4", "-t", "10", "-M", mode, args[0] as string]
            assert.match(await must("pgbench", bench, options), /processed: 40\/40/, mode)
          }
        })

        test("what is sent at once is answered in its order, in both protocols", async () => {
          const { client, heard } = await raw()
          const asked = Array.from({ length: 20 }, (_, nth) =>
            nth % 2 === 0
              ? query(`SELECT 'simple ${nth}'`)
              : Buffer.concat([parse("", `SELECT 'series ${nth}'`), bind("", ""), execute(), sync()]),
          )
          const copied = [query("COPY (SELECT 1) TO STDOUT"), query("COPY items FROM STDIN"), message("c"), query("SELECT 'the last'")]
          client.write(Buffer.concat([...asked, ...copied]))
          await eventually("the last answer", () => heard().includes("the last") && heard().endsWith("Z\0\0\0\u0005I"))
          const order = [...heard().matchAll(/(?:simple|series) (\d+)/g)].map(([, nth]) => Number(nth))
          assert.deepEqual(
            order,
            Array.from({ length: 20 }, (_, nth) => nth),
          )
          assert.match(heard(), /COPY 1\0[\s\S]*COPY 0\0/)
          client.destroy()
        })

        test("Ctrl-C cancels the query on the server behind it", async () => {
          const sleeping = await start(target, `SELECT pg_sleep(60) /* ${target} */`)
          await eventually("the query to run", () => runs(`/* ${target} */`))
          sleeping.signal("SIGINT")
          assert.equal((await sleeping.ended).stderr, "Cancel request sent\nERROR:  canceling statement due to user request\n")
          await nobody()
        })

        test("the record and the server's log agree: every statement in its order, with its values", async () => {
          await over()
          const ours = sluice
            .recorded()
            .map((id) => sluice.recording(id))
            .toSorted(([left], [right]) => (left?.t ?? 0) - (right?.t ?? 0))
            .filter(([first]) => first?.kind === "session" && first.target === target)
            .flatMap((lines) =>
              lines.flatMap((line) => (line.kind === "action" ? [line.action as Extract<Action, { kind: "postgres.statement" }>] : [])),
            )
            .filter(({ sql }) => !side_by_side.test(sql))
            .map(({ sql, values = [] }) => [sql, ...values.map(({ value, text }) => text ?? value)])
          const theirs = loggedBy(postgres.role, postgres)
            .filter(({ sql }) => !side_by_side.test(sql) && !of_the_pooler.test(sql))
            .map(({ sql, values }) => [sql, ...values])
          assert(ours.length > 30)
          assert.deepEqual(theirs.slice(-ours.length), ours)
        })

        test("JDBC: prepared, in batches, fetched in parts, in a transaction and out of one", { skip: jdbcMissing }, async () => {
          await grant(target)
          const where = `localhost:${sluice.port("postgres")}/${target}?sslmode=verify-ca&sslrootcert=${sluice.caFile}`
          // What its driver names would be on another connection the next time.
          const names = target === "transaction" ? "&prepareThreshold=0" : ""
          const token = await sluice.token(alice, target)
          assert.deepEqual(await jdbcSays(`jdbc:postgresql://${where}${names}`, postgres.role, token), jdbc_answers)
        })

        const busy: Readonly<Record<string, (mark: string) => string>> = {
          "a query": (mark) => `SELECT pg_sleep(60) ${mark}`,
          "a COPY to the client": (mark) =>
            `COPY (SELECT pg_sleep(0.001), repeat('x', 1000) FROM generate_series(1, 60000)) TO STDOUT ${mark}`,
          "a COPY from the client": (mark) => `COPY items FROM STDIN ${mark}`,
          "a transaction": (mark) => `BEGIN; INSERT INTO items VALUES (4711, 'late'); SELECT pg_sleep(60) ${mark}`,
        }
        for (const [what, statement] of Object.entries(busy)) {
          test(`a cut in ${what}: 57P01 is read, and nothing of it is left on the server`, async () => {
            const lent = await grant(target)
            const mark = `/* cut ${what} */`
            const program = await start(target, statement(mark))
            await eventually("it to run", () => runs(mark))
            await sluice.revoke(lent, dana)
            await over()
            if (what === "a COPY from the client") program.type("4711\tlate\n")
            program.closeInput()
            assert.match((await program.ended).stderr, new RegExp(`FATAL: {2}sluice: your access to ${target} ended at .*revoked`))
            await nobody()
            assert.deepEqual(await postgres.admin("SELECT * FROM items WHERE id = 4711"), [])
          })
        }

        const ways: Readonly<Record<string, (sql: string) => Buffer>> = {
          simple: query,
          extended: (sql) => Buffer.concat([parse("", sql), bind("", ""), execute(), sync()]),
        }
        const ends: Readonly<Record<string, (client: Socket, lent: GrantView) => unknown>> = {
          "the grant is revoked": (_, lent) => sluice.revoke(lent, dana),
          "the client vanishes": (client) => client.resetAndDestroy(),
          "the client hangs up": (client) => client.end(),
        }
        for (const [way, say] of Object.entries(ways)) {
          for (const [what, end] of Object.entries(ends)) {
            test(`${way} protocol: nothing that was sent ahead runs after ${what}`, async () => {
              const lent = await grant(target)
              const { client } = await raw()
              const first = `SELECT pg_sleep(60), ${++row}`
              const inserts = Array.from({ length: 10 }, () => say(`INSERT INTO items VALUES (${++row}, 'after the cut')`))
              client.write(Buffer.concat([say(first), ...inserts]))
              await eventually("the first to run", () => runs(first))
              await end(client, lent)
              await nobody()
              await over()
              assert.deepEqual(await postgres.admin("SELECT id FROM items WHERE name = 'after the cut'"), [])
            })
          }
        }
      })
    }

    test("a denied statement does not reach the server: outside a transaction, and in one, which then cannot be committed", async () => {
      await grant("ruled")
      const client = await pgClient({ sluice, person: alice, target: "ruled" }, postgres.role)
      const denied = { code: "42501", message: /nothing is deleted here/ }
      for (const values of [[], [2]]) {
        const sql = `DELETE FROM items WHERE id = ${values.length > 0 ? "$1" : "2"}`
        await assert.rejects(client.query(sql, values), denied)
        assert.equal((await client.query("SELECT 1 AS one")).rows.length, 1)
        await client.query("BEGIN")
        await client.query("INSERT INTO items VALUES (4712, 'with it')")
        await assert.rejects(client.query(sql, values), denied)
        await assert.rejects(client.query("SELECT 1"), { code: "25P02" })
        await client.query("COMMIT")
      }
      await client.end()
      assert(!postgres.log().includes("DELETE FROM items WHERE id = "))
      assert.deepEqual(await postgres.admin("SELECT id FROM items WHERE id = 4712"), [])
    })

    test("in transaction mode nobody gets past a rule by a name that stands for another's statement on the next connection", async () => {
      const [theirs, mine] = [await rawTo("ruled"), await rawTo("ruled")]
      const say = async ({ client, heard }: typeof mine, ...words: readonly Buffer[]): Promise<string> => {
        const before = heard().length
        client.write(Buffer.concat(words))
        await eventually("the answer", () => heard().slice(before, -1).endsWith("Z\0\0\0\u0005"))
        return heard().slice(before)
      }
      // Two connections to the server at once, with the same name on both; the one that was given back last is lent first.
      for (const one of [theirs, mine]) await say(one, query("BEGIN"))
      await say(theirs, parse("s", "DELETE FROM items"), sync())
      await say(mine, parse("s", "SELECT 1"), sync())
      for (const one of [mine, theirs]) await say(one, query("COMMIT"))
      assert.match(await say(mine, bind("", "s"), execute(), sync()), /nothing is deleted here/)
      for (const { client } of [theirs, mine]) client.destroy()
      assert.equal((await postgres.admin("SELECT 1 FROM items WHERE id <= 3")).length, 3)
    })
  })
