// How a failure looks over HTTP: the status for its kind, and a body of constant words with the code of the error table. Causes
// go to the log.
import type { FastifyError, FastifyReply } from "fastify"
import { z } from "zod"
import type { ErrorBody } from "../api/schema.ts"
import { type ErrorKind, GatewayError } from "../core/errors.ts"
import type { Log } from "../observe/log.ts"

const statuses: Record<ErrorKind, number> = {
  identity: 401,
  access: 403,
  ended: 409,
  unavailable: 503,
  upstream: 502,
  protocol: 400,
  unsupported: 415,
  input: 400,
  conflict: 409,
  missing: 404,
}

export function statusOf({ code, kind }: GatewayError): number {
  if (code === "too_many") return 429
  if (code === "too_large") return 413
  return statuses[kind]
}

/** Any failure of a call as one of the table; undefined for one that is ours. */
export function known(failure: unknown): GatewayError | undefined {
  if (failure instanceof GatewayError) return failure
  if (failure instanceof z.ZodError) return new GatewayError("invalid", { what: whatIsWrong(failure) }, failure)
  const { code, statusCode = 500 } = (failure ?? {}) as Partial<FastifyError>
  if (code === "FST_ERR_CTP_BODY_TOO_LARGE") return new GatewayError("too_large", {}, failure)
  if (statusCode >= 400 && statusCode < 500) return new GatewayError("invalid", { what: "the request is not well-formed" }, failure)
  return undefined
}

/** The place and the rule in our words; what was sent is not repeated. */
function whatIsWrong({ issues }: z.ZodError): string {
  const [issue] = issues
  if (!issue) return "the request is not valid"
  const words = issue.code === "unrecognized_keys" ? "unknown field" : issue.message
  return [...(issue.path.length > 0 ? [issue.path.join(".")] : []), words].join(": ")
}

export function answerFailure(failure: unknown, reply: FastifyReply, log: Log): void {
  const error = known(failure)
  if (!error) log.error({ err: failure }, "a call failed")
  else if (error.code === "stale" && error.cause !== undefined) log.error({ err: error }, "a call could not be answered now")
  else if (error.cause !== undefined) log.debug({ err: error }, "a call was refused")
  const body: ErrorBody = error ? { code: error.code, message: error.message } : { code: "internal", message: "something went wrong here" }
  if (error?.kind === "identity") void reply.header("www-authenticate", "Bearer")
  void reply
    .code(error ? statusOf(error) : 500)
    .type("application/json")
    .send(body)
}
