// From a recording to what was run in it, in order: commands of an exec as they were sent, lines typed at a terminal as it showed
// them. Pure; a recording of any length goes through it in memory of a bounded size. How a line is read is `typed_lines.ts`.
import type { Millis } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import { bytesOf, type Line } from "./events.ts"
import { type Typed, TypedLines } from "./typed_lines.ts"

export type Told =
  | (Typed & { readonly channel: number })
  | { readonly kind: "exec"; readonly channel: number; readonly t: Millis; readonly text: string; readonly denied?: true }

/** Output within it is read in one go. */
const batch_ms = 1_000
/** To wait for the terminal costs a turn of the event loop. */
const keys_max = 256

interface Open {
  readonly typed: TypedLines
  readonly told: Told[]
  /** Not yet read. */
  waiting: Buffer[]
  bytes: number
  since: Millis
  /** Keys whose moments are not yet reached. */
  keys: number
}

/** Throws what reading the recording throws. */
export async function* transcribe(recording: AsyncIterable<Line>): AsyncGenerator<Told> {
  const terminals = new Map<number, Open>()
  /** The channel of each action that may still run. */
  const channels = new Map<number, number>()
  let last: Millis = 0
  for await (const line of recording) {
    last = line.t
    if (line.kind === "action" && line.action.kind === "ssh.exec") {
      const { channel, command } = line.action
      yield { kind: "exec", t: line.t, text: command, channel, ...(line.verdict === "deny" ? { denied: true } : {}) }
    }
    if (line.kind === "action" && "channel" in line.action && terminals.has(line.action.channel)) channels.set(line.n, line.action.channel)
    if (line.kind === "pty") terminals.set(line.channel, open(line))
    const channel = line.kind === "outcome" ? channels.get(line.action) : "channel" in line ? line.channel : undefined
    const terminal = channel === undefined ? undefined : terminals.get(channel)
    if (channel === undefined || !terminal) continue
    if (line.kind === "outcome") {
      channels.delete(line.action)
      terminals.delete(channel)
      yield* await close(terminal, line.t)
    } else yield* await follow(terminal, line)
  }
  for (const terminal of terminals.values()) yield* await close(terminal, last)
}

function open(pty: Extract<Line, { kind: "pty" }>): Open {
  const { channel } = pty
  const told: Told[] = []
  const typed = new TypedLines(pty, (one) => told.push({ ...one, channel }))
  return { typed, told, waiting: [], bytes: 0, since: 0, keys: 0 }
}

async function follow(terminal: Open, line: Line): Promise<readonly Told[]> {
  if (line.kind === "data" && line.stream !== "stdin") {
    if (terminal.bytes > 0 && line.t - terminal.since > batch_ms) read(terminal)
    if (terminal.bytes === 0) terminal.since = line.t
    const bytes = bytesOf(line)
    terminal.waiting.push(bytes)
    terminal.bytes += bytes.length
    if (terminal.bytes >= limits.transcript_batch_bytes) return settle(terminal)
  } else if (line.kind === "typed") {
    read(terminal)
    terminal.typed.keys(line, line.t)
    if (++terminal.keys >= keys_max) return settle(terminal)
  } else if (line.kind === "resize") {
    read(terminal)
    terminal.typed.resize(line)
  }
  return []
}

function read(terminal: Open): void {
  if (terminal.bytes > 0) terminal.typed.output(Buffer.concat(terminal.waiting), terminal.since)
  terminal.waiting = []
  terminal.bytes = 0
}

async function settle(terminal: Open): Promise<readonly Told[]> {
  read(terminal)
  await terminal.typed.settled()
  terminal.keys = 0
  return terminal.told.splice(0)
}

async function close(terminal: Open, t: Millis): Promise<readonly Told[]> {
  read(terminal)
  await terminal.typed.end(t)
  return terminal.told.splice(0)
}
