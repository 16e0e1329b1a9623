// Node's SQLite in the shape that kysely's dialect takes. It owns the prepared statements: their texts are the code's, and few.
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import { Kysely, SqliteDialect } from "kysely"
import { LRUCache } from "lru-cache"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { Tables } from "./tables.ts"

/** One connection to the embedded store. */
export interface SqliteConnection {
  readonly db: Kysely<Tables>
  /** The rows of one statement. */
  all(sql: string, parameters: readonly unknown[]): readonly object[]
  run(sql: string, parameters: readonly unknown[]): void
  close(): Promise<void>
}

export function sqliteConnection(db: DatabaseSync): SqliteConnection {
  const prepared = new LRUCache<string, ReturnType<typeof shaped>>({ max: limits.store_statements_max })
  const prepare = (text: string) => {
    const known = prepared.get(text)
    if (known) return known
    const statement = shaped(db.prepare(text))
    prepared.set(text, statement)
    return statement
  }
  const kysely = new Kysely<Tables>({ dialect: new SqliteDialect({ database: { prepare, close: () => db.close() } }) })
  return {
    db: kysely,
    all: (sql, parameters) => prepare(sql).all(parameters),
    run: (sql, parameters) => void prepare(sql).run(parameters),
    async close() {
      await kysely.destroy()
      if (db.isOpen) db.close() // kysely closes only what it has itself asked
    },
  }
}

function shaped(statement: StatementSync) {
  const bound = (parameters: readonly unknown[]): SQLInputValue[] => parameters as SQLInputValue[]
  return {
    reader: statement.columns().length > 0,
    all: (parameters: readonly unknown[]) => able(() => statement.all(...bound(parameters))),
    run: (parameters: readonly unknown[]) => able(() => statement.run(...bound(parameters))),
    iterate: (parameters: readonly unknown[]) => statement.iterate(...bound(parameters)),
  }
}

/**
 * Result codes of a file that cannot be used now (sqlite.org/rescode.html), in place of a statement that it will not do: BUSY, READONLY,
 * IOERR, CORRUPT, FULL and CANTOPEN. The lowest eight bits are the code; the others say more about it.
 */
const unable = new Set([5, 8, 10, 11, 13, 14])

/** What `work` answers. Throws `stale` where the disk, or somebody else's hold on the file, is in the way. */
export function able<T>(work: () => T): T {
  try {
    return work()
  } catch (failure) {
    const { errcode } = failure as { readonly errcode?: number }
    throw errcode !== undefined && unable.has(errcode & 0xff) ? new GatewayError("stale", {}, failure) : failure
  }
}
