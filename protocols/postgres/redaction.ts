// Passwords inside SQL text: a recording is read by more people than may know them. The literal after the word PASSWORD goes
// (ALTER ROLE, CREATE USER, CREATE USER MAPPING … OPTIONS), also in SQL inside a literal, and `password=` in a connection string.
// The text that runs is never changed, only the copy that is kept. Truth goes first: what the server might read as code is
// never hidden, so where quoting depends on a setting or an encoding that we do not follow, a password may stay.
// Source: "Lexical Structure", and the server's own lexer for comments, continued strings and what ends a line.

import type { BoundValue } from "../../src/core/action.ts"
import type { Pattern } from "../../src/core/pattern.ts"

const replacement = "[secret]"
const nesting_max = 3 // SQL inside a literal inside a literal; each level is read again

/** `sql` with the passwords it sets taken out, and what `patterns` find. */
export function redact(sql: string, patterns: readonly Pattern[] = []): string {
  return withoutFound(/password/i.test(sql) ? redactText(sql, nesting_max) : sql, patterns)
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

// A string goes on after white space with a line's end in it.
const gap = String.raw`(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]|--[^\n\r]*[\n\r])*`
const plain_body = String.raw`'(?:[^']|'')*`
const escaped_body = String.raw`'(?:[^'\\]|\\[\s\S]|'')*`
const string = (prefix: string, body: string): string => `${prefix}${body}(?:'${gap}${body})*(?:'|$)`

/** What stands at a place where SQL may be code. `plain`: how a string without a prefix is read. */
const tokens = (plain: string, escaped: string): RegExp =>
  new RegExp(
    [
      String.raw`(?<line>--[^\n\r]*)`,
      String.raw`(?<block>/\*)`,
      String.raw`(?<name>"(?:[^"]|"")*(?:"|$))`,
      `(?<escaped>${string("[eE]", escaped)})`,
      `(?<quoted>${string("(?:[uU]&|[bBxXnN])?", plain)})`,
      String.raw`(?<dollar>\$(?<tag>[A-Za-z_\u{80}-\u{10ffff}][A-Za-z0-9_\u{80}-\u{10ffff}]*)?\$[\s\S]*?(?:\$\k<tag>\$|$))`,
      String.raw`(?<word>[A-Za-z_\u{80}-\u{10ffff}][\w$\u{80}-\u{10ffff}]*)`,
      String.raw`(?<space>[ \t\n\r\f\v]+)`,
    ].join("|") + String.raw`|[\s\S]`,
    "guy",
  )
const standard = () => tokens(plain_body, escaped_body)
const escaping = () => tokens(escaped_body, escaped_body)

interface Piece {
  readonly at: number
  readonly text: string
  readonly kind: "literal" | "blank" | "other"
  readonly groups: Readonly<Record<string, string | undefined>>
}

function* read(sql: string, token: RegExp): Generator<Piece, undefined> {
  for (let at = 0; at < sql.length; at = token.lastIndex) {
    token.lastIndex = at
    const { 0: first, groups = {} } = token.exec(sql) as RegExpExecArray
    if (groups["block"]) token.lastIndex = endOfComment(sql, at)
    const literal = groups["escaped"] ?? groups["quoted"] ?? groups["dollar"]
    const blank = groups["line"] ?? groups["block"] ?? groups["space"]
    const text = groups["block"] ? sql.slice(at, token.lastIndex) : first
    yield { at, text, kind: literal !== undefined ? "literal" : blank !== undefined ? "blank" : "other", groups }
  }
}

/** Comments nest. */
function endOfComment(sql: string, start: number): number {
  const mark = /\/\*|\*\//g
  mark.lastIndex = start
  let depth = 0
  for (let found = mark.exec(sql); found; found = mark.exec(sql)) {
    depth += found[0] === "/*" ? 1 : -1
    if (depth === 0) return mark.lastIndex
  }
  return sql.length
}

function redactText(sql: string, nesting: number): string {
  const sure = certainLiterals(sql)
  const kept: string[] = []
  let expected = false // the last word was PASSWORD
  for (const piece of read(sql, standard())) {
    const { text, kind, groups } = piece
    if (kind !== "literal" || !sure(piece)) kept.push(text)
    else kept.push(expected ? `'${replacement}'` : insideLiteral(text, groups, nesting))
    if (kind !== "blank") expected = groups["word"]?.toLowerCase() === "password"
  }
  return kept.join("")
}

/**
 * Whether what one reading takes for a literal is inside one however the server is set: standard_conforming_strings says what a
 * backslash means, and in some encodings one is the second half of a character.
 */
function certainLiterals(sql: string): (piece: Piece) => boolean {
  if (!sql.includes("\\")) return () => true
  if (/[^\0-\x7f]\\/u.test(sql)) return () => false
  const others = read(sql, escaping())
  let one = others.next().value
  return ({ at, text }) => {
    while (one && one.at + one.text.length < at + text.length) one = others.next().value
    return one?.kind === "literal" && one.at <= at
  }
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
