// Passwords inside SQL text: a recording is read by more people than may know them. The literal after the word PASSWORD goes
// (ALTER ROLE, CREATE USER, CREATE USER MAPPING … OPTIONS), and what follows `password=` inside a literal (connection strings).
// Best effort where SQL is built inside strings; the text that runs is never changed, only the copy that is kept.
// Source: "Lexical Structure: Constants".

const replacement = "[secret]"
const nesting_max = 3 // dollar-quoted code inside dollar-quoted code; each level is read again

/** `sql` with the passwords it sets taken out. */
export function redact(sql: string): string {
  return /password/i.test(sql) ? redactText(sql, nesting_max) : sql
}

/** What stands at a place where SQL may be code: comments, quoted names, literals, words, or one character of anything else. */
const token = new RegExp(
  [
    String.raw`(?<comment>--[^\n]*|/\*[\s\S]*?(?:\*/|$))`,
    String.raw`(?<name>"(?:[^"]|"")*(?:"|$))`,
    String.raw`(?<escaped>[eE]'(?:[^'\\]|\\[\s\S]|'')*(?:'|$))`,
    String.raw`(?<quoted>(?:[uU]&|[bBxXnN])?'(?:[^']|'')*(?:'|$))`,
    String.raw`(?<dollar>\$(?<tag>[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$[\s\S]*?(?:\$\k<tag>\$|$))`,
    String.raw`(?<word>[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*)`,
    String.raw`(?<space>\s+)`,
  ].join("|") + String.raw`|[\s\S]`,
  "gu",
)

function redactText(sql: string, nesting: number): string {
  const kept: string[] = []
  let expected = false // the last word was PASSWORD
  for (const { 0: piece, groups = {} } of sql.matchAll(token)) {
    const { comment, space, word, escaped, quoted, dollar, tag } = groups
    const literal = escaped ?? quoted ?? dollar
    if (literal !== undefined) {
      kept.push(expected ? `'${replacement}'` : insideLiteral(literal, { fence: dollar && `$${tag ?? ""}$`, nesting }))
    } else {
      kept.push(piece)
    }
    if (comment === undefined && space === undefined) expected = word?.toLowerCase() === "password"
  }
  return kept.join("")
}

interface Literal {
  /** The `$tag$` around it. */
  readonly fence: string | undefined
  readonly nesting: number
}

/** A literal that is not itself a password may hold SQL, as a DO block does, or a connection string. */
function insideLiteral(literal: string, { fence, nesting }: Literal): string {
  if (!/password/i.test(literal)) return literal
  const code = fence !== undefined && nesting > 0
  const end = code && literal.length >= 2 * fence.length && literal.endsWith(fence) ? fence : ""
  const inner = code ? fence + redactText(literal.slice(fence.length, literal.length - end.length), nesting - 1) + end : literal
  return inner
    .replace(/(password\s+\\?)''(?:[^']|'{4})*''/giu, `$1''${replacement}''`)
    .replace(/(password\s*=\s*)(?:''(?:[^']|'{4})*''|[^\s'"]+)/giu, `$1${replacement}`)
}
