// A recorded terminal as an asciicast, version 3 (docs.asciinema.org/manual/asciicast/v3), which asciinema and its web player show
// at the right size: output, sizes, a marker for each command that was typed, how it ended. What a recorded terminal may not do to
// the one that shows it is taken out, as in a replay.
import { once } from "node:events"
import { visible, visibleJson } from "../core/visible.ts"
import { limits } from "../core/limits.ts"
import { bytesOf, type Line } from "./events.ts"
import { readRecording } from "./read.ts"
import type { Screen } from "./replay.ts"
import { TerminalFilter } from "./terminal_filter.ts"
import { transcribe } from "./transcript.ts"

export interface AsciicastOptions {
  readonly screen: Screen
  /** Words about it, which are not part of it. */
  say(words: string): void
  readonly signal: AbortSignal
  /** Which terminal, where a connection had several; left out: the first. */
  readonly channel?: number | undefined
  /** How long the longest pause is when it plays; Infinity keeps them. */
  readonly pause_ms_max: number
}

type Code = "o" | "r" | "m" | "x"
interface Marker {
  readonly t: number
  readonly words: string
}

const size_max = 65_535 // players keep it in 16 bits

/** Answers false when the recording has no such terminal. Throws a RecordingError at a line that is not one. */
export async function writeAsciicast(path: string, options: AsciicastOptions): Promise<boolean> {
  const onGap = (words: string): void => options.say(`${words}: they could not be recorded`)
  const channel = await chosen(path, options)
  if (channel === undefined) return false
  const markers = await markersOf(path, channel)
  const cast = new Cast(options)
  let session: Extract<Line, { kind: "session" }> | undefined
  let began = false
  let action: number | undefined
  let command: string | undefined
  for await (const line of readRecording(path, { onGap })) {
    if (options.signal.aborted) return true
    if (line.kind === "session") session = line
    if (line.kind === "pty" && line.channel === channel) {
      if (began) continue
      began = true
      cast.terminal = line
    }
    if (!began || !session) continue
    if (line.kind === "action" && "channel" in line.action && line.action.channel === channel) {
      action ??= line.n
      if (line.action.kind === "ssh.exec") command ??= line.action.command
      if (action === line.n) await cast.head(session, command)
    }
    for (let next = markers[0]; next && next.t <= line.t; next = markers[0])
      await cast.event("m", (markers.shift() as Marker).words, next.t)
    if (await put(cast, line, { channel, action })) break
  }
  if (session) await cast.head(session, command) // of one in which nothing ever ran
  return true
}

/** True when it is over. */
async function put(cast: Cast, line: Line, { channel, action }: { channel: number; action: number | undefined }): Promise<boolean> {
  if (line.kind === "data" && line.channel === channel && line.stream !== "stdin") await cast.output(bytesOf(line), line.t)
  else if (line.kind === "resize" && line.channel === channel) await cast.event("r", size(line), line.t)
  else if (line.kind === "cut") await cast.event("m", `CUT ${line.code}${line.reason ? `: ${visible(line.reason)}` : ""}`, line.t)
  else if (line.kind === "outcome" && line.action === action) {
    if (line.exit !== undefined) await cast.event("x", String(line.exit), line.t)
    return line.status !== "cut"
  }
  return line.kind === "end"
}

/** Writes the lines; time is told as what passed since the line before. */
class Cast {
  readonly #options: AsciicastOptions
  readonly #filter = new TerminalFilter()
  readonly #decoder = new TextDecoder()
  #headed = false
  #last = 0
  terminal: Extract<Line, { kind: "pty" }> | undefined

  constructor(options: AsciicastOptions) {
    this.#options = options
  }

  async head(session: Extract<Line, { kind: "session" }>, command: string | undefined): Promise<void> {
    const { terminal } = this
    if (!terminal || this.#headed) return
    this.#headed = true
    this.#last = terminal.t
    const as = session.as === null ? "" : ` as ${session.as}`
    const { pause_ms_max } = this.#options
    await this.#write({
      version: 3,
      term: { ...sizeOf(terminal), type: terminal.term },
      timestamp: Math.floor(terminal.t / 1000),
      ...(Number.isFinite(pause_ms_max) ? { idle_time_limit: pause_ms_max / 1000 } : {}),
      ...(command === undefined ? {} : { command: visible(command) }),
      title: visible(`${session.subject} on ${session.target}${as}, ${session.id}`),
    })
  }

  async output(bytes: Buffer, t: number): Promise<void> {
    const text = this.#filter.pass(this.#decoder.decode(bytes, { stream: true }))
    if (text !== "") await this.event("o", text, t)
  }

  async event(code: Code, data: string, t: number): Promise<void> {
    if (!this.#headed) return
    const passed = Math.max(0, t - this.#last)
    this.#last += passed
    await this.#write([passed / 1000, code, data])
  }

  async #write(value: unknown): Promise<void> {
    const { screen, signal } = this.#options
    if (!screen.write(`${visibleJson(value)}\n`)) await once(screen, "drain", { signal }).catch(() => {})
  }
}

/** The terminal that was asked for, or the first. */
async function chosen(path: string, { channel, say }: AsciicastOptions): Promise<number | undefined> {
  const channels = new Set<number>()
  for await (const line of readRecording(path, { onGap: () => {} })) if (line.kind === "pty") channels.add(line.channel)
  if (channel !== undefined) return channels.has(channel) ? channel : undefined
  const [first] = channels
  if (channels.size > 1) say(`this connection had ${channels.size} terminals: --channel ${[...channels].join(", ")}. This is ${first}.`)
  return first
}

async function markersOf(path: string, channel: number): Promise<Marker[]> {
  const markers: Marker[] = []
  for await (const told of transcribe(readRecording(path, { onGap: () => {} }))) {
    if (told.channel !== channel || told.kind !== "typed") continue
    markers.push({ t: told.t, words: visible(told.text).slice(0, limits.asciicast_marker_chars_max) })
    if (markers.length === limits.asciicast_markers_max) break
  }
  return markers
}

const bounded = (value: number): number => Math.min(Math.max(Math.trunc(value), 1), size_max)
const sizeOf = ({ columns, rows }: { columns: number; rows: number }): { cols: number; rows: number } => ({
  cols: bounded(columns),
  rows: bounded(rows),
})
const size = (of: { columns: number; rows: number }): string => `${bounded(of.columns)}x${bounded(of.rows)}`
