import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { ColumnValues, withoutLiterals } from "../../../protocols/postgres/column_values.ts"
import { ValueFinder } from "../../../src/classify/value_finder.ts"
import { parseColumn } from "../../../src/core/protected_column.ts"
import { bind, bound, complete, Dialogue, execute, parse, parsed, query, ready, sync } from "./dialogue.ts"

const finder = new ValueFinder()
before(() => finder.load())
after(() => finder.close())

function talk(unsure: "hide" | "keep" = "hide"): Dialogue {
  const protection = { columns: [parseColumn("users.ssn")], unsure }
  return new Dialogue(undefined, { columns: new ColumnValues(protection, (sql, columns) => finder.find(sql, columns)) })
}

/** What the client says is read again once its text is known; answers what reached the server. */
async function say(dialogue: Dialogue, ...messages: readonly Buffer[]): Promise<Buffer> {
  const passed = [dialogue.client(...messages)]
  while (dialogue.waits) {
    const before = dialogue.readOns
    while (dialogue.readOns === before) await new Promise(setImmediate)
    passed.push(dialogue.again())
  }
  return Buffer.concat(passed)
}

const secret = "078-05-1120"

test("column values: a literal goes from the record, and nothing passes before it is known which; the server gets it all", async () => {
  const dialogue = talk()
  const asked = query(`UPDATE users SET name = 'ada', ssn = '${secret}' WHERE id = -7`)
  assert.equal(dialogue.client(asked).length, 0)
  assert.deepEqual([dialogue.waits, dialogue.sql], [true, []])
  while (dialogue.readOns === 0) await new Promise(setImmediate)
  assert.deepEqual(dialogue.again(), asked)
  assert.deepEqual(dialogue.sql, ["UPDATE users SET name = 'ada', ssn = '[secret]' WHERE id = -7"])
  assert.deepEqual([dialogue.actions[0]?.inexact, dialogue.actions[0]?.secret], [true, true])
})

test("column values: of the values bound to a statement those of the column go, text and binary, and NULL stays", async () => {
  const dialogue = talk()
  const series = [
    parse("s", "INSERT INTO users (id, ssn, name) VALUES ($1, $2, $3)", 0, 25, 25),
    ...[secret, Buffer.from(secret), null].flatMap((value) => [bind("", "s", ["1", value, "ada"]), execute()]),
    sync(),
  ]
  assert.deepEqual(await say(dialogue, ...series), Buffer.concat(series))
  const values = dialogue.actions.map(({ values: all }) => all?.map(({ value, text, redacted }) => text ?? (redacted ? "[secret]" : value)))
  assert.deepEqual(values, [
    ["1", "[secret]", "ada"],
    ["1", "[secret]", "ada"],
    ["1", null, "ada"],
  ])
  assert.ok(!JSON.stringify(dialogue.actions).includes(secret))
  assert.ok(!JSON.stringify(dialogue.actions).includes(Buffer.from(secret).toString("hex")))
  assert.deepEqual([dialogue.sql[0], dialogue.actions[0]?.inexact], ["INSERT INTO users (id, ssn, name) VALUES ($1, $2, $3)", undefined])
})

test("column values: what is prepared by its text is known the second time, and nothing waits", async () => {
  const first = talk()
  await say(first, parse("", "SELECT id FROM users WHERE ssn = $1"), sync())
  const protection = { columns: [parseColumn("users.ssn")], unsure: "hide" } as const
  const columns = new ColumnValues(protection, (sql, wanted) => finder.find(sql, wanted))
  const again = new Dialogue(undefined, { columns })
  await say(again, parse("", "SELECT id FROM users WHERE ssn = $1"), bind("", "", [secret]), execute(), sync())
  again.server(parsed(), bound(), complete("SELECT 0"), ready())
  again.client(parse("", "SELECT id FROM users WHERE ssn = $1"), bind("", "", [secret]), execute(), sync())
  assert.equal(again.waits, false)
  assert.deepEqual(
    again.actions.map(({ values }) => values?.[0]?.value),
    ["[secret]", "[secret]"],
  )
})

test("column values: where it cannot be told all values are hidden, or kept, as the config says", async () => {
  const broken = `UPDATE users SET ssn = '${secret}', n = 5 WHERE`
  const hidden = talk()
  await say(hidden, query(broken))
  assert.deepEqual(hidden.sql, ["UPDATE users SET ssn = '[secret]', n = '[secret]' WHERE"])
  const kept = talk("keep")
  await say(kept, query(broken))
  assert.deepEqual(kept.sql, [broken])
  const bindUnknown = [bind("", "nowhere", [secret]), execute(), sync()]
  await say(hidden, ...bindUnknown)
  assert.deepEqual([hidden.actions[1]?.unresolved, hidden.actions[1]?.values?.[0]?.value], [true, "[secret]"])
  await say(kept, ...bindUnknown)
  assert.equal(kept.actions[1]?.values?.[0]?.value, secret)
})

test("column values: EXECUTE gives a prepared statement values with no column in sight", async () => {
  const dialogue = talk()
  await say(dialogue, query(`EXECUTE p('${secret}')`)) // nobody has prepared anything
  await say(dialogue, query("PREPARE p AS UPDATE users SET ssn = $1"), query(`EXECUTE p('${secret}')`), query("SELECT 'plain'"))
  assert.deepEqual(dialogue.sql.slice(2), ["EXECUTE p('[secret]')", "SELECT 'plain'"])
  const other = talk()
  await say(other, parse("q", "UPDATE users SET ssn = $1"), sync(), query(`EXECUTE q('${secret}')`))
  assert.deepEqual(other.sql, ["EXECUTE q('[secret]')"])
})

test("column values: literals of every form go whole, and only at their places", () => {
  const at = (sql: string, ...found: readonly string[]) =>
    withoutLiterals(
      sql,
      found.map((one) => sql.indexOf(one)),
    )
  assert.equal(at("a = E'x\\'y' b 'z'", "E'"), "a = '[secret]' b 'z'")
  assert.equal(at("a = $q$it's$q$, 'z'", "$q$"), "a = '[secret]', 'z'")
  assert.equal(at("a = 'x'\n 'y' = 1", "'x"), "a = '[secret]' = 1")
  assert.equal(
    at("a = -4.5e7, b = .5, c = 0x1F, d = TRUE", "-4", ".5,", "0x", "TRUE"),
    "a = -'[secret]', b = '[secret]', c = '[secret]', d = '[secret]'",
  )
  assert.equal(at("a = - /* x */ 45", "-"), "a = - /* x */ '[secret]'")
  assert.equal(at("a = B'101' $1 'x'", "B'"), "a = '[secret]' $1 'x'")
  for (const place of ["a ", "$1", "-- 'x'"]) assert.equal(at("a = $1 - b -- 'x'", place), undefined, place)
  assert.equal(withoutLiterals("'x'", [99]), undefined)
})

test("column values: code is not hidden with the rest, nor what may be code by another reading", () => {
  assert.equal(withoutLiterals("DO 'BEGIN x; END'; SELECT 'a', 1, $1", "all"), "DO 'BEGIN x; END'; SELECT '[secret]', '[secret]', $1")
  const named = "SELECT '[secret]'; /* a */ DO LANGUAGE plpgsql 'BEGIN x; END'"
  assert.equal(withoutLiterals(named.replace("[secret]", "a"), "all"), named)
  assert.equal(withoutLiterals("DO $$BEGIN x 'y'; END$$", "all"), "DO $$BEGIN x 'y'; END$$")
  const twoWays = "SELECT 'a\\' , '; DELETE FROM t; --'"
  assert.equal(withoutLiterals(twoWays, "all"), "SELECT '[secret]' , '; DELETE FROM t; --'")
})
