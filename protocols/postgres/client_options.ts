// The startup parameter `options` as its words: those that are for the gateway (`-c sluice.login=oauth`) are taken out, and what
// is left is, byte for byte, what the target would be sent. A client can say them by PGOPTIONS or in its connection string, with
// nothing installed. Source: libpq's `options`; the server's pg_split_opts (white space parts words, a backslash keeps the next
// character).
import { GatewayError } from "../../src/core/errors.ts"

export interface ClientOptions {
  /** By name, without the `sluice.` before it. */
  readonly ours: ReadonlyMap<string, string>
  /** Empty: nothing is left for the target. */
  readonly rest: string
}

/** Throws `unsupported` for one of ours that nobody knows, or that comes twice. */
export function readOptions(options: string, known: readonly string[]): ClientOptions {
  const ours = new Map<string, string>()
  const rest: string[] = []
  const words = options.match(/(?:\\[\s\S]|[^\s\\])+\\?/g) ?? []
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string
    const alone = word === "-c" && words[at + 1] !== undefined
    const setting = alone ? unescaped(words[at + 1] as string) : /^(?:-c|--)(?=.)/.test(word) ? unescaped(word.slice(2)) : ""
    const [, name, value = ""] = /^sluice\.([^=]*)=?([\s\S]*)$/i.exec(setting) ?? []
    if (name === undefined) {
      rest.push(word)
      continue
    }
    const key = name.toLowerCase()
    if (!known.includes(key) || ours.has(key))
      throw new GatewayError("unsupported", {
        what: `the option sluice.${/^[\w.]{1,63}$/.test(name) ? name : "…"}${ours.has(key) ? " given twice" : ""}`,
      })
    ours.set(key, value)
    if (alone) at++
  }
  return { ours, rest: ours.size === 0 ? options : rest.join(" ") }
}

const unescaped = (word: string): string => word.replace(/\\([\s\S])/g, "$1")
