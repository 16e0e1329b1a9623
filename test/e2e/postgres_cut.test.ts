// What a client has sent ahead when its access ends: the server may hold it already, and must not run it. Against a real server,
// with and without TLS to it.
import assert from "node:assert/strict"
import { connect, type Socket } from "node:net"
import { after, before, suite, test } from "node:test"
import { message, protocol_3_0, startupMessage } from "../../protocols/postgres/codec.ts"
import type { GrantView } from "../../src/api/schema.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { postgresTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"
import { bind, execute, parse, query, sync } from "../unit/postgres/dialogue.ts"

suite("what was sent ahead of a cut", { skip: needs("openssl"), concurrency: 1 }, () => {
  const { alice, bob, dana }: People = people()
  let postgres: Postgres
  let sluice: Sluice
  let row = 1_000

  before(async () => {
    postgres = await startPostgres({ tls: true })
    const targets = [postgresTarget("orders", postgres), postgresTarget("plain", { ...postgres, ca: undefined, caFile: undefined })]
    sluice = await startSluice({ users: [alice, bob, dana], targets })
  })
  after(async () => {
    await sluice?.stop()
    await postgres?.stop()
  })

  const logIn = async (target: string): Promise<Socket> => {
    const client = connect({ host: "127.0.0.1", port: sluice.port("postgres"), noDelay: true })
    let heard = ""
    client.on("error", () => {}).on("data", (chunk) => (heard += chunk.toString("latin1")))
    client.write(
      Buffer.concat([
        startupMessage(protocol_3_0, [
          ["user", postgres.role],
          ["database", target],
        ]),
        message("p", await sluice.token(alice, target)),
      ]),
    )
    await eventually("the login", () => heard.endsWith("Z\0\0\0\u0005I"))
    return client
  }

  const ways: Readonly<Record<string, (sql: string) => Buffer>> = {
    simple: query,
    extended: (sql) => Buffer.concat([parse("", sql), bind("", ""), execute(), sync()]),
  }
  const ends: Readonly<Record<string, (client: Socket, grant: GrantView) => unknown>> = {
    "the grant is revoked": (_, grant) => sluice.revoke(grant, dana),
    "the client vanishes": (client) => client.resetAndDestroy(),
  }
  for (const target of ["orders", "plain"]) {
    for (const [way, say] of Object.entries(ways)) {
      for (const [what, end] of Object.entries(ends)) {
        test(`${target}, ${way} protocol: nothing that had not begun runs after ${what}`, async () => {
          const grant = await sluice.grant(alice, target, { by: bob, for: "1h" })
          const client = await logIn(target)
          const inserts = Array.from({ length: 10 }, () => say(`INSERT INTO items VALUES (${++row}, 'after the cut')`))
          client.write(Buffer.concat([say(`SELECT pg_sleep(60), ${row}`), ...inserts]))
          const runs = async () => (await postgres.active()).some(({ query: sql }) => sql.includes(`pg_sleep(60), ${row}`))
          await eventually("the first to run", runs)
          await end(client, grant)
          const gone = () => postgres.admin("SELECT 1 FROM pg_stat_activity WHERE usename = $1", [postgres.role])
          await eventually("the server's process to be gone", async () => (await gone()).length === 0)
          assert.deepEqual(await postgres.admin("SELECT id FROM items WHERE name = 'after the cut'"), [])
        })
      }
    }
  }
})
