// Columns whose values must not be on record, and what was found of them in an SQL text. Pure.

export interface ProtectedColumn {
  /** Undefined: in whatever schema. */
  readonly schema: string | undefined
  /** Undefined: of whatever table. */
  readonly table: string | undefined
  readonly name: string
}

/** Where a text holds values of protected columns: its parameters by their number, its literals by where they start. */
export interface ValuesFound {
  readonly params: readonly number[]
  /** In UTF-16 code units. */
  readonly literals: readonly number[]
}

/** "unknown": the text could not be read. */
export type FoundValues = ValuesFound | "unknown"

export interface ValueProtection {
  readonly columns: readonly ProtectedColumn[]
  /** What becomes of all values of a text that may hold protected ones, when it cannot be told which. */
  readonly unsure: "hide" | "keep"
}

/** "ssn", "users.ssn", "public.users.ssn": as the server has the names, without quotes. Throws with words for the operator. */
export function parseColumn(written: string): ProtectedColumn {
  const names = written.split(".")
  if (names.length > 3 || names.some((name) => !/^[^\s".]+$/u.test(name)))
    throw new Error("not a column: write column, table.column or schema.table.column")
  const [name = "", table, schema] = names.reverse()
  return { schema, table, name }
}

/**
 * Whether `sql` has to be read to know: it says such a column's name, or could by an escape, or puts in rows without saying the
 * columns.
 */
export function mayHoldValues(sql: string, columns: readonly ProtectedColumn[]): boolean {
  const text = sql.toLowerCase()
  const inserts = /\b(?:insert|merge)\b/.test(text)
  return (
    text.includes('u&"') ||
    columns.some(({ table, name }) => text.includes(name.toLowerCase()) || (inserts && (!table || text.includes(table.toLowerCase()))))
  )
}
