// What is prepared and never executed by the message for it, and runs all the same: by a FETCH from its portal, by an EXECUTE of its
// name, by a function. It is on record before the server has it, and no rule takes what runs it for something harmless.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import { type Client, type Connection, type Submittable } from "pg"
import type { Line } from "../../src/record/events.ts"
import { pgClient } from "../support/clients.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { postgresTarget } from "../support/sluice_config.ts"
import { bind, execute, parse, query, sync } from "../unit/postgres/dialogue.ts"

const policy = {
  access: [{ who: ["engineers"], targets: ["orders", "watched"], max: "8h", approve: { by: ["oncall"] } }],
  actions: [{ targets: "orders", postgres: { kinds: ["delete", "unknown"] }, then: "deny", say: "no" }],
}

suite("actions that hide", { concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let postgres: Postgres
  let sluice: Sluice

  before(async () => {
    postgres = await startPostgres()
    sluice = await startSluice({
      users: [alice, bob],
      targets: [postgresTarget("orders", postgres), postgresTarget("watched", postgres)],
      policy,
    })
    for (const target of ["orders", "watched"]) await sluice.grant(alice, target, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await postgres.stop()
  })

  let before_it = new Set<string>()
  const connect = (target: string): Promise<Client> => {
    before_it = new Set(sluice.recorded())
    return pgClient({ sluice, person: alice, target }, postgres.role)
  }
  const rows = async (): Promise<number> => Number((await postgres.admin("SELECT count(*) AS n FROM items"))[0]?.["n"])
  /** Of the last connection. */
  const lines = (): readonly Line[] => sluice.recording(sluice.recorded().find((id) => !before_it.has(id)) ?? "")

  test("a FETCH from a portal that was never executed is not a read", async () => {
    const client = await connect("orders")
    const held = await rows()
    await client.query("BEGIN")
    await say(client, parse("s", "DELETE FROM items RETURNING *"), bind("c", "s"), sync())
    await assert.rejects(say(client, query("FETCH ALL FROM c")), { code: "42501" })
    await client.query("ROLLBACK")
    await client.query("BEGIN")
    const inOne = [bind("c", "s"), parse("", "FETCH ALL FROM c"), bind("", ""), execute(""), sync()]
    await assert.rejects(say(client, ...inOne), { code: "42501" })
    await client.query("ROLLBACK")
    await client.query("BEGIN")
    await say(client, bind("c", "s"), sync())
    await client.query("SAVEPOINT a")
    await assert.rejects(say(client, execute("c"), sync()), { code: "42501" })
    await client.query("ROLLBACK TO a")
    await assert.rejects(client.query("SELECT 1; FETCH ALL FROM c"), { code: "42501" })
    await client.query("COMMIT")
    await client.end()
    assert.equal(await rows(), held)
  })

  test("a text that is a DELETE by the settings that the statement before it brings back is no read", async () => {
    await postgres.admin(`ALTER ROLE ${postgres.role} SET standard_conforming_strings = off`)
    const client = await connect("orders")
    const held = await rows()
    await client.query("SET standard_conforming_strings = on")
    await say(client, query("RESET standard_conforming_strings"), query("SELECT '\\', '; DELETE FROM items; --'"))
    await assert.rejects(say(client), { code: "42501" })
    await client.end()
    await postgres.admin(`ALTER ROLE ${postgres.role} RESET standard_conforming_strings`)
    assert.equal(await rows(), held)
  })

  test("what runs by its name, and not by an Execute, is on record first", async () => {
    const client = await connect("watched")
    await client.query("BEGIN")
    await say(client, parse("s", "DELETE FROM items WHERE id = $1 RETURNING *"), bind("c", "s", ["1"]), sync())
    await say(client, query("FETCH ALL FROM c"))
    await say(client, parse("t", "UPDATE items SET name = 'hidden'"), sync())
    await say(client, query("EXECUTE t"))
    await say(client, query("ROLLBACK"))
    await client.end()
    const told = lines().flatMap((line): unknown[] => {
      if (line.kind === "prepared") return [[line.portal, line.statement, line.sql, line.values?.map(({ value }) => value)]]
      return line.kind === "action" && line.action.kind === "postgres.statement" ? [line.action.sql] : []
    })
    assert.deepEqual(told, [
      "BEGIN",
      [undefined, "s", "DELETE FROM items WHERE id = $1 RETURNING *", undefined],
      ["c", "s", "DELETE FROM items WHERE id = $1 RETURNING *", ["1"]],
      "FETCH ALL FROM c",
      [undefined, "t", "UPDATE items SET name = 'hidden'", undefined],
      "EXECUTE t",
      "ROLLBACK",
    ])
  })

  test("what is prepared and executed is on record once", async () => {
    const client = await connect("watched")
    await client.query({ name: "one", text: "SELECT $1::int", values: [1] })
    await client.query("SELECT $1::int", [2])
    await client.end()
    assert.deepEqual(
      lines().filter(({ kind }) => kind === "prepared"),
      [],
    )
  })
})

/** Sends `messages` as they are; settles with the ReadyForQuery that answers them, rejects with an error. */
function say(client: Client, ...messages: readonly Buffer[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const nothing = (): void => {}
    const series = {
      submit: (connection: Connection) => void connection.stream.write(Buffer.concat(messages)),
      handleError: reject,
      handleReadyForQuery: () => resolve(),
      handleRowDescription: nothing,
      handleDataRow: nothing,
      handleCommandComplete: nothing,
      handlePortalSuspended: nothing,
      handleEmptyQuery: nothing,
    }
    client.query(series as Submittable)
  })
}
