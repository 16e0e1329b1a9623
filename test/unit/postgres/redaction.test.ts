import assert from "node:assert/strict"
import { test } from "node:test"
import { message } from "../../../protocols/postgres/codec.ts"
import { redact, redactValue } from "../../../protocols/postgres/redaction.ts"
import { parsePattern } from "../../../src/core/pattern.ts"
import { bind, Dialogue, execute, parse, query, sync } from "./dialogue.ts"

const secret = "hunter2"
const cases: readonly (readonly [string, string])[] = [
  ["ALTER ROLE bob PASSWORD 'hunter2'", "ALTER ROLE bob PASSWORD '[secret]'"],
  ["create user x with encrypted password 'hunter2' login", "create user x with encrypted password '[secret]' login"],
  ["ALTER ROLE bob PASSWORD/* x */\n -- y\n'hunter2'", "ALTER ROLE bob PASSWORD/* x */\n -- y\n'[secret]'"],
  ["ALTER ROLE bob PASSWORD E'it\\'s hunter2' VALID UNTIL 'x'", "ALTER ROLE bob PASSWORD '[secret]' VALID UNTIL 'x'"],
  ["ALTER ROLE bob PASSWORD 'it''s hunter2'; SELECT 'x'", "ALTER ROLE bob PASSWORD '[secret]'; SELECT 'x'"],
  ["ALTER ROLE bob PASSWORD $$hunter2$$", "ALTER ROLE bob PASSWORD '[secret]'"],
  ["ALTER ROLE bob PASSWORD $a$hunter2 $$ $a$ NOLOGIN", "ALTER ROLE bob PASSWORD '[secret]' NOLOGIN"],
  ["ALTER ROLE bob PASSWORD U&'hunter2'", "ALTER ROLE bob PASSWORD '[secret]'"],
  ["ALTER ROLE bob PASSWORD 'hunter2", "ALTER ROLE bob PASSWORD '[secret]'"],
  ["ALTER ROLE bob PASSWORD 'hun'\n -- x\n'ter2'", "ALTER ROLE bob PASSWORD '[secret]'"],
  ["ALTER ROLE bob PASSWORD 'hunter2\\'", "ALTER ROLE bob PASSWORD '[secret]'"],
  [
    "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'b', password 'hunter2')",
    "CREATE USER MAPPING FOR a SERVER s OPTIONS (user 'b', password '[secret]')",
  ],
  [
    "CREATE SUBSCRIPTION s CONNECTION 'host=h password=hunter2 dbname=d'",
    "CREATE SUBSCRIPTION s CONNECTION 'host=h password=[secret] dbname=d'",
  ],
  [
    "CREATE SUBSCRIPTION s CONNECTION 'postgresql://repl:hunter2@h:5432,i/d?sslpassword=hunter2&sslmode=require' PUBLICATION p",
    "CREATE SUBSCRIPTION s CONNECTION 'postgresql://repl:[secret]@h:5432,i/d?sslpassword=[secret]&sslmode=require' PUBLICATION p",
  ],
  ["SELECT dblink_connect('postgres://a:hunter2@h')", "SELECT dblink_connect('postgres://a:[secret]@h')"],
  [
    "DO $$BEGIN PERFORM dblink('postgres://h/d?password=hunter2', q); END$$",
    "DO $$BEGIN PERFORM dblink('postgres://h/d?password=[secret]', q); END$$",
  ],
  [
    `ALTER USER MAPPING FOR a SERVER s OPTIONS (SET "password" 'hunter2', sslpassword 'hunter2', ADD scram_client_key 'hunter2')`,
    `ALTER USER MAPPING FOR a SERVER s OPTIONS (SET "password" '[secret]', sslpassword '[secret]', ADD scram_client_key '[secret]')`,
  ],
  ["SELECT dblink_connect('host=h sslpassword=hunter2')", "SELECT dblink_connect('host=h sslpassword=[secret]')"],
  ["SELECT dblink_connect('password = ''hunter2'' host=h')", "SELECT dblink_connect('password = [secret] host=h')"],
  ["DO $x$ BEGIN ALTER ROLE bob PASSWORD 'hunter2'; END $x$", "DO $x$ BEGIN ALTER ROLE bob PASSWORD '[secret]'; END $x$"],
  ["DO $x$ ALTER ROLE bob PASSWORD 'hunter2", "DO $x$ ALTER ROLE bob PASSWORD '[secret]'"],
  ["DO 'BEGIN ALTER ROLE bob PASSWORD ''hunter2''; END'", "DO 'BEGIN ALTER ROLE bob PASSWORD ''[secret]''; END'"],
]

test("redaction: the password goes, everything else stays", () => {
  for (const [sql, kept] of cases) {
    assert.equal(redact(sql), kept)
    assert.ok(!redact(sql).includes(secret))
  }
})

test("redaction: what only looks like it is left as it was", () => {
  for (const sql of [
    "SELECT password FROM users WHERE name = 'x'",
    `SELECT "password" 'x'`,
    "SELECT 1 -- password 'x'",
    "SELECT 'PASSWORD', 'x'",
    "SELECT 'postgres://h:5432/d', 'see postgres://a:b@c'",
    "ALTER ROLE bob PASSWORD NULL",
    "SET password_encryption = 'scram-sha-256'",
  ]) {
    assert.equal(redact(sql), sql)
  }
})

test("redaction: code cannot be dressed up as a password", () => {
  for (const sql of [
    "/* /* */ password '*/ DELETE FROM t; --'",
    "-- \r SELECT ' \n password '; DELETE FROM t; --'",
    "SELECT $\u{1f600}$ password $\u{1f600}$; SELECT '; DELETE FROM t; --'",
    "SELECT 'a\\' password '; DELETE FROM t; --'", // with standard_conforming_strings off
    "SELECT E'\u3042\\', ' password '; DELETE FROM t; --'", // in an encoding where the backslash ends a character
    "SELECT E'a'\n'b\\' password '; DELETE FROM t; --'",
    "DO $$postgres://a:DELETE/**/FROM/**/t;b@c$$",
    "DO $$postgres://a:b@c\n; DELETE FROM t$$",
    "DO $$DECLARE password int;BEGIN password=1;DELETE/**/FROM/**/t;END$$",
    "DO 'BEGIN /*password ''*/ DELETE FROM t; --''\n END'",
  ]) {
    assert.equal(redact(sql), sql)
  }
})

test("redaction: hostile text takes no more than linear time", () => {
  for (const piece of [
    "password '",
    "$a$password",
    "password ''",
    "/*password",
    "'password ''",
    "password=",
    "postgres://",
    "'postgres://a:?password=",
  ]) {
    assert.ok(redact(piece.repeat(50_000)).length > 0)
  }
  const nested = Array.from({ length: 50_000 }, (_, level) => `$a${level}$ password `).join("")
  assert.ok(redact(nested).length > 0)
})

test("redaction: what a target's patterns find is in no statement and no value on record, and reaches the server", () => {
  const dialogue = new Dialogue(undefined, { redact: ["\\b\\d{16}\\b", "(?i)iban [a-z0-9]+"] })
  const card = "4111111111111111"
  const asked = query(`SELECT '${card}', 'IBAN DE02$1'`)
  assert.deepEqual(dialogue.client(asked), asked)
  dialogue.server(message("Z", Buffer.from("I")))
  dialogue.client(parse("", "SELECT $1, $2"), bind("", "", [`card ${card}`, "plain"]), execute(), sync())
  const [simple, executed] = dialogue.actions
  assert.deepEqual([simple?.sql, simple?.inexact], ["SELECT '[secret]', '[secret]$1'", true])
  assert.deepEqual(
    executed?.values?.map(({ value, redacted }) => [value, redacted]),
    [
      ["card [secret]", true],
      ["plain", undefined],
    ],
  )
})

test("redaction: a bound value that is a connection string is kept without its password, text and binary", () => {
  const conninfo = { oid: 25, format: "text", value: "host=h password=hunter2" } as const
  assert.deepEqual(redactValue(conninfo, []), { ...conninfo, value: "host=h password=[secret]", redacted: true })
  const uri = { oid: 25, format: "binary", value: "00", text: "postgres://a:hunter2@h/d" } as const
  assert.deepEqual(redactValue(uri, []), { ...uri, value: "", text: "postgres://a:[secret]@h/d", redacted: true })
  for (const value of ["password", "my password is hunter2", "see postgres://a:b@c", "postgres://a@c/d", "a=b"]) {
    const other = { oid: 25, format: "text", value } as const
    assert.equal(redactValue(other, []), other)
  }
  const talk = new Dialogue()
  const said = [parse("", "SELECT dblink_connect($1)"), bind("", "", [conninfo.value]), execute(), sync()]
  assert.deepEqual(talk.client(...said), Buffer.concat(said), "the server gets it all")
  assert.deepEqual(talk.actions[0]?.values?.[0]?.value, "host=h password=[secret]")
})

test("redaction: of a binary value the bytes go as well as what they say", () => {
  const patterns = [parsePattern("42")]
  const number = { oid: 23, format: "binary", value: "0000002a", text: "42" } as const
  assert.deepEqual(redactValue(number, patterns), { ...number, value: "", text: "[secret]", redacted: true })
  const other = { ...number, value: "0000002b", text: "43" }
  assert.equal(redactValue(other, patterns), other)
  assert.deepEqual(redactValue({ oid: 0, format: "null", value: null }, patterns), { oid: 0, format: "null", value: null })
})

test("redaction: no pattern hides code, wherever what it finds begins and ends", () => {
  const redacted = (sql: string): string => redact(sql, [parsePattern("token=\\S+"), parsePattern("\\b\\d{16}\\b")])
  const cases: [sql: string, kept: string][] = [
    ["SELECT $$token=$$;DELETE/**/FROM/**/t;SELECT/**/$$ a$$", "SELECT $$[secret]$$;DELETE/**/FROM/**/t;SELECT/**/$$ a$$"],
    ["SELECT 'token=';DELETE/*token=*/FROM/**/t;SELECT/**/' a'", "SELECT '[secret]';DELETE/*[secret]*/FROM/**/t;SELECT/**/' a'"],
    ["DELETE FROM t WHERE token=5 AND a = 1", "DELETE FROM t WHERE token='[secret]' AND a = 1"],
    ["SELECT 'a token=it''s b', 4111111111111111", "SELECT '[secret]', '[secret]'"],
    ["SELECT 1 -- token=abc\n, 2", "SELECT 1 -- [secret]\n, 2"],
    ["SELECT 1 /* token=abc /* token=d */ */ , 2", "SELECT 1 /*[secret]*/ , 2"],
    ['SELECT "token=abc" FROM t', 'SELECT "token=abc" FROM t'],
    ["SELECT '\\' /* ', x /* token=abc */", "SELECT '\\' /* ', x /* token=abc */"],
  ]
  for (const [sql, kept] of cases) assert.equal(redacted(sql), kept)
})
