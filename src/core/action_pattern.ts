// What a `*` in an action stands for. Never "anything": a value must not be able to become code, so in SQL it is one literal, in a
// command a part of one word without meaning to a shell, in a path a part of it. Matching takes time in proportion to text and
// pattern, whatever both are: no regular expression is made of what people write.
import { limits } from "./limits.ts"

/** Whether the whole of a text is covered. */
export type Pattern = (text: string) => boolean

/** From the places a match may have come to, those it may come to next. One byte a place, 1 where it may be. */
type Step = (text: string, reached: Uint8Array) => Uint8Array

const literal =
  (part: string): Step =>
  (text, reached) => {
    const next = new Uint8Array(reached.length)
    for (let at = reached.indexOf(1); at >= 0; at = reached.indexOf(1, at + 1)) if (text.startsWith(part, at)) next[at + part.length] = 1
    return next
  }

interface Run {
  first(character: string): boolean
  rest(character: string): boolean
  /** Whether it may be empty. */
  readonly empty: boolean
}

const run =
  ({ first, rest, empty }: Run): Step =>
  (text, reached) => {
    const next = new Uint8Array(reached.length)
    for (let at = 0; at < text.length; at++) {
      const character = text[at] as string
      if ((reached[at] === 1 && first(character)) || (next[at] === 1 && rest(character))) next[at + 1] = 1
    }
    if (empty) for (const [at, may] of reached.entries()) if (may === 1) next[at] = 1
    return next
  }

const sequence =
  (steps: readonly Step[]): Pattern =>
  (text) => {
    if (isTooLong(text)) return false
    let reached: Uint8Array = new Uint8Array(text.length + 1)
    reached[0] = 1
    for (const step of steps) reached = step(text, reached)
    return reached[text.length] === 1
  }

/** Letters, digits and signs that no shell reads as anything else, and that lead into no other folder. */
const inWord = (character: string): boolean => /[A-Za-z0-9_@%+=:,.-]/.test(character)
/** At a word's start `-` would make an option of it, and `.` lead upwards. */
const startsWord = (character: string): boolean => /[A-Za-z0-9_@%+=:,]/.test(character)

/** A command line. A `*` is within one word; where it begins one or follows a `/`, it is not empty. */
export function commandPattern(command: string): Pattern {
  const parts = command.split("*")
  return sequence(
    parts.flatMap((part, at) => {
      if (at === 0) return [literal(part)]
      const before = parts.slice(0, at).join("*").at(-1)
      const starts = before === undefined || /[\s/]/.test(before)
      return [run({ first: starts ? startsWord : inWord, rest: inWord, empty: !starts }), literal(part)]
    }),
  )
}

const anything = (): boolean => true
/**
 * A command line, as a rule that forbids it means it: a `*` is anything at all, options and more words too, and at the end also
 * nothing; a text that is too long to be looked at may be it.
 */
export function forbiddenCommandPattern(command: string): Pattern {
  const matches = sequence(
    command
      .split("*")
      .flatMap((part, at) => (at === 0 ? [literal(part)] : [run({ first: anything, rest: anything, empty: true }), literal(part)])),
  )
  const bare = command.endsWith(" *") ? command.slice(0, -2) : undefined
  return (text) => isTooLong(text) || matches(text) || text === bare
}

/** Longer than any pattern is held against. */
export const isTooLong = (text: string): boolean => text.length > limits.scope_pattern_text_chars_max

const inSegment = (character: string): boolean => character !== "/"

/** A path. A `*` at its end is the rest of it, elsewhere a part of one segment. */
export function pathPattern(path: string): Pattern {
  const parts = path.split("*")
  return sequence(
    parts.flatMap((part, at) => {
      if (at === 0) return [literal(part)]
      const passes = at === parts.length - 1 && part === "" ? anything : inSegment
      return [run({ first: passes, rest: passes, empty: true }), literal(part)]
    }),
  )
}

/**
 * A path, as a rule that forbids it means it: also where applications that are not strict take another for it, by case, by escapes, by
 * slashes at its end or in a row, by what stands behind a `;` in a segment. A text that is too long to be looked at may be it.
 */
export function forbiddenPathPattern(path: string): Pattern {
  const lower = path.toLowerCase()
  const forms = [...new Set([lower, lower.replace(/(?<=.)\/+$/, "")])].map((form) => pathPattern(form))
  return (text) => isTooLong(text) || readingsOf(text).some((reading) => forms.some((matches) => matches(reading)))
}

function readingsOf(path: string): string[] {
  const lower = path.toLowerCase()
  if (!/[%;\u0080-\u00ff]|\/\/|.\/$/.test(lower)) return [lower]
  const bytes = path.replaceAll(/%([\da-f]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  const decoded = Buffer.from(bytes, "latin1").toString("utf8").toLowerCase()
  const all = [lower, decoded]
    .flatMap((one) => [one, one.replaceAll(/;[^/]*/g, "")])
    .flatMap((one) => [one, one.replaceAll(/\/{2,}/g, "/")])
  return [...new Set(all.flatMap((one) => [one, one.replace(/(?<=.)\/+$/, "")]))]
}

/** A number, a string without quotes, backslashes or control characters in it, a parameter, or the `*` itself. */
const value = /-?\d+(?:\.\d+)?|'[^'\\\p{Cc}]*'|\$\d+|\*/uy

/** What follows a value is a space, a bracket or the like, so the longest reading is the only one. */
const oneValue: Step = (text, reached) => {
  const next = new Uint8Array(reached.length)
  for (let at = reached.indexOf(1); at >= 0; at = reached.indexOf(1, at + 1)) {
    value.lastIndex = at
    const [found] = value.exec(text) ?? []
    if (found !== undefined) next[at + found.length] = 1
  }
  return next
}

/**
 * SQL. A `*` is a value where it stands by itself outside quotes; where quotes end cannot be told for certain (comments, dollar
 * quotes, backslashes), every `*` is itself.
 */
export function sqlPattern(sql: string): Pattern {
  if (/--|\/\*|\\|\$(?!\d)/.test(sql)) return sequence([literal(sql)])
  const steps: Step[] = []
  let from = 0
  for (const { 0: found, index } of sql.matchAll(/'[^']*'?|"[^"]*"?|(?<=^|[\s(,=])\*(?=$|[\s),;])/g)) {
    if (found !== "*") continue
    steps.push(literal(sql.slice(from, index)), oneValue)
    from = index + 1
  }
  return sequence([...steps, literal(sql.slice(from))])
}
