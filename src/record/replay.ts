// A session again. A terminal plays at its own speed; everything else is listed. Read `listing.ts` for the words and
// `terminal_filter.ts` for what a recorded terminal may not do.
import { once } from "node:events"
import type { Writable } from "node:stream"
import { setTimeout as delay } from "node:timers/promises"
import { visibleJson } from "../core/visible.ts"
import { bytesOf, type Line } from "./events.ts"
import { header, listed, offset } from "./listing.ts"
import { readRecording } from "./read.ts"
import { TerminalFilter } from "./terminal_filter.ts"

/** Where it plays; a terminal has a size. */
export type Screen = Writable & { readonly columns?: number; readonly rows?: number }

export interface ReplayOptions {
  readonly screen: Screen
  /** Words about the replay, which are not part of it. */
  say(words: string): void
  readonly signal: AbortSignal
  /** 4: four times as fast. */
  readonly speed: number
  /** Starts there: what comes before is drawn at once. */
  readonly at_ms: number
  /** Longer pauses are cut to this; Infinity keeps them. */
  readonly pause_ms_max: number
  /** Which terminal, where a connection had several; left out: the first. */
  readonly channel?: number | undefined
  /** "play": a terminal where there is one. "list": never. "json": the events as they are. */
  readonly as: "play" | "list" | "json"
  readonly wait?: (ms: number, signal: AbortSignal) => Promise<void>
}

const wait = (ms: number, signal: AbortSignal): Promise<void> => delay(ms, undefined, { signal })

/** Settles at the end, or when the signal says so. Throws a RecordingError at a line that is not one. */
export async function replayRecording(path: string, options: ReplayOptions): Promise<void> {
  const { signal } = options
  const channel = options.as === "play" ? await terminalIn(path, options.channel) : undefined
  if (channel === undefined && options.channel !== undefined) options.say(`there is no terminal ${options.channel}; this is what there is`)
  try {
    if (channel === undefined) await list(path, options)
    else await play(path, channel, options)
  } catch (failure) {
    if (!signal.aborted) throw failure
  }
}

/** The channel that was asked for, or the first with a terminal. */
async function terminalIn(path: string, channel: number | undefined): Promise<number | undefined> {
  for await (const line of readRecording(path, { onGap: () => {} })) {
    if (line.kind === "session" && line.protocol !== "ssh") return undefined
    if (line.kind === "pty" && (channel === undefined || line.channel === channel)) return line.channel
  }
  return undefined
}

async function list(path: string, { screen, signal, at_ms, as, say }: ReplayOptions): Promise<void> {
  let began_at: number | undefined
  let last: Line | undefined
  const onGap = (words: string): void => say(`${words}: they could not be recorded`)
  for await (const line of readRecording(path, { onGap })) {
    if (signal.aborted) return
    began_at ??= line.t
    last = line
    if (line.kind !== "session" && line.t - began_at < at_ms) continue
    await put(screen, as === "json" ? `${visibleJson(line)}\n` : `${listed(line, began_at).join("\n")}\n`, signal)
  }
  if (last && last.kind !== "end" && as !== "json") say("no end: the session is live, or its gateway died")
}

async function play(path: string, channel: number, options: ReplayOptions): Promise<void> {
  const { screen, signal, say } = options
  const filter = new TerminalFilter()
  const decoder = new TextDecoder()
  let began_at: number | undefined
  let shown_at = 0
  let others = 0
  let drawn = false
  const reset = (): void => {
    if (drawn) screen.write(`${filter.reset}\r\n`)
    drawn = false
  }
  try {
    for await (const line of readRecording(path, { onGap: (words) => say(`${words}: they could not be recorded`) })) {
      began_at ??= line.t
      const at = line.t - began_at
      if (line.kind === "session") say(header(line, began_at).join("\n"))
      if (line.kind === "pty" && line.channel !== channel) others++
      if (!plays(line, channel)) continue
      const from = Math.max(shown_at, options.at_ms)
      const pause = Math.min(at - from, options.pause_ms_max) / options.speed
      if (pause > 0) await (options.wait ?? wait)(pause, signal)
      signal.throwIfAborted()
      shown_at = Math.max(shown_at, at)
      if (line.kind === "data") {
        drawn = true
        await put(screen, filter.pass(decoder.decode(bytesOf(line), { stream: true })), signal)
      } else if (line.kind === "pty" || line.kind === "resize") await fit(line, options)
      else if (line.kind === "cut" || line.kind === "end") {
        reset()
        for (const words of listed(line, began_at)) say(words)
      }
    }
    if (others > 0)
      say(`this connection had ${others} more terminal${others === 1 ? "" : "s"}: --list shows all of it, --channel plays another`)
  } finally {
    // Written without waiting: it must reach the terminal even after Ctrl-C.
    reset()
    if (signal.aborted && began_at !== undefined) say(`stopped at ${offset(shown_at)}; --at continues there`)
  }
}

function plays(line: Line, channel: number): boolean {
  if (line.kind === "cut" || line.kind === "end") return true
  if (line.kind === "data") return line.channel === channel && line.stream !== "stdin"
  return (line.kind === "pty" || line.kind === "resize") && line.channel === channel
}

/** Asks the reader's terminal for the recorded size (XTerm Control Sequences, CSI 8 t); many do not obey, so a smaller one is told. */
async function fit(
  { columns, rows }: { readonly columns: number; readonly rows: number },
  { screen, say, signal }: ReplayOptions,
): Promise<void> {
  if (screen.columns === undefined || screen.rows === undefined) return
  if (screen.columns === columns && screen.rows === rows) return
  if (screen.columns < columns || screen.rows < rows) {
    say(
      `the recording is ${columns}×${rows} and this terminal ${screen.columns}×${screen.rows}: make it larger, or lines break where they did not`,
    )
  }
  await put(screen, `\u001b[8;${Math.trunc(rows)};${Math.trunc(columns)}t`, signal)
}

/** Settles when the reader has taken it: a recording may be larger than memory. */
async function put(screen: Screen, text: string, signal: AbortSignal): Promise<void> {
  if (!screen.write(text)) await once(screen, "drain", { signal })
}
