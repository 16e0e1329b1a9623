// What somebody who approves reads of an action: all of it, in one way that it can be meant.
import assert from "node:assert/strict"
import { before, test } from "node:test"
import { loadParser, readStatement } from "../../../src/classify/read_statement.ts"
import type { Action, BoundValue, FileOperation } from "../../../src/core/action.ts"
import { limits } from "../../../src/core/limits.ts"
import { type Shown, shownAction } from "../../../src/gateway/actions/shown_action.ts"

before(loadParser)

const statement = (sql: string, more: object = {}): Action => ({ kind: "postgres.statement", how: "execute", sql, ...more })
const sql = (text: string, more: object = {}): Shown => shownAction(statement(text, more), readStatement(text), undefined)
const file = (operation: FileOperation): string => shownAction({ kind: "ssh.file", channel: 0, ...operation }, undefined, undefined).text

test("shown: two different names of files never read the same", () => {
  assert.equal(file({ op: "rename", path: "/tmp/a", to: "/tmp/b" }), "rename /tmp/a to /tmp/b")
  assert.equal(file({ op: "open", path: "/etc/passwd", flags: ["write", "create"] }), "open /etc/passwd (write, create)")
  assert.equal(
    file({ op: "open", path: "/tmp/x", flags: ["write"], set: { mode: 0o4755, uid: 0 } }),
    "open /tmp/x (write) set mode 04755, uid 0",
  )
  assert.equal(file({ op: "setattr", path: "/tmp/x", set: { mode: 0o100644 } }), "setattr /tmp/x set mode 0100644")
  const names = ["a", "a to b", "b to c", "c", 'a" to "b', '"a"', "", " ", "base64:YQ==", { base64: "YQ==" }, "a\u00a0to b", "a\nto b"]
  const texts = names.flatMap((path) => names.map((to) => file({ op: "rename", path, to })))
  assert.equal(new Set(texts).size, texts.length)
  assert.equal(file({ op: "remove", path: 'my "own" file' }), 'remove "my ""own"" file"')
})

test("shown: a text that does several things says each, and not only the strongest", () => {
  const { action_kind, notes } = sql("BEGIN; DELETE FROM orders WHERE id = 3; DROP TABLE audit.log; COMMIT")
  assert.equal(action_kind, "ddl")
  assert.deepEqual(notes, ["it does several things: transaction, delete on orders, ddl on audit.log"])
  assert.deepEqual(sql("BEGIN; DELETE FROM orders WHERE id = 3; COMMIT").notes, [])
  const many = Array.from({ length: 30 }, (_, at) => `DROP TABLE t${at}`).join(";")
  assert.match(sql(`DELETE FROM orders WHERE id = 3; ${many}`).notes[0] ?? "", /ddl on t18, and 11 more$/)
})

test("shown: every value is there, a binary one as what it says or in hex, NULL unlike a text; what is not whole is refused", () => {
  const values: BoundValue[] = [
    { oid: 0, format: "text", value: "NULL" },
    { oid: 0, format: "null", value: null },
    { oid: 0, format: "binary", value: "00000011", text: "17" },
    { oid: 0, format: "binary", value: "cafe" },
    ...Array.from({ length: 100 }, (_, at): BoundValue => ({ oid: 0, format: "text", value: `v${at}` })),
  ]
  const shown = sql("SELECT $1", { values })
  assert.deepEqual(shown.values.slice(0, 5), ["NULL", null, "17", "\\xcafe", "v0"])
  assert.equal(shown.values.length, 104)
  const long = "x".repeat(limits.hold_values_chars_max)
  for (const [more, why] of [
    [{ values: [{ oid: 0, format: "text", value: "x", bytes: 100_000 }] }, /one of its values is too large/],
    [{ values: [{ oid: 0, format: "text", value: long }, values[0]] }, /too long to be shown/],
    [{ values_left_out: 3 }, /its values are too large/],
    [{ sql_bytes: 2_000_000 }, /too long to be shown/],
    [{ unresolved: true }, /not known for certain/],
    [{ inexact: true }, /not UTF-8/],
  ] as const)
    assert.throws(() => sql("SELECT $1", more), { code: "cannot_be_held", message: why })
  assert.throws(() => sql(`SELECT '${"x".repeat(limits.hold_text_chars_max)}'`), { code: "cannot_be_held" })
})

test("shown: other values, another operation, another flag are another digest", () => {
  const digests = [
    sql("DELETE FROM t WHERE id = $1", { values: [{ oid: 0, format: "text", value: "1" }] }),
    sql("DELETE FROM t WHERE id = $1", { values: [{ oid: 0, format: "text", value: "2" }] }),
    sql("DELETE FROM t WHERE id = $1", { values: [{ oid: 0, format: "binary", value: "1" }] }),
    sql("DELETE FROM t WHERE id = $1", { values: [{ oid: 0, format: "null", value: null }] }),
    sql("DELETE FROM t WHERE id = $1 "),
  ].map(({ digest }) => digest)
  assert.equal(new Set(digests).size, digests.length)
})
