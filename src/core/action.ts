// One thing done on a target, as it is recorded and decided about.

/** A bound value of a prepared statement. */
export interface BoundValue {
  /** The parameter's type, 0 when the client left it to the server. */
  readonly oid: number
  readonly format: "text" | "binary" | "null"
  /** Text as it stands, binary in hex, null for SQL NULL; cut at `recorded_value_bytes_max`. */
  readonly value: string | null
  /** The full size in bytes, when `value` was cut. */
  readonly bytes?: number
}

export type Action =
  /** `how`: the simple query message, an Execute of a portal, a function call, a COPY the server asked for. */
  | {
      readonly kind: "postgres.statement"
      readonly how: "simple" | "execute" | "function_call"
      readonly sql: string
      /** The full size in bytes, when `sql` was cut at `recorded_sql_bytes_max`. */
      readonly sql_bytes?: number
      readonly statement?: string
      readonly portal?: string
      readonly values?: readonly BoundValue[]
      /** Values after those kept: the message that carried them was larger than `recorded_values_bytes_max`. */
      readonly values_left_out?: number
      /** The name did not lead to a text for certain: `sql` is the best guess, or empty. */
      readonly unresolved?: true
      /** These are not the very bytes that run: a password was taken out, or they are not UTF-8. */
      readonly inexact?: true
    }
  | { readonly kind: "ssh.shell"; readonly channel: number }
  /** `inexact`: its bytes are not UTF-8, and these not the very ones that run. */
  | { readonly kind: "ssh.exec"; readonly channel: number; readonly command: string; readonly inexact?: true }
  | {
      readonly kind: "http.request"
      readonly method: string
      readonly path: string
      /** Names of the query's parameters; their values may be secrets and are not kept. */
      readonly query: readonly string[]
      readonly upgrade?: "websocket"
    }
