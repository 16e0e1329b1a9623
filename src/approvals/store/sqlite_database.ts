// Node's SQLite in the shape that kysely's dialect takes. It owns the prepared statements: their texts are the code's, and few.
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import { Kysely, SqliteDialect } from "kysely"
import { LRUCache } from "lru-cache"
import { limits } from "../../core/limits.ts"
import type { Tables } from "./tables.ts"

/** Destroying it closes `db`. */
export function sqliteKysely(db: DatabaseSync): Kysely<Tables> {
  const prepared = new LRUCache<string, ReturnType<typeof shaped>>({ max: limits.store_statements_max })
  const prepare = (text: string) => {
    const statement = prepared.get(text) ?? shaped(db.prepare(text))
    prepared.set(text, statement)
    return statement
  }
  return new Kysely<Tables>({ dialect: new SqliteDialect({ database: { prepare, close: () => db.close() } }) })
}

function shaped(statement: StatementSync) {
  const bound = (parameters: readonly unknown[]): SQLInputValue[] => parameters as SQLInputValue[]
  return {
    reader: statement.columns().length > 0,
    all: (parameters: readonly unknown[]) => statement.all(...bound(parameters)),
    run: (parameters: readonly unknown[]) => statement.run(...bound(parameters)),
    iterate: (parameters: readonly unknown[]) => statement.iterate(...bound(parameters)),
  }
}
