// What went wrong, in PostgreSQL's own terms: the SQLSTATE a driver switches on, and the words a person reads, the
// line that asks among them (many drivers show no hint). Only `error.say` is told; causes stay in the log. Source: "PostgreSQL Error Codes".
import type { Duplex } from "node:stream"
import type { Clock } from "../../src/core/clock.ts"
import { GatewayError, type ErrorCode, type ErrorKind } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { report } from "./codec.ts"

export function sqlstateOf(kind: ErrorKind): string {
  switch (kind) {
    case "identity":
      return "28P01" // invalid_password
    case "access":
      return "42501" // insufficient_privilege
    case "ended":
      return "57P01" // admin_shutdown
    case "unavailable":
      return "57P03" // cannot_connect_now
    case "upstream":
      return "08006" // connection_failure
    case "protocol":
      return "08P01" // protocol_violation
    case "unsupported":
      return "0A000" // feature_not_supported
    case "input":
      return "22023" // invalid_parameter_value
    case "conflict":
    case "missing":
      return "XX000" // internal_error: these belong to the API and are not met here
  }
}

/** Refusals of one statement, to somebody who is in. */
const ofActions: ReadonlySet<ErrorCode> = new Set([
  "action_denied",
  "rule_denied",
  "hold_denied",
  "hold_over",
  "hold_withdrawn",
  "cannot_be_held",
])

/** FATAL: the connection is over. Who may not come in reads 28000 (invalid_authorization_specification), not 42501. */
export function fatal(error: GatewayError): Buffer {
  return refusal(error, "FATAL", error.kind === "access" && !ofActions.has(error.code) ? "28000" : sqlstateOf(error.kind))
}

/** ERROR: one statement is refused and the connection goes on. */
export function denial(error: GatewayError): Buffer {
  return refusal(error, "ERROR", error.code === "hold_withdrawn" ? "57014" : sqlstateOf(error.kind)) // query_canceled
}

/** For who waits: shown at once by psql. */
export const notice = (words: string): Buffer => report({ severity: "NOTICE", sqlstate: "00000", message: words })

function refusal(error: GatewayError, severity: "FATAL" | "ERROR", sqlstate: string): Buffer {
  return report({ severity, sqlstate, message: error.say })
}

/** Says `words` and ends the client's side. Settles when they are sent, or after a moment if the client does not take them. */
export function farewell(client: Duplex, words: Buffer, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    if (client.destroyed || client.writableEnded) return resolve()
    const timer = clock.after(limits.farewell_ms_max, resolve)
    const done = () => {
      timer.cancel()
      resolve()
    }
    client.once("close", done)
    client.end(words, done)
    // Most often the kernel has taken them at once, and there is nothing to wait for.
    if (client.writableLength === 0) done()
  })
}
