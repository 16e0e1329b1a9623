// Reads a recording line by line, and says where it is not one: another version, numbers that do not follow, what is no JSON. A
// last line without its end is not an error: a live recording may be read in the middle of a write. Nor is one that has ended, and so
// moved to its day, since its path was found.
import { open, type FileHandle } from "node:fs/promises"
import { limits } from "../core/limits.ts"
import { recording_version, type Line } from "./events.ts"
import { movedTo } from "./find.ts"

/** Words for the person who reads it, with file and line. */
export class RecordingError extends Error {
  constructor(path: string, line: number, words: string) {
    super(`${path}:${line}: ${words}`)
    this.name = "RecordingError"
  }
}

export interface ReadOptions {
  /** Told about lines that are missing (a session that went on while its disk was full); without it they are an error. */
  onGap?(words: string): void
}

/** Throws a RecordingError, or what the file system throws. */
export async function* readRecording(path: string, { onGap }: ReadOptions = {}): AsyncGenerator<Line> {
  let number = 0
  let next = 0
  for await (const text of wholeLines(path)) {
    number++
    const line = parse(text)
    if (!line) throw new RecordingError(path, number, "this is not a line of a recording")
    if (number === 1) checkFirst(path, line)
    if (line.n !== next) {
      const words = line.n > next ? `events ${next} to ${line.n - 1} are missing` : `event ${line.n} comes after event ${next - 1}`
      if (!onGap || line.n < next) throw new RecordingError(path, number, words)
      onGap(words)
    }
    next = line.n + 1
    yield line
  }
  if (number === 0) throw new RecordingError(path, 1, "this recording is empty")
}

function parse(text: string): Line | undefined {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  const line = value as Line | null
  const sound =
    typeof line === "object" && line !== null && Number.isSafeInteger(line.n) && Number.isFinite(line.t) && typeof line.kind === "string"
  return sound ? line : undefined
}

function checkFirst(path: string, line: Line): void {
  if (line.kind !== "session") throw new RecordingError(path, 1, "a recording begins with its session")
  const version: unknown = line.version
  if (version !== recording_version) {
    throw new RecordingError(
      path,
      1,
      `this is version ${JSON.stringify(version)} of recordings; this program reads version ${recording_version}`,
    )
  }
}

/** Each line that has its end, bounded. */
async function* wholeLines(path: string): AsyncGenerator<string> {
  let parts: Buffer[] = []
  let bytes = 0
  let number = 1
  const file = await openRecording(path)
  for await (const chunk of file.createReadStream() as AsyncIterable<Buffer>) {
    let start = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
      parts.push(chunk.subarray(start, end))
      yield Buffer.concat(parts).toString("utf8")
      parts = []
      bytes = 0
      number++
      start = end + 1
    }
    parts.push(chunk.subarray(start))
    bytes += chunk.length - start
    if (bytes > limits.recorded_line_bytes_max) throw new RecordingError(path, number, "a line longer than any that is written")
  }
}

/** What is open stays open when the file moves, so one look is enough. */
async function openRecording(path: string): Promise<FileHandle> {
  try {
    return await open(path)
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code !== "ENOENT") throw failure
    const moved = await movedTo(path)
    if (moved === undefined) throw failure
    return open(moved)
  }
}
