// Passwords inside SQL text: a recording is read by more people than may know them. The literal after the word PASSWORD goes
// (ALTER ROLE, CREATE USER, CREATE USER MAPPING … OPTIONS), also in SQL inside a literal, and `password=` in a connection string.
// The text that runs is never changed, only the copy that is kept. Truth goes first: what the server might read as code is
// never hidden, so where quoting depends on a setting or an encoding that we do not follow, a password may stay.

import type { BoundValue } from "../../src/core/action.ts"
import type { Pattern } from "../../src/core/pattern.ts"
import { withoutFoundInSql } from "./found_in_sql.ts"
import { certainLiterals, type Piece, piecesOf } from "./sql_pieces.ts"

export const replacement = "[secret]"
const nesting_max = 3 // SQL inside a literal inside a literal; each level is read again

/** `sql` with the passwords it sets taken out, and what `patterns` find. */
export function redact(sql: string, patterns: readonly Pattern[] = []): string {
  const left = /password/i.test(sql) ? redactText(sql, nesting_max) : sql
  return patterns.length === 0 ? left : withoutFoundInSql(left, patterns, replacement)
}

/** A bound value without what `patterns` find in it, as it reads; the bytes of a binary one go too. */
export function redactValue(value: BoundValue, patterns: readonly Pattern[]): BoundValue {
  const { format, value: kept, text = format === "text" ? kept : null } = value
  if (text === null) return value
  const left = withoutFound(text, patterns)
  if (left === text) return value
  return format === "text" ? { ...value, value: left, redacted: true } : { ...value, value: "", text: left, redacted: true }
}

function withoutFound(text: string, patterns: readonly Pattern[]): string {
  let left = text
  for (const pattern of patterns) left = pattern.replaceIn(left, replacement)
  return left
}

function redactText(sql: string, nesting: number): string {
  const sure = certainLiterals(sql)
  const kept: string[] = []
  let expected = false // the last word was PASSWORD
  for (const piece of piecesOf(sql)) {
    const { text, kind, groups } = piece
    if (kind !== "literal" || !sure(piece)) kept.push(text)
    else kept.push(expected ? `'${replacement}'` : insideLiteral(text, groups, nesting))
    if (kind !== "blank") expected = groups["word"]?.toLowerCase() === "password"
  }
  return kept.join("")
}

/** A literal that is not itself a password may hold SQL, as a DO block does, or a connection string. */
function insideLiteral(literal: string, { dollar, tag, quoted }: Piece["groups"], nesting: number): string {
  if (nesting === 0 || !/password/i.test(literal)) return literal
  if (dollar !== undefined) {
    const fence = `$${tag ?? ""}$`
    const end = literal.length >= 2 * fence.length && literal.endsWith(fence) ? fence : ""
    return fence + redactBody(literal.slice(fence.length, literal.length - end.length), nesting) + end
  }
  // Escapes and continuations inside would have to be undone and done again.
  const body = /^'((?:[^'\\]|'')*)'$/.exec(quoted ?? "")?.[1]
  return body === undefined ? literal : `'${redactBody(body.replaceAll("''", "'"), nesting).replaceAll("'", "''")}'`
}

// Only names with values: no language of functions begins so. What could be code in a value is left.
const connection = /^\s*(?:[a-z_]+\s*=\s*(?:'[^'\\]*'|[^\s'\\;()`]+)(?:\s+|$))+$/i

function redactBody(body: string, nesting: number): string {
  if (connection.test(body)) return body.replace(/(\bpassword\s*=\s*)(?:'[^']*'|[^\s']+)/gi, `$1${replacement}`)
  return redactText(body, nesting - 1)
}
