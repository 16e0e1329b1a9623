// Whether the server reads a text as PostgreSQL's parser does by default. With standard_conforming_strings off a backslash in a plain
// string escapes, and in some client encodings a byte of a letter is a backslash or a quote: then a text that looks harmless may be
// another one. The server reports both, at the login and when they change.
// Source: "Asynchronous Operations" (ParameterStatus), "String Constants", "Supported Character Sets".
import { endOfString } from "./codec.ts"

export class ReadingSettings {
  #strings = true
  #encoding = true

  /** The body of a ParameterStatus. */
  hear(body: Buffer): void {
    const nameEnd = endOfString(body, 0, body.length)
    this.reported(body.toString("latin1", 0, nameEnd), body.toString("latin1", nameEnd + 1, endOfString(body, nameEnd + 1, body.length)))
  }

  /** A setting has this value now. */
  reported(name: string, value: string): void {
    if (name === "standard_conforming_strings") this.#strings = value === "on"
    if (name === "client_encoding")
      this.#encoding = /^(utf8|unicode|sql_ascii|latin\d+|iso_8859_\d+|win125\d|win1258|win866|win874|koi8[ru])$/i.test(value)
  }

  /** Whether this text is read as it looks. */
  reads(sql: string): boolean {
    return (this.#strings && this.#encoding) || !/[\\\u0080-\uffff]/.test(sql) // else neither setting matters
  }
}
