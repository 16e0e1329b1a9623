// The SQL in a Query or a Parse, and what keeps its text from being all that runs.
// Source: "Message Formats" (Query, Parse).
import { isUtf8 } from "node:buffer"
import { GatewayError } from "../../src/core/errors.ts"
import { cutAt, text } from "./codec.ts"
import type { HiddenParams } from "./column_values.ts"
import { header_bytes, type Seen } from "./scanner.ts"
import type { Statement } from "./statements.ts"

type Doubtful = Pick<Statement, "sql_bytes" | "inexact" | "ambiguous">

export interface Sql {
  /** As it is recorded. */
  readonly sql: string
  /** Its size, when it goes on beyond what was seen. */
  readonly sql_bytes: number | undefined
  /** Whether it is not the very bytes that run; "secret": because a password was taken out. */
  readonly inexact: boolean | "secret"
  /** Whether the server may read another text in these bytes than we do. */
  readonly ambiguous: boolean
  /** Where what follows it starts. */
  readonly after: number
  /** Parameters whose values are not recorded; undefined: the target has no protected columns. */
  readonly hides: HiddenParams | undefined
}

/** As the client wrote it. */
export interface Said extends Pick<Sql, "sql" | "sql_bytes" | "after"> {
  /** Whether it is not UTF-8, and so not the very bytes. */
  readonly garbled: boolean
}

/** The NUL-terminated SQL at `start`. */
export function textAt({ bytes, start: body, end, size }: Seen, start: number): Said {
  const nul = bytes.indexOf(0, start)
  const whole = size - header_bytes - (start - body)
  const ends = nul >= 0 && nul < end
  if (!ends && whole <= end - start) throw new GatewayError("protocol_broken", {}, new Error("SQL without its end"))
  const until = ends ? nul : cutAt(bytes, start, end)
  const sql = text(bytes, start, until)
  const garbled = /[^\0-\x7f]/.test(sql) && !isUtf8(bytes.subarray(start, until))
  return { sql, sql_bytes: ends ? undefined : whole - 1, garbled, after: ends ? nul + 1 : end }
}

/** What keeps a text from being all that runs. */
export const doubts = ({
  sql_bytes,
  inexact,
  ambiguous,
}: Doubtful): { sql_bytes?: number; inexact?: true; ambiguous?: true; secret?: true } => ({
  ...(ambiguous ? { ambiguous: true } : {}),
  ...(sql_bytes === undefined ? {} : { sql_bytes }),
  ...(inexact ? { inexact: true } : {}),
  ...(inexact === "secret" ? { secret: true } : {}),
})
