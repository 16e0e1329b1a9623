// Where the two databases differ in words. Everything else of `store/` is written once for both.
import { type Expression, type RawBuilder, sql, type SqlBool } from "kysely"
import { jsonArrayFrom as postgresArray, jsonObjectFrom as postgresObject } from "kysely/helpers/postgres"
import { jsonArrayFrom as sqliteArray, jsonObjectFrom as sqliteObject } from "kysely/helpers/sqlite"

export interface Dialect {
  readonly name: "sqlite" | "postgres"
  /** The rows of a subquery as one value, and its one row: so a thing and what belongs to it are one statement, which sees one state. */
  readonly jsonArrayFrom: typeof sqliteArray
  readonly jsonObjectFrom: typeof sqliteObject
  /** Whether the JSON list in `column` holds one of `names`. */
  holdsOneOf(column: Expression<string>, names: readonly string[]): RawBuilder<SqlBool>
  /** The text in `column`, which compares and sorts byte by byte, whatever the database's language is. */
  byBytes(column: string): RawBuilder<string>
  /** Words of table definitions. */
  readonly ddl: Ddl
}

export interface Ddl {
  /** A column of whole numbers: 64 bits wide, as times need. */
  readonly int: string
  /** An id that rises and is never used twice. */
  readonly counter: string
  /** In place of nothing, on a table whose rows are asked for in the order they were written. */
  readonly written: string
  /** After a table's closing parenthesis: columns keep their types. */
  readonly strict: string
  /** Whether `column` is JSON. */
  json(column: string): string
  /** An expression that is another text each time. */
  readonly random: string
}

export const sqlite: Dialect = {
  name: "sqlite",
  jsonArrayFrom: sqliteArray,
  jsonObjectFrom: sqliteObject,
  holdsOneOf: (column, names) =>
    sql`exists (select 1 from json_each(${column}) one where one.value in (select value from json_each(${JSON.stringify(names)})))`,
  byBytes: (column) => sql`${sql.ref(column)}`,
  ddl: {
    int: "integer",
    counter: "integer primary key autoincrement",
    written: "",
    strict: "strict",
    json: (column) => `json_valid(${column})`,
    random: "lower(hex(randomblob(16)))",
  },
}

export const postgres: Dialect = {
  name: "postgres",
  // Typed alike: both give JSON, one as text and one parsed, and `rows.ts` takes either.
  jsonArrayFrom: postgresArray,
  jsonObjectFrom: postgresObject,
  holdsOneOf: (column, names) => sql`(${column})::jsonb ?| ${names}::text[]`,
  byBytes: (column) => sql`${sql.ref(column)} collate "C"`,
  ddl: {
    int: "bigint",
    counter: "bigint primary key",
    written: "rowid bigint generated always as identity,",
    strict: "",
    json: (column) => `(${column}::jsonb is not null)`,
    random: "md5(random()::text || clock_timestamp()::text)",
  },
}
