import assert from "node:assert/strict"
import { before, test } from "node:test"
import { loadParser, readStatement } from "../../../src/classify/read_statement.ts"
import type { Action } from "../../../src/core/action.ts"
import { whyNoEstimate } from "../../../src/gateway/actions/row_estimate.ts"

before(loadParser)

const statement = (sql: string, more: object = {}): Action => ({ kind: "postgres.statement", how: "simple", sql, ...more })

for (const sql of [
  "SELECT * FROM t WHERE id = 1",
  "DELETE FROM t WHERE lower(name) = 'x'",
  "UPDATE t SET n = n + 1",
  "INSERT INTO t SELECT * FROM u",
  "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE",
  "WITH gone AS (DELETE FROM t RETURNING id) SELECT count(*) FROM gone",
])
  test(`estimates: may be planned: ${sql}`, () => assert.equal(whyNoEstimate(statement(sql), readStatement(sql)), undefined))

for (const [sql, why] of [
  ["DELETE FROM t WHERE id = mine(1)", /may run code/],
  ["DELETE FROM t WHERE id OPERATOR(mine.=) 1", /may run code/],
  ["SELECT nextval('s')", /may run code/],
  ["EXPLAIN ANALYZE EXECUTE gone", /may run code/],
  ["DROP TABLE t", /what is ddl has no plan/],
  ["TRUNCATE t", /what is ddl has no plan/],
  ["COPY t TO STDOUT", /what is copy has no plan/],
  ["BEGIN; DELETE FROM t WHERE id = 1", /what is transaction has no plan/],
  ["DO $$ BEGIN END $$", /what is do has no plan|may run code/],
  ["not sql at all", /may run code/],
] as const)
  test(`estimates: is not planned: ${sql}`, () => assert.match(whyNoEstimate(statement(sql), readStatement(sql)) ?? "", why))

test("estimates: what is not shown whole is not planned, nor what no rule has read, nor what is no SQL", () => {
  const sql = "DELETE FROM t WHERE id = $1"
  const facts = readStatement(sql)
  assert.match(whyNoEstimate(statement(sql, { inexact: true, secret: true }), facts) ?? "", /a secret in it/)
  const values = [{ oid: 0, format: "text", value: "[secret]", redacted: true }]
  assert.match(whyNoEstimate(statement(sql, { values }), facts) ?? "", /a secret in it/)
  assert.match(whyNoEstimate(statement(sql), undefined) ?? "", /no rule looks into SQL/)
  assert.match(whyNoEstimate({ kind: "ssh.exec", channel: 0, command: "x" }, undefined) ?? "", /only an SQL statement/)
})
