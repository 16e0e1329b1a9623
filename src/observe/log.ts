// The log: one JSON object a line on standard error, session ids as fields, never a secret.
import { pino } from "pino"

export interface Log {
  child(fields: Record<string, unknown>): Log
  debug(fields: Record<string, unknown>, words: string): void
  info(fields: Record<string, unknown>, words: string): void
  warn(fields: Record<string, unknown>, words: string): void
  error(fields: Record<string, unknown>, words: string): void
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent"

export function createLog(level: LogLevel, destination: NodeJS.WritableStream = process.stderr): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: errorFacts } }, destination)
}

/** An error as its name, code, message and causes; no stack and no other property, which might hold what a peer sent. */
function errorFacts(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error)
  const code = (error as { code?: unknown }).code
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === "string" ? { code } : {}),
    ...(error.cause === undefined ? {} : { cause: errorFacts(error.cause) }),
  }
}
