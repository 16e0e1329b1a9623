// Regular expressions that a config holds, matched in time that grows with the text alone: what somebody writes as a reason must
// not be able to stop the service, whatever the pattern is. RE2's syntax: as usual, without look-around and back-references.
import { RE2JS } from "re2js"

export interface Pattern {
  /** As it was written. */
  readonly source: string
  /** Whether it is found somewhere in `text`. */
  isIn(text: string): boolean
  /** Where it is found, in order. */
  findIn(text: string): { readonly start: number; readonly end: number }[]
  /** `text` with `words` wherever it is found. */
  replaceIn(text: string, words: string): string
}

const pattern_chars_max = 200

/** Throws with words for the operator. */
export function parsePattern(source: string): Pattern {
  if (source.length > pattern_chars_max) throw new Error(`a pattern has at most ${pattern_chars_max} characters`)
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(source)
  } catch (failure) {
    throw new Error(`not a pattern: ${(failure as Error).message}`, { cause: failure })
  }
  return {
    source,
    isIn: (text) => compiled.matcher(text).find(),
    findIn(text) {
      const matcher = compiled.matcher(text)
      const found = []
      while (matcher.find()) found.push({ start: matcher.start(), end: matcher.end() })
      return found
    },
    replaceIn: (text, words) => compiled.matcher(text).replaceAll(() => words),
  }
}
