import assert from "node:assert/strict"
import { test } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { message } from "../../../protocols/postgres/codec.ts"
import { Statements } from "../../../protocols/postgres/statements.ts"
import { limits } from "../../../src/core/limits.ts"
import { bind, bound, closed, closeStatement, complete, Dialogue, execute, failed, parse, parsed, query, ready, sync } from "./dialogue.ts"

test("names: an execution is recorded with the text and the values behind its portal", () => {
  const talk = new Dialogue()
  talk.client(parse("s1", "SELECT $1, $2, $3, $4", 23, 17), bind("", "s1", ["7", Buffer.of(1, 255), null, ""]), execute(), sync())
  assert.deepEqual(talk.actions, [
    {
      kind: "postgres.statement",
      how: "execute",
      sql: "SELECT $1, $2, $3, $4",
      statement: "s1",
      values: [
        { oid: 23, format: "text", value: "7" },
        { oid: 17, format: "binary", value: "01ff" },
        { oid: 0, format: "null", value: null },
        { oid: 0, format: "text", value: "" },
      ],
    },
  ])
  talk.server(parsed(), bound(), complete("SELECT 1"), ready())
  assert.equal(talk.outcomes[0]?.rows, 1)
  talk.client(bind("", "s1", ["8"]), execute(), sync())
  assert.equal(talk.actions[1]?.values?.[0]?.value, "8")
})

test("names: a Parse that the server refused does not replace the text that will run", () => {
  const talk = new Dialogue()
  talk.client(parse("", "DROP TABLE items"), sync())
  talk.server(parsed(), ready())
  // The client does not wait: the second Parse is skipped, because the first of its round fails.
  const passed = talk.client(parse("x", "nonsense"), parse("", "SELECT 1"), sync(), bind("", ""), execute(), sync())
  assert.ok(talk.waits)
  assert.deepEqual(passed, Buffer.concat([parse("x", "nonsense"), parse("", "SELECT 1"), sync()]))
  assert.deepEqual(talk.sql, [])
  talk.server(failed("42601"), ready())
  talk.again()
  assert.deepEqual(talk.sql, ["DROP TABLE items"])
  assert.equal(talk.actions[0]?.unresolved, undefined)
})

test("names: a pipeline of rounds that mean one thing does not wait", () => {
  const talk = new Dialogue()
  talk.client(parse("s", "SELECT 1"), sync(), bind("", "s"), execute(), sync(), bind("", "s"), execute(), sync())
  assert.ok(!talk.waits)
  assert.deepEqual(talk.sql, ["SELECT 1", "SELECT 1"])
  assert.ok(talk.actions.every(({ unresolved }) => !unresolved))
})

test("names: an unknown one is recorded as unresolved", () => {
  const talk = new Dialogue()
  talk.client(bind("p", "nowhere"), execute("p"), execute("q"), sync())
  assert.deepEqual(
    talk.actions.map(({ sql, unresolved, statement, portal }) => [sql, unresolved, statement, portal]),
    [
      ["", true, "nowhere", "p"],
      ["", true, undefined, "q"],
    ],
  )
})

test("names: they are 63 bytes long to the server, and so to the record", () => {
  const talk = new Dialogue()
  talk.client(parse(`${"n".repeat(63)}one`, "DROP TABLE items"), bind("", `${"n".repeat(63)}two`), execute(), sync())
  assert.deepEqual(talk.sql, ["DROP TABLE items"])
})

test("names: Close, DEALLOCATE and DISCARD ALL forget; SQL's PREPARE is known by its own text", () => {
  const talk = new Dialogue()
  const run = (...names: string[]) => {
    for (const name of names) {
      talk.client(bind("", name), execute(), sync())
      talk.server(failed("26000"), ready())
    }
    return talk.actions.splice(0).map(({ sql, unresolved }) => (unresolved ? `? ${sql}` : sql))
  }
  const say = (sql: string, tag: string) => {
    talk.client(query(sql))
    talk.server(complete(tag), ready())
    talk.actions.length = 0
  }
  talk.client(parse("a", "A"), parse("b", "B"), parse("c", "C"), closeStatement("a"), sync())
  talk.server(parsed(), parsed(), parsed(), closed(), ready())
  assert.deepEqual(run("a", "b", "c"), ["? ", "B", "C"])
  say('DEALLOCATE PREPARE "b"', "DEALLOCATE")
  assert.deepEqual(run("b", "c"), ["? ", "C"])
  say("PREPARE d AS DELETE FROM items", "PREPARE")
  assert.deepEqual(run("d", "c"), ["PREPARE d AS DELETE FROM items", "C"])
  say("DEALLOCATE d; PREPARE c AS DROP TABLE items", "PREPARE")
  assert.deepEqual(run("c", "d"), ["? ", "? "])
  talk.client(parse("e", "E"), sync())
  talk.server(parsed(), ready())
  say("DISCARD ALL", "DISCARD ALL")
  assert.deepEqual(run("e"), ["? "])
})

test("names: one that is another's in another encoding, or cut by the server, is never certain", () => {
  const ascii = "n".repeat(62)
  for (const [name, ...says] of [
    ["caf\u00e9"],
    [ascii, [`DEALLOCATE "${ascii}\u00e9"`, "DEALLOCATE"], [`PREPARE "${ascii}\u00e9" AS DROP TABLE items`, "PREPARE"]],
    ["s", ["DO $$BEGIN EXECUTE 'DEALLOCATE s'; EXECUTE 'PREPARE s AS DROP TABLE items'; END$$", "DO"]],
    ["s", [`SELECT 1; /*${" ".repeat(limits.recorded_sql_bytes_max)}*/ DEALLOCATE s; PREPARE s AS DROP TABLE items`, "PREPARE"]],
  ] as const) {
    const talk = new Dialogue()
    talk.client(parse(name, "SELECT 1"), sync())
    talk.server(parsed(), ready())
    for (const [sql, tag] of says as readonly (readonly [string, string])[]) {
      talk.client(query(sql))
      talk.server(complete(tag), ready())
    }
    talk.client(bind("", name), execute(), sync())
    assert.equal(talk.actions.at(-1)?.unresolved, true, name)
  }
})

test("names: after a renaming statement in the same pipeline nothing older is certain", () => {
  const talk = new Dialogue()
  talk.client(parse("s", "SELECT 1"), sync())
  talk.server(parsed(), ready())
  talk.client(parse("", "DEALLOCATE s"), bind("", ""), execute(), bind("", "s"), execute(), sync())
  assert.deepEqual(
    talk.actions.map(({ sql, unresolved }) => [sql, unresolved]),
    [
      ["DEALLOCATE s", undefined],
      ["SELECT 1", true],
    ],
  )
})

test("names: portals end with the transaction, the unnamed ones with a simple query", () => {
  const talk = new Dialogue()
  talk.client(parse("", "SELECT 1"), bind("p", ""), sync())
  talk.server(parsed(), bound(), ready("T"))
  talk.client(execute("p"), sync())
  assert.equal(talk.actions[0]?.unresolved, undefined)
  talk.server(complete("SELECT 1"), ready("I"))
  talk.client(execute("p"), sync())
  assert.equal(talk.actions[1]?.unresolved, true)
  talk.server(failed("34000"), ready())
  talk.client(query("SELECT 2"))
  talk.server(complete("SELECT 1"), ready())
  talk.client(bind("", ""), execute(), sync())
  assert.equal(talk.actions[3]?.unresolved, true)
})

test("names: a portal that a block may have closed and opened again is not certain", () => {
  const talk = new Dialogue()
  talk.client(parse("", "SELECT 1"), bind("c", ""), sync())
  talk.server(parsed(), bound(), ready("T"))
  talk.client(query("DO $$DECLARE r refcursor := 'c'; BEGIN CLOSE r; OPEN r FOR DELETE FROM items RETURNING *; END$$"))
  talk.server(complete("DO"), ready("T"))
  talk.client(execute("c"), sync())
  assert.equal(talk.actions.at(-1)?.unresolved, true)
})

test("names: what was bound and not executed makes a FETCH uncertain, for as long as the server may have it", () => {
  const talk = new Dialogue((sql) => (/DROP/.test(sql) ? new GatewayError("rule_denied") : undefined))
  const fetched = (): boolean | undefined => {
    talk.client(query("FETCH ALL FROM c"))
    talk.server(complete("FETCH 1"), ready("T"))
    return talk.actions.at(-1)?.unresolved
  }
  talk.client(query("BEGIN"))
  talk.server(complete("BEGIN"), ready("T"))
  assert.equal(fetched(), undefined)
  talk.client(parse("s", "SELECT 1"), bind("c", "s"), sync())
  talk.server(parsed(), bound(), ready("T"))
  assert.equal(fetched(), true)
  talk.client(execute("c"), sync())
  talk.server(complete("SELECT 1"), ready("T"))
  assert.equal(fetched(), undefined, "it was allowed to run")
  talk.client(parse("d", "DROP TABLE items"), bind("c", "d"), execute("c"), sync())
  talk.server(parsed(), bound(), failed("34000"), ready("T"))
  assert.equal(fetched(), true, "it was not")
  talk.client(query("ROLLBACK TO a"))
  talk.server(complete("ROLLBACK"), ready("T"))
  assert.equal(fetched(), true, "of a savepoint")
  talk.client(bind("other", "nowhere"), sync(), query("COMMIT"))
  talk.server(failed("26000"), ready("T"), complete("COMMIT"), ready("I"))
  assert.equal(fetched(), undefined)
})

test("names: what is prepared is on record before it passes, or as what runs", () => {
  const talk = new Dialogue()
  talk.client(parse("s", "SELECT $1"), bind("", "s", ["1"]), execute(), sync(), parse("t", "SELECT 2"), parse("", "SELECT 3"), sync())
  talk.client(bind("", "s", ["2"]), bind("q", "s", ["3"]))
  talk.client(execute("q"), sync())
  assert.deepEqual(talk.prepared, [
    { kind: "prepared", statement: "t", sql: "SELECT 2" },
    { kind: "prepared", statement: "s", portal: "", sql: "SELECT $1", values: [{ oid: 0, format: "text", value: "2" }] },
    { kind: "prepared", statement: "s", portal: "q", sql: "SELECT $1", values: [{ oid: 0, format: "text", value: "3" }] },
  ])
  assert.deepEqual(
    talk.actions.map(({ values }) => values?.[0]?.value),
    ["1", "3"],
  )
})

test("names: what is kept of statements is bounded for all connections together, and each has a little all the same", () => {
  const statement = (size: number) => ({ sql: "x".repeat(size), sql_bytes: undefined, inexact: false, oids: [], renames: false })
  const large = statement(limits.postgres_statement_bytes_max / 8)
  const all = Array.from(
    { length: Math.ceil(limits.postgres_statement_bytes_all_max / limits.postgres_statement_bytes_max) + 2 },
    () => new Statements(false),
  )
  const fill = (): void => all.forEach((one) => Array.from({ length: 7 }, (_, nth) => one.parsed(`n${nth}`, large)))
  const last = new Statements(false)
  try {
    assert.throws(fill, { code: "too_large" })
    last.parsed("small", statement(100))
    assert.throws(() => last.parsed("large", large), { code: "too_large" })
  } finally {
    for (const one of [...all, last]) one.forget()
  }
  last.parsed("large", large)
  last.forget()
  const talk = new Dialogue()
  talk.client(parse("s", "SELECT 1"), sync())
  talk.server(parsed(), ready())
  assert(talk.conversation.statements.bytes > 0)
  talk.conversation.close("lost")
  assert.equal(talk.conversation.statements.bytes, 0, "the end of a connection gives back what it had")
})

test("names: types, and values that are NULL, take memory too", () => {
  const count = Buffer.of(0xea, 0x60) // 60,000
  const many = Math.floor(limits.postgres_statement_bytes_max / 8 / 60_000) + 1
  const types = Buffer.concat([count, Buffer.alloc(4 * 60_000, 1)])
  const nulls = Buffer.concat([Buffer.alloc(2), count, Buffer.alloc(4 * 60_000, 0xff), Buffer.alloc(2)])
  for (const [made, answer] of [
    [(name: string) => message("P", name, "SELECT 1", types), parsed()],
    [(name: string) => message("B", name, "", nulls), bound()],
  ] as const) {
    const talk = new Dialogue()
    const fill = (): void => {
      for (let nth = 0; nth < many; nth++) {
        talk.client(made(`n${nth}`), sync())
        talk.server(answer, ready("T"))
      }
    }
    assert.throws(fill, { code: "too_large" })
    talk.conversation.close("lost")
  }
})
