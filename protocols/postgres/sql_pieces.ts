// SQL text as its pieces: literals, names, comments and what is between. For taking literals out of a text that is kept; what a
// statement does is for PostgreSQL's own parser.
// Source: "Lexical Structure", and the server's own lexer for comments, continued strings and what ends a line.

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
      String.raw`\$\d+`,
      String.raw`(?<number>0[xXoObB][\da-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d+)?)`,
    ].join("|") + String.raw`|[\s\S]`,
    "guy",
  )
const standard = () => tokens(plain_body, escaped_body)
const escaping = () => tokens(escaped_body, escaped_body)

export interface Piece {
  readonly at: number
  readonly text: string
  readonly kind: "literal" | "blank" | "other"
  readonly groups: Readonly<Record<string, string | undefined>>
}

/** As the server reads it by default. */
export const piecesOf = (sql: string): Generator<Piece, undefined> => read(sql, standard())

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

/**
 * Whether what one reading takes for a literal is inside one however the server is set: standard_conforming_strings says what a
 * backslash means, and in some encodings one is the second half of a character.
 */
export function certainLiterals(sql: string): (piece: Piece) => boolean {
  if (!sql.includes("\\")) return () => true
  if (/[^\0-\x7f]\\/u.test(sql)) return () => false
  const others = read(sql, escaping())
  let one = others.next().value
  return ({ at, text }) => {
    while (one && one.at + one.text.length < at + text.length) one = others.next().value
    return one?.kind === "literal" && one.at <= at
  }
}
