// Which values of an SQL text belong to protected columns, as PostgreSQL's parser sees it; each case marks them, «so».
import assert from "node:assert/strict"
import { after, before, test } from "node:test"
import { ValueFinder } from "../../../src/classify/value_finder.ts"
import { mayHoldValues, parseColumn } from "../../../src/core/protected_column.ts"

const columns = ["users.ssn", "card_number", "audit.log.body"].map(parseColumn)
const finder = new ValueFinder()
before(() => finder.load())
after(() => finder.close())

const number = /^-?\d+|^\$\d+|^'[^']*'|^(?:true|false)/

/** The text with «» around what is found; "unknown" when it cannot be told. */
async function marked(sql: string): Promise<string> {
  const found = await finder.find(sql, columns)
  if (found === "unknown") return found
  const places = [
    ...found.literals,
    ...found.params.flatMap((param) => [...sql.matchAll(new RegExp(`\\$${param}\\b`, "g"))].map(({ index }) => index)),
  ]
  return places
    .sort((one, other) => other - one)
    .reduce((text, at) => {
      const [literal = ""] = number.exec(text.slice(at)) ?? []
      assert.notEqual(literal, "", `nothing at ${at} of ${sql}`)
      return `${text.slice(0, at)}«${literal}»${text.slice(at + literal.length)}`
    }, sql)
}

async function each(cases: readonly string[]): Promise<void> {
  for (const expected of cases) assert.equal(await marked(expected.replace(/[«»]/g, "")), expected)
}

test("protected values: what is put into such a column", () =>
  each([
    "INSERT INTO users (id, ssn) VALUES (1, «'x'»), ($1, lower(«$2»))",
    "INSERT INTO users VALUES («1», «$1»)",
    "INSERT INTO users (id, ssn) SELECT 1, «$1»",
    "INSERT INTO users (id, ssn) SELECT id, s FROM (VALUES («1», «$1»)) v(id, s)",
    "INSERT INTO users (ssn) SELECT «1» UNION ALL SELECT «'2'»",
    "INSERT INTO users (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET ssn = «$1», name = $2 WHERE users.id = 7",
    "UPDATE users SET name = 'a', ssn = «'b'», n = -5 WHERE id = $1",
    "UPDATE users SET (name, ssn) = ($1, «$2»), (a, b) = (SELECT 1, 2)",
    "UPDATE users u SET ssn = v.s FROM (VALUES («1», «'x'»)) v(id, s) WHERE u.name = 'a'",
    "MERGE INTO users u USING t ON u.id = t.id WHEN MATCHED THEN UPDATE SET ssn = «$1», n = $2 WHEN NOT MATCHED THEN INSERT (id, ssn) VALUES ($3, «$4»)",
    "INSERT INTO payments (card_number, amount) VALUES («4111111111111111», 12)",
    "UPDATE payments SET card_number = «-5»",
    "ALTER TABLE users ALTER ssn SET DEFAULT «'x'», ALTER name SET DEFAULT 'y'",
    "CREATE TABLE payments (card_number text DEFAULT «'x'», n int DEFAULT 7)",
    "PREPARE p AS INSERT INTO users (id, ssn) VALUES ($1, «$2»)",
    "EXPLAIN ANALYZE UPDATE users SET ssn = «'x'»",
    "WITH new AS (INSERT INTO users (ssn) VALUES («$1») RETURNING id) SELECT * FROM new WHERE id > $2",
  ]))

test("protected values: what is compared with such a column, up to the next AND or OR", () =>
  each([
    "SELECT * FROM users WHERE ssn = «'x'» AND id = 5 LIMIT 10",
    "SELECT * FROM users AS u WHERE upper(u.ssn) LIKE upper(«$1») || «'%'» OR NOT name = $2",
    "SELECT * FROM users WHERE ssn IN («$1», «'y'») AND id BETWEEN 1 AND 2",
    "SELECT * FROM users WHERE ssn = ANY («$1»::text[]) AND n = 1::varchar(10)",
    "SELECT * FROM users WHERE (id, ssn) = («$1», «$2»)",
    "SELECT CASE WHEN ssn = «$1» THEN «'a'» END, 'b' FROM users",
    "SELECT 1 FROM a WHERE EXISTS (SELECT 1 FROM users WHERE ssn = «$1» AND id = $2)",
    "SELECT x FROM users JOIN t ON t.v = ssn AND t.v <> «'z'» WHERE x = 1",
    "WITH c AS (SELECT ssn AS s, id FROM users) SELECT * FROM c WHERE s = «$1» AND id = $2",
    "WITH c(i, s) AS (SELECT id, ssn FROM users) SELECT * FROM c WHERE s = «$1»",
    "SELECT * FROM unnest(«$1»::text[]) AS k(ssn) JOIN users USING (ssn)",
    "SELECT * FROM users u WHERE to_jsonb(u) ->> «'ssn'» = «$1»",
    "DELETE FROM users WHERE 'é' <> $1 AND ssn = «'é'» AND name = '\u{1f600}'",
    "COPY (SELECT id FROM users WHERE ssn = «'x'») TO STDOUT",
    "SELECT 1; UPDATE users SET ssn = «'x'»; SELECT 'y'",
  ]))

test("protected values: other tables, other schemas and code are left", () =>
  each([
    "INSERT INTO people (ssn) VALUES ('x')",
    "SELECT ssn FROM people WHERE ssn = $1",
    "INSERT INTO audit.log (body) VALUES («'x'»)",
    "INSERT INTO log (body) VALUES («'x'»)",
    "INSERT INTO other.log (body) VALUES ('x')",
    "SELECT 'ssn', $1",
    "DO $x$ BEGIN UPDATE users SET ssn = 'x'; END $x$",
    "SELECT ssn, count(*) FROM users WHERE id = 1 GROUP BY ssn LIMIT $1",
  ]))

test("protected values: what cannot be told is unknown", async () => {
  for (const sql of [
    "UPDATE users SET ssn = ",
    "WITH v AS (VALUES (1, 'x')) INSERT INTO users SELECT * FROM v",
    "INSERT INTO users (id, ssn) SELECT * FROM (VALUES (1, 'x')) v",
    `SELECT ssn FROM users WHERE ${"(".repeat(20_000)}1${")".repeat(20_000)} = 1`,
  ])
    assert.equal(await marked(sql), "unknown", sql.slice(0, 80))
  assert.equal(await marked("SELECT ssn FROM users WHERE ssn = 'x'"), "SELECT ssn FROM users WHERE ssn = «'x'»") // also after that
})

test("protected values: a name that is written by its characters' numbers is found", async () => {
  assert.equal(await marked(`UPDATE users SET U&"\\0073sn" = 'x'`), `UPDATE users SET U&"\\0073sn" = «'x'»`)
})

test("protected values: only a text that may hold one is read", () => {
  for (const sql of ["SELECT 1", "INSERT INTO orders VALUES ($1)", "UPDATE users SET name = $1"])
    assert.equal(mayHoldValues(sql, [parseColumn("users.ssn")]), false, sql)
  for (const sql of ["select SSN", "INSERT INTO Users VALUES ($1)", `SELECT U&"\\0073sn"`])
    assert.equal(mayHoldValues(sql, [parseColumn("users.ssn")]), true, sql)
  assert.equal(mayHoldValues("insert into anything values (1)", [parseColumn("ssn")]), true)
})

test("protected values: a column is written as one to three names", () => {
  assert.deepEqual(parseColumn("public.users.ssn"), { schema: "public", table: "users", name: "ssn" })
  assert.deepEqual(parseColumn("ssn"), { schema: undefined, table: undefined, name: "ssn" })
  for (const wrong of ["", "a.", ".b", "a.b.c.d", 'a."b"', "a b"]) assert.throws(() => parseColumn(wrong), /not a column/, wrong)
})
