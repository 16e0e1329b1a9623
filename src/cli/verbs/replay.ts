// `sluice replay`: a session again, as its terminal showed it or as the list of what was done.
import { InvalidArgumentError } from "commander"
import { stat } from "node:fs/promises"
import { formatDuration, parseDuration } from "../../core/duration.ts"
import { isSessionId } from "../../core/ids.ts"
import { findRecording } from "../../record/find.ts"
import type { AsciicastOptions } from "../../record/asciicast.ts"
import type { CommandsOptions } from "../../record/commands.ts"
import { RecordingError } from "../../record/read.ts"
import { replayRecording } from "../../record/replay.ts"
import { config_default, readConfig } from "../config_file.ts"
import { jsonOption, type AddVerb, type JsonOption } from "../context.ts"
import { Failure } from "../failure.ts"

const pause_ms_max = 2_000

interface Options extends JsonOption {
  readonly config?: string
  readonly speed: number
  readonly at?: number
  readonly realTime?: true
  readonly list?: true
  readonly commands?: true
  readonly asciicast?: true
  readonly channel?: number
  readonly idle?: number
}

export const addReplay: AddVerb = (program, { io }) => {
  program
    .command("replay")
    .argument("<session>", "a session's id, or the file of its recording")
    .description("play a recorded terminal, or list what was done")
    .option("--config <file>", `where the recordings are (default: ${config_default})`)
    .option("--speed <factor>", "how fast a terminal plays", factor, 1)
    .option("--at <time>", "start at, such as 00:12:30 (default: its beginning)", position)
    .option("--idle <time>", `the longest pause, such as 5s (default: ${formatDuration(pause_ms_max)})`, pause)
    .option("--real-time", "every pause as long as it was")
    .option("--channel <number>", "which terminal, where a connection had several", channelNumber)
    .option("--list", "list a terminal session as well, instead of playing it")
    .option("--commands", "what was run: commands, and lines typed at a terminal as it showed them")
    .option("--asciicast", "a terminal as a file that asciinema plays (asciicast, version 3)")
    .option(...jsonOption)
    .action(async (session: string, options: Options) => {
      const path = await pathOf(session, options.config)
      const common = {
        screen: process.stdout,
        say: (words: string): void => io.error(`${words}\n`),
        signal: io.signal,
        channel: options.channel,
        pause_ms_max: options.realTime ? Infinity : (options.idle ?? pause_ms_max),
      }
      try {
        if (options.asciicast) await asciicast(path, common)
        else if (options.commands) await commands(path, { ...common, json: options.json === true })
        else {
          const as = options.json ? "json" : options.list ? "list" : "play"
          await replayRecording(path, { ...common, speed: options.speed, at_ms: options.at ?? 0, as })
        }
      } catch (failure) {
        if (failure instanceof RecordingError) throw new Failure(failure.message, "The lines before it are as they were recorded.")
        throw failure
      }
    })
}

/** These are loaded when they are asked for: no other verb needs a terminal. */
async function commands(path: string, options: CommandsOptions): Promise<void> {
  const { listCommands } = await import("../../record/commands.ts")
  await listCommands(path, options)
}

async function asciicast(path: string, options: AsciicastOptions): Promise<void> {
  const { writeAsciicast } = await import("../../record/asciicast.ts")
  if (await writeAsciicast(path, options)) return
  const which = options.channel === undefined ? "no terminal" : `no terminal ${options.channel}`
  throw new Failure(`this session had ${which}`, "`sluice replay <session> --list` shows what it had.")
}

async function pathOf(session: string, config: string | undefined): Promise<string> {
  if (!isSessionId(session)) {
    const readable = await stat(session).then(
      (found) => !found.isDirectory(),
      () => false,
    )
    if (readable) return session
    throw new Failure(`there is no recording ${session}`, "Name a session's id (`sluice sessions` lists them) or a recording's file.")
  }
  const { recordings } = await readConfig(config ?? config_default)
  const found = await findRecording(recordings.dir, session)
  if (found) return found.path
  throw new Failure(
    `there is no recording of ${session} in ${recordings.dir}`,
    "Recordings lie with the gateway that made them: run this there.",
  )
}

function factor(text: string): number {
  const speed = Number(text)
  if (!(speed > 0 && speed <= 1_000)) throw new InvalidArgumentError("A speed is a number above 0, such as 4.")
  return speed
}

/** Milliseconds, from hh:mm:ss, mm:ss or seconds. */
function position(text: string): number {
  if (!/^(\d{1,4}:)?(\d{1,4}:)?\d{1,6}$/.test(text)) throw new InvalidArgumentError("A position looks like 00:12:30.")
  return text.split(":").reduce((sum, part) => sum * 60 + Number(part), 0) * 1_000
}

function pause(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined || ms === 0) throw new InvalidArgumentError("A pause is a duration, such as 5s or 1m.")
  return ms
}

function channelNumber(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("A channel is a number, as --list shows it.")
  return Number(text)
}
