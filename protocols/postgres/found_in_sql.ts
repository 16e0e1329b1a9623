// What a target's patterns find in SQL text, taken out of the copy that is kept: from literals, numbers and comments. What the server
// reads as code stays, however much of it a pattern covers: rules are looked up in this text, and the record must say what ran.
import type { Pattern } from "../../src/core/pattern.ts"
import { certainLiterals, type Piece, piecesOf } from "./sql_pieces.ts"

interface Range {
  readonly start: number
  readonly end: number
}

/** `sql` with `words` in place of what is found in it. */
export function withoutFoundInSql(sql: string, patterns: readonly Pattern[], words: string): string {
  const found = patterns.flatMap((pattern) => pattern.findIn(sql)).toSorted((a, b) => a.start - b.start)
  if (found.length === 0) return sql
  const sure = certainLiterals(sql)
  // Behind a backslash the server may see code where we see a comment.
  const plain = !sql.includes("\\")
  const certain = (piece: Piece): boolean => (piece.kind === "literal" ? sure(piece) : plain || piece.kind !== "blank")
  const kept: string[] = []
  let from = 0
  for (const piece of piecesOf(sql)) {
    const end = piece.at + piece.text.length
    while (from < found.length && (found[from] as Range).end <= piece.at) from++
    const here: Range[] = []
    for (let at = from; at < found.length && (found[at] as Range).start < end; at++) {
      const { start, end: until } = found[at] as Range
      if (until > piece.at) here.push({ start: start - piece.at, end: until - piece.at })
    }
    kept.push(here.length > 0 && certain(piece) ? withoutFound(piece, here, words) : piece.text)
  }
  return kept.join("")
}

function withoutFound({ text, kind, groups }: Piece, found: readonly Range[], words: string): string {
  if (groups["number"] !== undefined) return `'${words}'`
  if (kind === "other") return text
  const [head, tail] = fencesOf(text, groups)
  const body = text.slice(head, text.length - tail)
  const inside = found.map(({ start, end }) => ({ start: Math.max(0, start - head), end: Math.min(body.length, end - head) }))
  const covered = inside.filter(({ start, end }) => start < end)
  if (covered.length === 0) return text
  // Half of an escape or of a doubled quote would make another text of what is left.
  const left = groups["dollar"] === undefined && /['\\]|\/\*|\*\//.test(body) ? words : replaced(body, covered, words)
  return text.slice(0, head) + left + text.slice(text.length - tail)
}

/** How much at its beginning and at its end says what kind of piece it is. */
function fencesOf(text: string, { line, block, dollar, tag, quoted, escaped }: Piece["groups"]): readonly [head: number, tail: number] {
  const ends = (fence: string, head: number): number => (text.length >= head + fence.length && text.endsWith(fence) ? fence.length : 0)
  if (line !== undefined) return [2, 0]
  if (block !== undefined) return [2, ends("*/", 2)]
  if (dollar !== undefined) {
    const fence = `$${tag ?? ""}$`
    return [fence.length, ends(fence, fence.length)]
  }
  if (quoted === undefined && escaped === undefined) return [text.length, 0]
  const head = text.indexOf("'") + 1
  return [head, ends("'", head)]
}

/** They are in order, and may overlap. */
function replaced(body: string, found: readonly Range[], words: string): string {
  let left = ""
  let at = 0
  for (const { start, end } of found) {
    if (start >= at) left += body.slice(at, start) + words
    at = Math.max(at, end)
  }
  return left + body.slice(at)
}
