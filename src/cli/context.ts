// What a verb runs with, whether it was typed on somebody's machine or came by `ssh gateway <verb>`: the same verb, another context.
import type { Command } from "commander"
import type { ApiClient } from "../api/client.ts"
import type { Millis } from "../core/clock.ts"
import { visibleJson } from "../core/visible.ts"

export interface Io {
  write(text: string): void
  error(text: string): void
  /** Ctrl-C, or the connection that is gone. */
  readonly signal: AbortSignal
  /** Infinity where nobody reads a screen. */
  readonly columns: number
}

export interface Context {
  readonly io: Io
  /** How this person calls a verb: "sluice" or "ssh gw.example.com". */
  readonly call: string
  /** How somebody else does. */
  readonly callOfOthers: string
  now(): Millis
  /** The verb runs on this person's own machine: why a call failed is theirs to know. */
  readonly own?: true
  /** The API as the person who runs the verb. */
  api(): Promise<ApiClient>
  /** A line that uses `target`; undefined when this side does not know one. */
  useLine(target: string, account: string | undefined): string | undefined
  /** Where a request can be looked at in a browser; undefined when this side does not know. */
  pageOf(request: number): string | undefined
  /** The exit status when nothing throws: 0 unless a verb says otherwise. */
  status: 0 | 1
}

/** Adds one verb to a program. */
export type AddVerb = (program: Command, context: Context) => void

export interface JsonOption {
  readonly json?: true
}

export const jsonOption = ["--json", "for machines"] as const

/** `value` for machines, or what `text` answers for people. */
export function show({ io }: Context, { json }: JsonOption, value: unknown, text: () => string): void {
  io.write(json ? `${visibleJson(value)}\n` : `${text().replace(/\n+$/, "")}\n`)
}
