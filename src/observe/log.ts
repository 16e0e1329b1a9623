// The log: one JSON object a line on standard error, session ids as fields, never a secret. Secrets are `Secret` and print as
// such; `scrub` is the second line, for what a peer or a library put into an error.
import { pino } from "pino"
import type { Logger } from "pino"
import { scrub, scrubText } from "./scrub.ts"

export interface Log {
  child(fields: Record<string, unknown>): Log
  debug(fields: Record<string, unknown>, words: string): void
  info(fields: Record<string, unknown>, words: string): void
  warn(fields: Record<string, unknown>, words: string): void
  error(fields: Record<string, unknown>, words: string): void
}

export type LogLevel = "debug" | "info" | "warn" | "error" | "silent"

export function createLog(level: LogLevel, destination: NodeJS.WritableStream = process.stderr): Log {
  // What an error says is `scrub`'s to decide: pino's own serializer would print the stack and every property.
  return wrap(
    pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, serializers: { err: (value: unknown) => value } }, destination),
  )
}

function wrap(logger: Logger): Log {
  const at =
    (level: "debug" | "info" | "warn" | "error") =>
    (fields: Record<string, unknown>, words: string): void => {
      if (logger.isLevelEnabled(level)) logger[level](scrub(fields), scrubText(words))
    }
  return {
    child: (fields) => wrap(logger.child(scrub(fields))),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
  }
}
