// Whether the server reads a text as PostgreSQL's parser does by default. With standard_conforming_strings off a backslash in a plain
// string escapes, in some client encodings a byte of a letter is a backslash or a quote, and in any but UTF-8 the same bytes are other
// letters: then a text that looks harmless may be another one. The server reports both, at the login and when they change; what was sent to it before that report may change them yet.
// Source: "Asynchronous Operations" (ParameterStatus), "String Constants", "Supported Character Sets".
import { endOfString } from "./codec.ts"

export class ReadingSettings {
  #strings = true
  #encoding = true
  #steady = true

  /** Whether both were as usual from the beginning, so that nothing that is undone makes them otherwise. */
  get steady(): boolean {
    return this.#steady
  }

  /** The body of a ParameterStatus. */
  hear(body: Buffer): void {
    const nameEnd = endOfString(body, 0, body.length)
    this.reported(body.toString("latin1", 0, nameEnd), body.toString("latin1", nameEnd + 1, endOfString(body, nameEnd + 1, body.length)))
  }

  /** A setting has this value now. */
  reported(name: string, value: string): void {
    if (name === "standard_conforming_strings") this.#strings = value === "on"
    if (name === "client_encoding") this.#encoding = /^(?:utf8|unicode|sql_ascii)$/i.test(value)
    if (!this.#strings || !this.#encoding) this.#steady = false
  }

  /** Whether this text is read as it looks. */
  reads(sql: string): boolean {
    return (this.#strings && this.#encoding) || !hangsOnSettings(sql)
  }
}

/** Whether either setting matters to this text. */
export const hangsOnSettings = (sql: string): boolean => /[\\\u0080-\uffff]/.test(sql)

/** Parentheses that are no call of a function. */
const lists = /(?:,|(?<![\w.$"])(?:values|in|into\s+[\w.$"]+))\s*\(/gi

/**
 * Whether running `sql` may change those settings: everything may but plain statements in which no function is called. pg_settings is
 * a view that sets what is written to it.
 */
export function mayChangeReading(sql: string): boolean {
  if (!/^\s*(?:select|insert|update|delete|values|begin|start|commit|end|rollback|savepoint|release)\b/i.test(sql)) return true
  const bare = sql.trimEnd().replace(/;$/, "").replace(lists, " ")
  return /[;(]|u&|pg_settings/i.test(bare)
}
