// A GatewayError in SSH's own terms: the disconnect reason (RFC 4253, section 11.1) and the channel open failure (RFC 4254,
// section 5.1). The words are always the error's own; nothing else is told.
import type { ErrorKind, GatewayError } from "../../src/core/errors.ts"
import { openFailure } from "./connection.ts"
import { disconnectReason, type Transport } from "./transport.ts"

const { protocol_error, service_not_available, by_application, too_many_connections, no_more_auth_methods } = disconnectReason

const disconnects: Readonly<Record<ErrorKind, number>> = {
  identity: no_more_auth_methods,
  access: by_application,
  ended: service_not_available, // many clients keep the words of by_application to themselves
  unavailable: too_many_connections,
  upstream: service_not_available,
  protocol: protocol_error,
  unsupported: by_application,
  input: by_application,
  conflict: by_application,
  missing: by_application,
}

const failures: Readonly<Record<ErrorKind, number>> = {
  identity: openFailure.prohibited,
  access: openFailure.prohibited,
  ended: openFailure.prohibited,
  unavailable: openFailure.shortage,
  upstream: openFailure.connect_failed,
  protocol: openFailure.prohibited,
  unsupported: openFailure.prohibited,
  input: openFailure.prohibited,
  conflict: openFailure.prohibited,
  missing: openFailure.prohibited,
}

/** Ends a connection with the error's words. */
export const disconnect = (transport: Transport, error: GatewayError): void => transport.disconnect(disconnects[error.kind], error.say)

/** The same, and the client is to close: see `Transport.dismiss`. */
export const dismiss = (transport: Transport, error: GatewayError): void => transport.dismiss(disconnects[error.kind], error.say)

/** The two arguments of a channel's refusal. */
export const refusalOf = (error: GatewayError): readonly [reason: number, words: string] => [failures[error.kind], error.say]
