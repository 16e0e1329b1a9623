// The line of `ssh gateway <line>` as words, quoted as a shell would: spaces part them, 'single' and "double" quotes and a
// backslash keep them together. Nothing is ever expanded, substituted or run.
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"

/** Throws `invalid` for quotes that do not close, a backslash at the end, a NUL, and more words or bytes than allowed. */
export function splitLine(line: string): readonly string[] {
  if (Buffer.byteLength(line) > limits.ssh_line_bytes_max) throw invalid("the line is too long")
  if (line.includes("\0")) throw invalid("the line has a NUL in it")
  const words: string[] = []
  let word: string | undefined
  let quote: "'" | '"' | undefined
  for (let at = 0; at < line.length; at++) {
    const char = line[at]!
    if (char === quote) {
      quote = undefined
    } else if (quote === undefined && (char === "'" || char === '"')) {
      quote = char
      word ??= ""
    } else if (char === "\\" && quote !== "'") {
      const next = line[++at]
      if (next === undefined) throw invalid("the line ends in a backslash")
      // Within double quotes a backslash is only special before what is special there (POSIX shell, 2.2.3).
      word = (word ?? "") + (quote === '"' && !'"\\$`'.includes(next) ? `\\${next}` : next)
    } else if (quote === undefined && /\s/.test(char)) {
      if (word !== undefined) words.push(word)
      word = undefined
    } else {
      word = (word ?? "") + char
    }
  }
  if (quote !== undefined) throw invalid(`the line has a ${quote} that is not closed`)
  if (word !== undefined) words.push(word)
  if (words.length > limits.ssh_line_words_max) throw invalid("the line has too many words")
  return words
}

const invalid = (what: string): GatewayError => new GatewayError("invalid", { what })
