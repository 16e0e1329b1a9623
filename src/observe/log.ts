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
  return new FieldLog(
    pino(
      {
        level,
        base: null,
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (word) => ({ level: word }) }, // pino's numbers are known to nobody else
        serializers: { err: (value: unknown) => value },
      },
      destination,
    ),
    {},
  )
}

/** All children share one logger: each connection has some, and a logger of its own would be most of what they weigh. */
class FieldLog implements Log {
  readonly #logger: Logger
  readonly #fields: Record<string, unknown>

  constructor(logger: Logger, fields: Record<string, unknown>) {
    this.#logger = logger
    this.#fields = fields
  }

  child(fields: Record<string, unknown>): Log {
    return new FieldLog(this.#logger, { ...this.#fields, ...scrub(fields) })
  }

  debug(fields: Record<string, unknown>, words: string): void {
    this.#write("debug", fields, words)
  }

  info(fields: Record<string, unknown>, words: string): void {
    this.#write("info", fields, words)
  }

  warn(fields: Record<string, unknown>, words: string): void {
    this.#write("warn", fields, words)
  }

  error(fields: Record<string, unknown>, words: string): void {
    this.#write("error", fields, words)
  }

  #write(level: "debug" | "info" | "warn" | "error", fields: Record<string, unknown>, words: string): void {
    if (this.#logger.isLevelEnabled(level)) this.#logger[level]({ ...this.#fields, ...scrub(fields) }, scrubText(words))
  }
}
