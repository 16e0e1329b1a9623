import assert from "node:assert/strict"
import { before, describe, test } from "node:test"
import { loadParser, readStatement } from "../../../src/classify/read_statement.ts"
import { StatementReader } from "../../../src/classify/statement_reader.ts"
import { limits } from "../../../src/core/limits.ts"
import { type StatementFacts, strongest, tableText } from "../../../src/core/statement.ts"

/** "delete a.b *": every row. */
const parts = ({ parts: all }: StatementFacts): string[] =>
  all
    .map(({ kind, table, every_row, drops }) =>
      [kind, ...(table ? [tableText(table)] : []), ...(every_row ? ["*"] : []), ...(drops ? ["drops"] : [])].join(" "),
    )
    .sort()

describe("what an SQL text does", () => {
  before(() => loadParser())

  const table: readonly (readonly [sql: string, ...parts: string[]])[] = [
    ["SELECT 1", "read"],
    ["SELECT * FROM a.b JOIN c USING (x)", "read", "read a.b", "read c"],
    ["VALUES (1), (2)", "read"],
    ["TABLE orders", "read", "read orders"],
    ["(SELECT 1 FROM a) UNION (SELECT 2 FROM b WHERE EXISTS (SELECT 1 FROM c))", "read", "read a", "read b", "read c"],
    ["SELECT count(*), lower(name), coalesce(x, now()), row_number() OVER (ORDER BY x) FROM t WHERE x LIKE 'a%'", "read", "read t"],
    ["SELECT pg_catalog.version(), current_user, extract(year FROM now()), random()", "read"],
    ["SHOW search_path", "read"],
    ["SELECT * FROM t WHERE id = 1 FOR UPDATE", "read", "read t", "utility"],
    ["DECLARE c CURSOR FOR SELECT * FROM t FOR SHARE", "read", "read t", "utility"],
    ["INSERT INTO t VALUES (1, now())", "insert t"],
    ["INSERT INTO t DEFAULT VALUES", "insert t"],
    ["INSERT INTO t SELECT * FROM u RETURNING id", "insert t", "read", "read u"],
    ["INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET n = 2", "insert t", "update t"],
    ["UPDATE t SET n = 1", "update t *"],
    ["UPDATE t SET n = 1 WHERE true", "update t *"],
    ["UPDATE t SET n = u.n FROM u WHERE t.id = u.id", "read u", "update t"],
    ["UPDATE t SET n = 1 WHERE CURRENT OF c", "update t"],
    ["DELETE FROM ONLY s.t", "delete s.t *"],
    ["DELETE FROM t WHERE 1 = 1", "delete t *"],
    ["DELETE FROM t WHERE id = $1", "delete t"],
    [
      "MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (u.id)",
      "delete t",
      "insert t",
      "read u",
    ],
    ["MERGE INTO t USING u ON true WHEN MATCHED THEN DELETE", "delete t *", "read u"],
    [
      "MERGE INTO t USING u ON true WHEN MATCHED AND t.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET n = 1",
      "delete t",
      "read u",
      "update t *",
    ],
    // By its rule an UPDATE of it is a SET.
    ["UPDATE pg_settings SET setting = 'mine, pg_catalog' WHERE name = 'search_path'", "unknown", "update pg_settings"],
    ["UPDATE pg_catalog.pg_settings SET setting = 'off' WHERE name = 'row_security'", "unknown", "update pg_catalog.pg_settings"],
    ["WITH s AS (UPDATE pg_settings SET setting = 'x' WHERE name = 'y') SELECT 1", "read", "unknown", "update pg_settings"],
    [
      "MERGE INTO pg_settings s USING u ON s.name = u.n WHEN MATCHED THEN UPDATE SET setting = 'x'",
      "read u",
      "unknown",
      "update pg_settings",
    ],
    ["INSERT INTO pg_auth_members VALUES (1)", "insert pg_auth_members", "unknown"],
    ["COPY pg_authid FROM STDIN", "copy pg_authid", "insert pg_authid", "unknown"],
    ["DELETE FROM app.pg_things WHERE id = 1", "delete app.pg_things"],
    ["WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d", "delete t *", "read"],
    ["WITH d AS (UPDATE t SET n = 1 WHERE id = 1 RETURNING *) INSERT INTO u SELECT * FROM d", "insert u", "read", "update t"],
    // The inner one is the table, the outer one the query of that name.
    ["WITH secrets AS (SELECT * FROM secrets) SELECT * FROM secrets", "read", "read secrets"],
    ["WITH RECURSIVE r AS (SELECT 1 UNION SELECT * FROM r) SELECT * FROM r", "read"],
    ["WITH a AS (SELECT 1) SELECT * FROM public.a", "read", "read public.a"],
    ["SELECT * INTO copy FROM t", "ddl copy", "read", "read t"],
    ["CREATE TABLE copy AS SELECT * FROM t", "ddl copy", "read", "read t"],
    ["TRUNCATE a, b.c", "ddl a drops", "ddl b.c drops", "delete a * drops", "delete b.c * drops"],
    ["DROP TABLE a.b, c", "ddl a.b drops", "ddl c drops"],
    ["DROP FUNCTION f(int)", "ddl drops"],
    ["DROP TRIGGER x ON a.b", "ddl a.b drops"],
    ["DROP DATABASE d", "ddl drops"],
    ["DROP ROLE bob", "grant drops"],
    ["ALTER TABLE t DROP COLUMN n, ADD COLUMN m int", "ddl t drops"],
    ["ALTER TABLE t OWNER TO bob, DROP CONSTRAINT c", "grant t drops"],
    ["ALTER TABLE t ALTER n DROP NOT NULL", "ddl t"],
    ["ALTER TYPE p DROP ATTRIBUTE n", "ddl p drops"],
    ["ALTER TABLE t ADD COLUMN n int", "ddl t"],
    ["ALTER TABLE t OWNER TO bob", "grant t"],
    ["ALTER TABLE t DISABLE ROW LEVEL SECURITY", "grant t"],
    ["CREATE INDEX ON t (lower(name))", "ddl t"],
    ["CREATE VIEW v AS SELECT f() FROM t", "ddl t", "ddl v"],
    ["CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'DELETE FROM t'", "ddl"],
    ["CREATE EXTENSION dblink", "ddl"],
    ["CREATE SCHEMA s CREATE TABLE t (id int) GRANT SELECT ON t TO bob", "ddl", "ddl t", "grant t"],
    ["GRANT SELECT ON t TO bob", "grant t"],
    ["ALTER ROLE bob SUPERUSER", "grant"],
    ["DROP OWNED BY bob", "ddl drops", "grant drops"],
    ["ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO bob", "grant"],
    ["CREATE POLICY p ON t USING (true)", "grant t"],
    ["COPY t TO STDOUT", "copy t", "read t"],
    ["COPY t FROM STDIN", "copy t", "insert t"],
    ["COPY (SELECT * FROM t) TO STDOUT", "copy", "read", "read t"],
    ["COPY (DELETE FROM t RETURNING *) TO STDOUT", "copy", "delete t *"],
    ["COPY t TO PROGRAM 'sh'", "copy t", "read t", "unknown"],
    ["COPY t FROM '/etc/passwd'", "copy t", "insert t", "unknown"],
    ["EXPLAIN DELETE FROM t", "read"],
    ["EXPLAIN SELECT f(1), lower('a')", "read", "unknown"],
    ["EXPLAIN ANALYZE DELETE FROM t", "delete t *"],
    ["EXPLAIN (ANALYZE true, VERBOSE) DELETE FROM t WHERE id = 1", "delete t"],
    ["EXPLAIN (ANALYZE off) DELETE FROM t", "read"],
    ["PREPARE p AS DELETE FROM t", "delete t *"],
    ["EXECUTE p", "unknown"],
    ["EXPLAIN ANALYZE EXECUTE p", "unknown"],
    ["CREATE TABLE x AS EXECUTE p", "ddl x", "unknown"],
    ["DECLARE c CURSOR FOR SELECT * FROM t", "read", "read t"],
    ["FETCH 10 FROM c", "read"],
    ["DO $$ BEGIN DELETE FROM t; END $$", "do"],
    ["CALL p(1)", "call"],
    ["SELECT my_function(1)", "read", "unknown"],
    ["SELECT nextval('s')", "read", "unknown"],
    ["SELECT set_config('search_path', 'x', false)", "read", "unknown"],
    ["SELECT query_to_xml('DELETE FROM t', true, true, '')", "read", "unknown"],
    ["SELECT table_to_xml('t', true, true, '')", "read", "unknown"],
    ["SELECT * FROM dblink('x', 'y') AS t (a int)", "read", "unknown"],
    ["SELECT public.lower('x')", "read", "unknown"],
    ["SELECT 1 OPERATOR(public.+) 1", "read", "unknown"],
    ["SELECT pg_read_file('/etc/passwd')", "read", "unknown"],
    ["SELECT pg_terminate_backend(1)", "read", "unknown"],
    ["INSERT INTO t VALUES (nextval('s'))", "insert t", "unknown"],
    ["UPDATE t SET n = f(n) WHERE id = 1", "unknown", "update t"],
    ["SET statement_timeout = '1s'", "utility"],
    ["SET search_path = app, public", "utility"],
    ["SET search_path = app, pg_catalog", "unknown"],
    ["SET client_encoding TO 'UTF8'", "utility"],
    ["SET NAMES 'SJIS'", "unknown"],
    ["SET standard_conforming_strings = off", "unknown"],
    ["SET standard_conforming_strings = on", "utility"],
    ["SET transform_null_equals = on", "unknown"],
    ["SET session_replication_role = replica", "unknown"],
    ["SET LOCAL local_preload_libraries = 'x'", "unknown"],
    ["SET ROLE postgres", "grant"],
    ["SET SESSION AUTHORIZATION postgres", "grant"],
    ["RESET ROLE", "grant"],
    ["LOAD 'x'", "unknown"],
    ["LOCK TABLE t", "utility t"],
    ["VACUUM t", "utility t"],
    ["LISTEN x", "utility"],
    ["BEGIN", "transaction"],
    ["COMMIT; SELECT 1", "read", "transaction"],
    ["SELECT 1; DROP TABLE t; DELETE FROM u", "ddl t drops", "delete u *", "read"],
    ["", "utility"],
    [" ; ; -- nothing", "utility"],
    ["SELEC 1", "unknown"],
    ["\\d", "unknown"],
  ]
  for (const [sql, ...expected] of table) {
    test(sql === "" ? "(empty)" : sql, () => assert.deepEqual(parts(readStatement(sql)), expected.toSorted()))
  }

  test("the strongest of several is what they are", () => {
    assert.equal(strongest(readStatement("SELECT 1; DROP TABLE t")), "ddl")
    assert.equal(strongest(readStatement("BEGIN")), "transaction")
    assert.equal(strongest(readStatement("SELECT f()")), "unknown")
  })

  test("functions that may do anything are told by name", () => {
    assert.deepEqual(readStatement("SELECT app.f(g(1)), lower('x')").calls.toSorted(), ["app.f", "g"])
  })

  test("a long text is read aside, one that breaks the parser or has too much in it is unknown, and the next is read as ever", async () => {
    const reader = new StatementReader()
    const long = `SELECT ${"1, ".repeat(4_096)}1 FROM t`
    assert.deepEqual(parts(await reader.read(long)), ["read", "read t"])
    assert.ok(!(reader.read(long) instanceof Promise), "it is remembered")
    assert.deepEqual(parts(await reader.read(`SELECT ${"1+".repeat(50_000)}1`)), ["unknown"])
    assert.deepEqual(parts(await reader.read(`SELECT ${"(SELECT ".repeat(2_000)}1${")".repeat(2_000)}`)), ["unknown"])
    assert.deepEqual(parts(await reader.read("SELECT - ".padEnd(4_096 - 2, "- ") + "1")), ["read"])
    assert.deepEqual(parts(await reader.read("DROP TABLE t")), ["ddl t drops"])
    const many = Array.from({ length: limits.statement_parts_max + 1 }, (_, at) => `DROP TABLE t${at}`).join(";")
    assert.deepEqual(parts(await reader.read(many)), ["unknown"])
    await reader.close()
  })

  test("texts asked for at once are each answered with their own", async () => {
    const reader = new StatementReader()
    const pad = " ".repeat(4_096)
    const all = await Promise.all(Array.from({ length: 20 }, async (_, at) => reader.read(`DROP TABLE t${at}${pad}`)))
    assert.deepEqual(
      all.map(parts),
      Array.from({ length: 20 }, (_, at) => [`ddl t${at} drops`]),
    )
    await reader.close()
  })
})
