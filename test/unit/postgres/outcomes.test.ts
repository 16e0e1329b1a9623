import assert from "node:assert/strict"
import { test } from "node:test"
import { message } from "../../../protocols/postgres/codec.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { limits } from "../../../src/core/limits.ts"
import { bind, bound, complete, Dialogue, execute, failed, parse, parsed, query, ready, sync } from "./dialogue.ts"

const row = message("D", Buffer.alloc(10))
const round = (sql: string) => [parse("", sql), bind("", ""), execute()]

test("outcomes: tag, rows, SQLSTATE and bytes belong to the statement they came from", () => {
  const talk = new Dialogue()
  talk.client(query("SELECT 1"), query("nonsense"), query("SELECT pg_sleep(9)"))
  talk.server(row, row, complete("SELECT 2"), ready(), failed("42601"), ready(), failed("57014"), ready())
  assert.deepEqual(
    talk.outcomes.map(({ action, status, tag, rows, sqlstate }) => [action, status, tag, rows, sqlstate]),
    [
      [0, "ok", "SELECT 2", 2, undefined],
      [1, "error", undefined, undefined, "42601"],
      [2, "cancelled", undefined, undefined, "57014"],
    ],
  )
  assert.equal(talk.outcomes[0]?.bytes_down, 2 * row.length + complete("SELECT 2").length + ready().length)
})

test("outcomes: after an error in a pipeline the rest up to Sync is skipped, and the next round counts from there", () => {
  const talk = new Dialogue()
  talk.client(...round("A"), ...round("B"), ...round("C"), sync(), ...round("D"), sync())
  talk.server(parsed(), bound(), complete("SELECT 1"), parsed(), failed("22012"), ready(), parsed(), bound(), complete("SELECT 1"), ready())
  assert.deepEqual(
    talk.outcomes.map(({ action, status, tag }) => [talk.sql[action], status, tag]),
    [
      ["A", "ok", "SELECT 1"],
      ["B", "error", "skipped"],
      ["C", "error", "skipped"],
      ["D", "ok", "SELECT 1"],
    ],
  )
  assert.ok(!talk.conversation.busy)
})

test("outcomes: what a client sends after an error that it has not seen yet is skipped too", () => {
  const talk = new Dialogue()
  talk.client(...round("A"))
  talk.server(parsed(), bound(), failed("22012"))
  talk.client(...round("B"), sync(), ...round("C"), sync())
  talk.server(ready(), parsed(), bound(), complete("SELECT 1"), ready())
  assert.deepEqual(
    talk.outcomes.map(({ action, status }) => [talk.sql[action], status]),
    [
      ["A", "error"],
      ["B", "error"],
      ["C", "ok"],
    ],
  )
})

test("outcomes: a COPY into the server counts its bytes; the Sync that the server ignores meanwhile is not waited for", () => {
  const talk = new Dialogue()
  const data = message("d", Buffer.alloc(1_000))
  talk.client(...round("COPY items FROM STDIN"), sync())
  talk.server(parsed(), bound(), message("G", Buffer.from([0, 0, 0])))
  talk.client(data, data, message("c"), sync(), query("SELECT 1"))
  talk.server(complete("COPY 2"), ready(), complete("SELECT 1"), ready())
  assert.deepEqual(
    talk.outcomes.map(({ tag, bytes_up }) => [tag, bytes_up]),
    [
      ["COPY 2", 2_000],
      ["SELECT 1", undefined],
    ],
  )
  assert.ok(!talk.conversation.busy)
})

test("outcomes: CopyData that a client still sends after a failed COPY confuses nothing", () => {
  const talk = new Dialogue()
  talk.client(query("COPY items FROM STDIN"))
  talk.server(message("G", Buffer.from([0, 0, 0])), failed("22P02"), ready())
  talk.client(message("d", Buffer.alloc(10)), message("c"), query("SELECT 1"))
  talk.server(complete("SELECT 1"), ready())
  assert.deepEqual(
    talk.outcomes.map(({ status }) => status),
    ["error", "ok"],
  )
})

const copyIn = message("G", Buffer.from([0, 0, 0]))

test("outcomes: a COPY sent whole ahead of its failure leaves nothing behind", () => {
  const talk = new Dialogue()
  talk.client(query("COPY nothing FROM STDIN"), message("d", Buffer.alloc(10)), message("c"))
  talk.server(failed("42P01"), ready())
  assert.ok(!talk.conversation.busy)
  talk.client(query("COPY items FROM STDIN"))
  talk.server(copyIn)
  talk.client(message("d", Buffer.alloc(10)), message("c"))
  talk.server(complete("COPY 1"), ready())
  assert.deepEqual(
    talk.outcomes.map(({ status, tag }) => [status, tag]),
    [
      ["error", undefined],
      ["ok", "COPY 1"],
    ],
  )
})

test("copy: what has no place in it is refused, unless it could have been known to come after it", () => {
  const others = { query: query("SELECT 1"), parse: parse("", "SELECT 1"), bind: bind("", ""), execute: execute() }
  for (const [what, other] of Object.entries(others)) {
    const known = new Dialogue()
    known.client(query("COPY items FROM STDIN"))
    known.server(copyIn)
    assert.throws(() => known.client(other), { code: "protocol_broken" }, what)
    assert.equal(known.actions.length, 1, "it is not on record as allowed")
    assert.ok(known.conversation.busy)

    const ahead = new Dialogue()
    ahead.client(query("COPY items FROM STDIN"), other)
    assert.throws(() => ahead.server(copyIn), { code: "unsupported" }, what)
    assert.ok(ahead.conversation.busy)

    const after = new Dialogue()
    after.client(query("COPY items FROM STDIN"), message("c"), other)
    assert.deepEqual(after.server(copyIn), copyIn)
  }
})

test("busy: until ReadyForQuery, whatever was thought to be asked", () => {
  const talk = new Dialogue()
  assert.ok(!talk.conversation.busy)
  talk.client(query("SELECT 1"))
  talk.conversation.pending.shift()
  assert.ok(talk.conversation.busy)
  talk.server(complete("SELECT 1"), ready())
  assert.ok(!talk.conversation.busy)
  talk.server(complete("SELECT 1"))
  assert.ok(talk.conversation.busy, "the server says that something runs")
  talk.server(ready())
  assert.ok(!talk.conversation.busy)
  talk.client(message("X"))
  assert.ok(!talk.conversation.busy)
})

test("outcomes: an answer that nothing asked for makes names uncertain and passes", () => {
  const talk = new Dialogue()
  talk.client(parse("s", "SELECT 1"), sync())
  talk.server(parsed(), ready())
  assert.deepEqual(talk.server(parsed()), parsed())
  talk.client(bind("", "s"), execute(), sync())
  assert.equal(talk.actions[0]?.unresolved, true)
})

test("outcomes: what runs when the session ends is on record as cut or lost", () => {
  for (const status of ["cut", "lost"] as const) {
    const talk = new Dialogue()
    talk.client(query("SELECT pg_sleep(600)"))
    talk.conversation.close(status)
    assert.equal(talk.outcomes[0]?.status, status)
    assert.ok(talk.conversation.busy, "it still has to be cancelled on the target")
  }
})

test("record: SQL larger than its bound is kept cut with its size, and passes whole", () => {
  const talk = new Dialogue()
  const sql = `SELECT '${"é".repeat(limits.recorded_sql_bytes_max)}'`
  const large = query(sql)
  const passed: Buffer[] = []
  for (let at = 0; at < large.length; at += 65_536) {
    passed.push(talk.client(large.subarray(at, at + 65_536)))
    assert.ok(Buffer.concat(passed).length === 0 || talk.actions.length === 1, "on record before a byte passes")
  }
  assert.deepEqual(Buffer.concat(passed), large)
  assert.equal(talk.actions[0]?.sql_bytes, Buffer.byteLength(sql))
  assert.ok(sql.startsWith(talk.actions[0]?.sql ?? "?"), "cut between two characters")
})

test("record: values larger than their bounds are kept cut with their size, and those out of sight are counted", () => {
  const talk = new Dialogue()
  const large = "v".repeat(limits.recorded_value_bytes_max + 10)
  const huge = Buffer.alloc(limits.recorded_values_bytes_max)
  talk.client(parse("", "INSERT"), bind("", "", [large, huge, "after"]), execute(), sync())
  const { values, values_left_out } = talk.actions[0] ?? {}
  assert.equal(values?.[0]?.bytes, large.length)
  assert.equal(values?.[0]?.value?.length, limits.recorded_value_bytes_max)
  assert.equal(values?.[1]?.bytes, huge.length)
  assert.equal(values_left_out, 1)
})

test("record: passwords are not in it, and reach the server", () => {
  const talk = new Dialogue()
  const alter = query("ALTER ROLE bob PASSWORD 'hunter2'")
  assert.deepEqual(talk.client(alter), alter)
  assert.deepEqual(talk.sql, ["ALTER ROLE bob PASSWORD '[secret]'"])
})

test("denied: a query is refused when it is its turn, with the server's own word on the transaction", () => {
  const talk = new Dialogue((sql) => (sql.startsWith("DROP") ? new GatewayError("action_denied") : undefined))
  assert.deepEqual(talk.client(query("DROP TABLE items")), sync(), "outside a transaction nothing has to fail")
  const said = talk.server(ready())
  assert.match(said.toString("latin1"), /^E.{4}SERROR\0VERROR\0C42501\0Msluice: your grant.*\0\0Z.{4}I$/s)
})

test("denied: in a transaction a query fails on the server too, whose error is ours, so that nothing after it is committed", () => {
  const talk = new Dialogue((sql) => (sql.startsWith("DROP") ? new GatewayError("action_denied") : undefined))
  const passed = talk.client(query("BEGIN"), query("DROP TABLE items"), query("COMMIT")).toString("latin1")
  assert.match(passed, /^Q.{4}BEGIN\0Q.{4}sluice denied [0-9a-f]{32}\0Q.{4}COMMIT\0$/s)
  const said = talk.server(complete("BEGIN"), ready("T"), failed("42601"), ready("E"), complete("ROLLBACK"), ready())
  assert.match(
    said.toString("latin1"),
    /^C.{4}BEGIN\0Z.{4}TE.{4}SERROR\0VERROR\0C42501\0Msluice: your grant.*\0\0Z.{4}EC.{4}ROLLBACK\0Z.{4}I$/s,
  )
  assert.ok(!said.toString("latin1").includes("42601"))
})

test("denied: an Execute fails on the server, which skips to Sync as we do, and its error is ours", () => {
  const talk = new Dialogue((sql) => (sql.startsWith("DROP") ? new GatewayError("action_denied") : undefined))
  const passed = talk.client(...round("SELECT 1"), ...round("DROP TABLE items"), ...round("SELECT 2"), sync())
  assert.match(passed.toString("latin1"), /E.{4}sluice denied [0-9a-f]{32}\0/s)
  assert.equal(passed.length, Buffer.concat([...round("SELECT 1"), ...round("DROP TABLE items"), sync()]).length + 46)
  const said = talk.server(parsed(), bound(), complete("SELECT 1"), parsed(), bound(), failed("34000"), ready())
  assert.match(said.toString("latin1"), /2.{4}E.{4}SERROR\0VERROR\0C42501\0Msluice: your grant.*\0\0Z.{4}I$/s)
  assert.ok(!said.toString("latin1").includes("34000"))
  assert.deepEqual(
    talk.outcomes.map(({ action, status }) => [talk.sql[action], status]),
    [["SELECT 1", "ok"]],
  )
  assert.deepEqual(talk.client(...round("SELECT 3"), sync()), Buffer.concat([...round("SELECT 3"), sync()]), "the next series is whole")
})

test("denied: under a grant for certain actions the server does not get to parse another, and the connection goes on", () => {
  const talk = new Dialogue((sql) => (sql.startsWith("DROP") ? new GatewayError("action_denied") : undefined), { scoped: true })
  const passed = talk.client(...round("SELECT 1"), ...round("DROP TABLE items"), query("SELECT 2"), sync(), ...round("SELECT 3"), sync())
  const bogus = /E.{4}sluice denied [0-9a-f]{32}\0.{4}/s.exec(passed.toString("latin1"))?.[0]
  assert(bogus)
  const expected = [...round("SELECT 1"), Buffer.from(bogus, "latin1"), sync(), ...round("SELECT 3"), sync()]
  assert.deepEqual(passed, Buffer.concat(expected))
  const said = talk.server(
    parsed(),
    bound(),
    complete("SELECT 1"),
    failed("34000"),
    ready(),
    parsed(),
    bound(),
    complete("SELECT 1"),
    ready(),
  )
  assert.match(
    said.toString("latin1"),
    /^1.{4}2.{4}C.{4}SELECT 1\0E.{4}SERROR\0VERROR\0C42501\0M[^\0]*\0\0Z.{4}I1.{4}2.{4}C.{4}SELECT 1\0Z.{4}I$/s,
  )
  assert.deepEqual(talk.sql, ["SELECT 1", "SELECT 3"])
})

test("held: what is being decided about waits, with all that follows it, and is decided about once", async () => {
  const { promise, resolve } = Promise.withResolvers<void>()
  let asked = 0
  const talk = new Dialogue(undefined, { hold: (sql) => (sql === "SELECT 2" ? (asked++, promise) : undefined) })
  assert.deepEqual(talk.client(query("SELECT 1"), query("SELECT 2"), query("SELECT 3")), query("SELECT 1"))
  talk.server(complete("SELECT 1"), ready())
  assert.equal(talk.again().length, 0, "the server's word does not let it pass")
  let finished = false
  void talk.conversation.finished().then(() => (finished = true))
  await new Promise(setImmediate)
  assert.equal(finished, false, "what waits is not over")
  resolve()
  await new Promise(setImmediate)
  assert.equal(talk.readOns, 1)
  assert.deepEqual(talk.again(), Buffer.concat([query("SELECT 2"), query("SELECT 3")]))
  assert.deepEqual([talk.sql, asked], [["SELECT 1", "SELECT 2", "SELECT 3"], 1])
  talk.server(complete("SELECT 1"), ready(), complete("SELECT 1"), ready())
  await new Promise(setImmediate)
  assert(finished)
})

test("held: an Execute that is then refused fails in its place", async () => {
  const talk = new Dialogue((sql) => (sql === "SELECT 2" ? new GatewayError("stale") : undefined), { hold: () => Promise.resolve() })
  const passed = [talk.client(...round("SELECT 2"), ...round("SELECT 3"), sync())]
  await new Promise(setImmediate)
  passed.push(talk.again())
  assert.match(Buffer.concat(passed).toString("latin1"), /^P.*B.*E.{4}sluice denied [0-9a-f]{32}\0.{4}S.{4}$/s)
  assert.match(talk.server(parsed(), bound(), failed("34000"), ready()).toString("latin1"), /C57P03\0M.*cannot be checked.*Z.{4}I$/s)
})

test("a text that is not kept as it was sent says so, in a query and when it is prepared", () => {
  const talk = new Dialogue()
  const latin1 = message("Q", Buffer.concat([Buffer.from("SELECT '"), Buffer.of(0xe9), Buffer.from("'\0")]))
  talk.client(
    query("SELECT 'é'"),
    latin1,
    query("ALTER ROLE a PASSWORD 'x'"),
    parse("", "ALTER ROLE a PASSWORD 'x'"),
    bind("", ""),
    execute(),
    sync(),
  )
  assert.deepEqual(
    talk.actions.map(({ sql, inexact }) => [sql, inexact]),
    [
      ["SELECT 'é'", undefined],
      ["SELECT 'é'", true],
      ["ALTER ROLE a PASSWORD '[secret]'", true],
      ["ALTER ROLE a PASSWORD '[secret]'", true],
    ],
  )
})

test("settings that make another text of the same bytes: what they could change is marked, until they are as usual again", () => {
  const talk = new Dialogue()
  const status = (name: string, value: string): Buffer => message("S", `${name}\0${value}`)
  talk.client(query("SELECT '\\'; DROP TABLE items; --'"))
  talk.server(status("standard_conforming_strings", "off"), ready())
  talk.client(query("SELECT '\\'; DROP TABLE items; --'"), query("SELECT 'plain'"))
  talk.server(ready(), ready())
  talk.client(...round("SELECT E'\\n'"), sync())
  talk.server(parsed(), bound(), complete("SELECT 1"), status("standard_conforming_strings", "on"), ready())
  talk.client(query("SELECT '\\'"))
  talk.server(status("client_encoding", "SJIS"), ready())
  talk.client(query("SELECT 'é'"), query("SELECT 'e'"))
  talk.server(ready(), status("client_encoding", "LATIN1"), ready())
  talk.client(query("SELECT 'é'"))
  assert.deepEqual(
    talk.actions.map(({ ambiguous }) => ambiguous === true),
    [false, true, false, true, false, true, false, true],
  )
})

test("settings that make another text: nothing that they could change is read while the server has yet to say how they stand", () => {
  const doubtful = "SELECT '\\', '; DROP TABLE items; --'"
  const off = message("S", "standard_conforming_strings\0off\0")
  for (const setting of [
    "SET standard_conforming_strings = off",
    "/**/ SET NAMES 'SJIS'",
    "SELECT f()",
    "SELECT s.in (1)",
    "INSERT INTO t VALUES (1, f(2))",
    "UPDATE pg_settings SET a = 'b'",
    "DO ''",
  ]) {
    const talk = new Dialogue()
    assert.deepEqual(talk.client(query(setting), query("SELECT 1"), query(doubtful)), Buffer.concat([query(setting), query("SELECT 1")]))
    talk.server(complete("SET"), off, ready(), complete("SELECT 1"))
    assert.equal(talk.again().length, 0)
    talk.server(ready())
    assert.deepEqual(talk.again(), query(doubtful))
    assert.deepEqual(talk.actions.at(-1), { kind: "postgres.statement", how: "simple", sql: doubtful, ambiguous: true }, setting)
  }
  const series = new Dialogue()
  series.client(...round("SET standard_conforming_strings = off"), ...round(doubtful), sync())
  assert.equal(series.actions[1]?.ambiguous, true, "the server says nothing before the Sync, so it cannot be waited for")
  const plain = new Dialogue()
  const inserts = [
    "BEGIN",
    "INSERT INTO items (id, name) VALUES (1, 'é'), (2, 'ü')",
    "UPDATE items SET name = 'é' WHERE id IN (1, 2);",
    "COMMIT",
  ]
  plain.client(...inserts.map((sql) => query(sql)), ...inserts.flatMap((sql) => round(sql)), sync())
  assert.deepEqual(
    plain.actions.map(({ sql, ambiguous }) => [sql, ambiguous]),
    [...inserts, ...inserts].map((sql) => [sql, undefined]),
    "plain statements are not in each other's way",
  )
})

test("settings that make another text: once they were unusual, whatever runs may bring that back by undoing what was set since", () => {
  const talk = new Dialogue()
  talk.client(query("SELECT 1"))
  talk.server(message("S", "standard_conforming_strings\0off\0"), ready(), message("S", "standard_conforming_strings\0on\0"))
  talk.client(query("SELECT 1 / 0"), query("ROLLBACK; SELECT '\\'"))
  assert.ok(talk.waits)
  talk.server(message("S", "standard_conforming_strings\0off\0"), failed("22012"), ready("E"))
  talk.again()
  assert.equal(talk.actions.at(-1)?.ambiguous, true)
})

test("outcomes: behind a pooler a query, and a series, waits until the one before it was answered", () => {
  const talk = new Dialogue(undefined, { pooler: "session" })
  const passed = talk.client(query("A"), ...round("B"), sync(), query("C"))
  assert.deepEqual(passed, query("A"))
  assert.deepEqual(talk.sql, ["A"], "what waits is not on record as run")
  talk.server(complete("SELECT 1"))
  assert.equal(talk.again().length, 0)
  talk.server(ready())
  assert.deepEqual(talk.again(), Buffer.concat([...round("B"), sync()]))
  talk.server(parsed(), bound(), complete("SELECT 1"), ready())
  assert.deepEqual(talk.again(), query("C"))
  assert.ok(!talk.waits)
})

test("outcomes: behind a pooler the data of a COPY goes with it, and what comes after it waits, also when all of it is sent ahead", () => {
  const talk = new Dialogue(undefined, { pooler: "session" })
  const copy = [query("COPY t FROM STDIN"), message("d", Buffer.alloc(10)), message("c")]
  assert.deepEqual(talk.client(...copy, query("next")), Buffer.concat(copy))
  talk.server(message("G", Buffer.alloc(3)), complete("COPY 1"), ready())
  assert.deepEqual(talk.again(), query("next"))
  assert.deepEqual(talk.sql, ["COPY t FROM STDIN", "next"])
})
