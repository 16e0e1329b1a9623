// A client that talks of something else while the server takes in a COPY, in raw bytes against a real server: no driver does this.
import assert from "node:assert/strict"
import { connect, type Socket } from "node:net"
import { after, before, suite, test } from "node:test"
import { message, protocol_3_0, startupMessage } from "../../protocols/postgres/codec.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { postgresTarget } from "../support/sluice_config.ts"
import { eventually } from "../support/wait.ts"
import { bind, execute, parse, query, sync } from "../unit/postgres/dialogue.ts"

suite("COPY from the client", { concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let postgres: Postgres
  let sluice: Sluice
  const clients: Socket[] = []

  before(async () => {
    postgres = await startPostgres()
    sluice = await startSluice({ users: [alice, bob], targets: [postgresTarget("orders", postgres)] })
    await sluice.grant(alice, "orders", { by: bob, for: "1h" })
  })
  after(async () => {
    for (const client of clients) client.destroy()
    await sluice?.stop()
    await postgres?.stop()
  })

  /** Logged in; `heard` is what the server has said since. */
  const logIn = async (): Promise<{ client: Socket; heard(): string }> => {
    const client = connect({ host: "127.0.0.1", port: sluice.port("postgres"), noDelay: true })
    clients.push(client)
    let heard = ""
    client.on("error", () => {}).on("data", (chunk) => (heard += chunk.toString("latin1")))
    const startup = startupMessage(protocol_3_0, [
      ["user", postgres.role],
      ["database", "orders"],
    ])
    client.write(Buffer.concat([startup, message("p", await sluice.token(alice, "orders"))]))
    await eventually("the login", () => heard.endsWith("Z\0\0\0\u0005I"))
    const greeting = heard.length
    return { client, heard: () => heard.slice(greeting) }
  }

  const copy = query("COPY items FROM STDIN")
  const data = (id: number) => message("d", Buffer.from(`${id}\tfrom a COPY\n`))
  const others: Readonly<Record<string, Buffer>> = {
    "a Query": query("INSERT INTO items VALUES (2001, 'not run')"),
    "a Parse": Buffer.concat([parse("", "INSERT INTO items VALUES (2001, 'not run')"), bind("", ""), execute(), sync()]),
  }
  for (const [what, other] of Object.entries(others)) {
    test(`${what} in the middle of it is refused, not run and not on record as run`, async () => {
      const known = sluice.recorded()
      const { client, heard } = await logIn()
      client.write(copy)
      await eventually("the COPY to begin", () => heard().startsWith("G"))
      client.write(Buffer.concat([data(2_000), other, query("SELECT 'later'")]))
      await eventually("the end", () => client.closed)
      assert.match(heard(), /SFATAL\0VFATAL\0C08P01\0Msluice: the connection did not follow its protocol/)
      assert.deepEqual(await postgres.admin("SELECT id FROM items WHERE id >= 2000"), [])
      const id = sluice.recorded().find((one) => !known.includes(one)) as string
      const lines = await eventually("the recording's end", () => {
        const read = sluice.recording(id)
        return read.at(-1)?.kind === "end" ? read : undefined
      })
      assert.deepEqual(
        lines.map((line) => (line.kind === "outcome" ? [line.action, line.status] : line.kind)),
        ["session", "startup", "action", "refused", [2, "lost"], "end"],
      )
    })

    test(`${what} sent ahead, before it is known that a COPY begins, is refused too`, async () => {
      const { client, heard } = await logIn()
      client.write(Buffer.concat([copy, other]))
      await eventually("the end", () => client.closed)
      assert.match(heard(), /SFATAL\0VFATAL\0C0A000\0Msluice: a message sent ahead of a COPY is not supported/)
      assert.deepEqual(await postgres.admin("SELECT id FROM items WHERE id >= 2000"), [])
    })
  }

  test("a COPY sent whole with what follows it passes", async () => {
    const { client, heard } = await logIn()
    client.write(Buffer.concat([copy, data(3_000), message("c"), query("SELECT 'after'")]))
    await eventually("both answers", () => heard().endsWith("Z\0\0\0\u0005I") && heard().includes("after"))
    assert.match(heard(), /COPY 1\0/)
    client.destroy()
    assert.deepEqual(await postgres.admin("SELECT id FROM items WHERE id = 3000"), [{ id: 3_000 }])
  })
})
