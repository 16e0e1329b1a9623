// Passwords inside SQL text: a recording is read by more people than may know them. The literal after the word PASSWORD goes, and after
// its like (ALTER ROLE, CREATE USER, CREATE USER MAPPING … OPTIONS), also in SQL inside a literal; and what is a password in a connection
// string, with `password=` or in a URI, in a literal or in a bound value.
// The text that runs is never changed, only the copy that is kept. Truth goes first: what the server might read as code is
// never hidden, so where quoting depends on a setting or an encoding that we do not follow, a password may stay.

import type { BoundValue } from "../../src/core/action.ts"
import type { Pattern } from "../../src/core/pattern.ts"
import { withoutFoundInSql } from "./found_in_sql.ts"
import { certainLiterals, type Piece, piecesOf } from "./sql_pieces.ts"

export const replacement = "[secret]"
const nesting_max = 3 // SQL inside a literal inside a literal; each level is read again
const connection_chars_max = 4_096 // a longer value is no connection string

/** Options of libpq and of foreign servers that are as good as a password. */
const secrets = "(?:ssl)?password|scram_(?:client|server)_key|oauth_client_secret"
const secret_name = new RegExp(`^"?(?:${secrets})"?$`, "i")
const suspicious = new RegExp(`${secrets}|postgres(?:ql)?://`, "i")

/** `sql` with the passwords it sets taken out, and what `patterns` find. */
export function redact(sql: string, patterns: readonly Pattern[] = []): string {
  const left = suspicious.test(sql) ? redactText(sql, nesting_max) : sql
  return patterns.length === 0 ? left : withoutFoundInSql(left, patterns, replacement)
}

/** A bound value without its password, if it is a connection string, and without what `patterns` find in it, as it reads; the bytes of a binary one go too. */
export function redactValue(value: BoundValue, patterns: readonly Pattern[]): BoundValue {
  const { format, value: kept, text = format === "text" ? kept : null } = value
  if (text === null) return value
  const left = withoutFound(text.length <= connection_chars_max && suspicious.test(text) ? (withoutPassword(text) ?? text) : text, patterns)
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
  let before = ""
  for (const piece of piecesOf(sql)) {
    const { text, kind, groups } = piece
    if (kind !== "literal" || !sure(piece)) kept.push(text)
    else kept.push(expected ? `'${replacement}'` : insideLiteral(text, groups, nesting))
    if (kind === "blank") continue
    // In quotes it is the name of an option only where one may begin; elsewhere it is a column's or a type's.
    expected = secret_name.test(text) && (groups["word"] !== undefined || /^(?:[(,]|add|set)$/i.test(before))
    before = text
  }
  return kept.join("")
}

/** A literal that is not itself a password may hold SQL, as a DO block does, or a connection string. */
function insideLiteral(literal: string, { dollar, tag, quoted }: Piece["groups"], nesting: number): string {
  if (nesting === 0 || !suspicious.test(literal)) return literal
  if (dollar !== undefined) {
    const fence = `$${tag ?? ""}$`
    const end = literal.length >= 2 * fence.length && literal.endsWith(fence) ? fence : ""
    return fence + redactBody(literal.slice(fence.length, literal.length - end.length), nesting) + end
  }
  // Escapes and continuations inside would have to be undone and done again.
  const body = /^'((?:[^'\\]|'')*)'$/.exec(quoted ?? "")?.[1]
  return body === undefined ? literal : `'${redactBody(body.replaceAll("''", "'"), nesting).replaceAll("'", "''")}'`
}

// Only names with values, or a URI: no language of functions begins so. What could be code in a value is left.
const connection = /^\s*(?:[a-z_]+\s*=\s*(?:'[^'\\]*'|[^\s'\\;()`]+)(?:\s+|$))+$/i
const uri = /^\s*postgres(?:ql)?:\/\/[^\s'"\\;()`]*\s*$/i
const named_secret = new RegExp(`(\\b(?:${secrets})\\s*=\\s*)(?:'[^']*'|[^\\s']+)`, "gi")
const uri_secret = new RegExp(`([?&](?:${secrets})=)[^&\\s]*`, "gi")

/** A connection string without its passwords; undefined: it is none. Source: "Connection Strings" of libpq. */
function withoutPassword(text: string): string | undefined {
  if (connection.test(text)) return text.replace(named_secret, `$1${replacement}`)
  if (!uri.test(text)) return undefined
  return text.replace(/^(\s*\w+:\/\/[^:@/]*:)[^@/]*(?=@)/, `$1${replacement}`).replace(uri_secret, `$1${replacement}`)
}

function redactBody(body: string, nesting: number): string {
  return withoutPassword(body) ?? redactText(body, nesting - 1)
}
