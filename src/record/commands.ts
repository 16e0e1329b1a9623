// What was run in a session, for people and for machines: one line a command, its time since the beginning, every word escaped.
// What it is read from is `transcript.ts`.
import { once } from "node:events"
import { formatDuration } from "../core/duration.ts"
import { visible, visibleJson } from "../core/visible.ts"
import type { Line } from "./events.ts"
import { offset } from "./listing.ts"
import { readRecording } from "./read.ts"
import type { Screen } from "./replay.ts"
import { type Told, transcribe } from "./transcript.ts"

export interface CommandsOptions {
  readonly screen: Screen
  /** Words about it, which are not part of it. */
  say(words: string): void
  readonly signal: AbortSignal
  readonly json: boolean
}

/** Settles at the end, or when the signal says so. Throws a RecordingError at a line that is not one. */
export async function listCommands(path: string, { screen, say, signal, json }: CommandsOptions): Promise<void> {
  let first: Line | undefined
  const recording = async function* (): AsyncGenerator<Line> {
    for await (const line of readRecording(path, { onGap: (words) => say(`${words}: they could not be recorded`) })) {
      if (signal.aborted) return
      first ??= line
      yield line
    }
  }
  for await (const told of transcribe(recording())) {
    if (signal.aborted) return
    const text = json ? `${visibleJson(told)}\n` : `${shown(told, first?.t ?? told.t).join("\n")}\n`
    if (!screen.write(text)) await once(screen, "drain", { signal }).catch(() => {})
  }
  if (first?.kind === "session" && first.protocol !== "ssh") say(`a ${first.protocol} session: without --commands it is listed`)
}

function shown(told: Told, began_at: number): string[] {
  const before = `${offset(told.t - began_at)}  ${told.channel} `
  if (told.kind === "full_screen") return [`${before}(a program on the whole screen, for ${formatDuration(told.ends_at - told.t)})`]
  const [head = "", ...more] = told.text.split("\n").map(visible)
  const mark = told.kind === "exec" ? (told.denied ? "DENIED $ " : "$ ") : told.whole ? "" : promptOf(told.prompt)
  const indent = " ".repeat(before.length + mark.length - 2)
  return [before + mark + head, ...more.map((line) => `${indent}> ${line}`)]
}

/** A shell's prompt as `$`, another program's as it was. */
function promptOf(prompt: string): string {
  const text = prompt.trim()
  return text === "" || /[$%>❯➜]$/u.test(text) ? "$ " : text.endsWith("#") ? "# " : `${visible(text)} `
}
