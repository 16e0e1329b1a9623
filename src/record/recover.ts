// After a crash: gives every recording whose writer is gone its end. Looks at `live` alone, so its cost is what was live then. It
// takes away nothing but a last line that was never finished.
import { mkdir, open, readdir, rename, rm, type FileHandle } from "node:fs/promises"
import { join } from "node:path"
import type { SessionId } from "../core/ids.ts"
import type { Line } from "./events.ts"
import { closedPath, dayFolder, isAlive, liveFolder, ourselves, readLiveName } from "./places.ts"

const block_bytes = 64 * 1024

export interface Recovered {
  /** Sessions that were ended as "interrupted". */
  readonly ended: readonly SessionId[]
  /** Recordings that are not what this program wrote; they are left as they are, where they are. */
  readonly unreadable: readonly { readonly path: string; readonly error: Error }[]
}

/**
 * Call it before this process records anything: what bears its own mark then is another's, of the same number and start (a
 * container's first process).
 */
export async function recoverRecordings(dir: string): Promise<Recovered> {
  const ended: SessionId[] = []
  const unreadable: { path: string; error: Error }[] = []
  for (const name of await names(liveFolder(dir))) {
    const live = readLiveName(name)
    if (!live || (live.writer !== ourselves && isAlive(live.writer))) continue
    const path = join(liveFolder(dir), name)
    try {
      if (await finish(dir, live.id, path)) ended.push(live.id)
    } catch (failure) {
      unreadable.push({ path, error: failure as Error })
    }
  }
  return { ended, unreadable }
}

async function names(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === "ENOENT") return []
    throw failure
  }
}

async function finish(dir: string, id: SessionId, path: string): Promise<boolean> {
  const file = await open(path, "r+")
  let first: Line | undefined
  let last: Line | undefined
  try {
    const size = await endOfLastLine(file)
    await file.truncate(size)
    first = await lineAt(file, 0)
    last = await lineAt(file, await startOfLastLine(file, size))
    if (first && last && last.kind !== "end") await file.write(interrupted(last), size)
    await file.datasync()
  } finally {
    await file.close()
  }
  if (!first || !last) {
    // Its first line was never finished, so nothing ever ran under it.
    await rm(path)
    return false
  }
  await mkdir(dayFolder(dir, first.t), { recursive: true, mode: 0o700 })
  await rename(path, closedPath(dir, id, first.t))
  return last.kind !== "end"
}

/** Its time is that of the last event: when it was interrupted is not known, and may be long before now. Neither are the bytes. */
const interrupted = ({ n, t }: Line): string =>
  `${JSON.stringify({ n: n + 1, t, kind: "end", code: "interrupted", bytes_up: 0, bytes_down: 0 } satisfies Line)}\n`

/** The size without a line that has no end. */
async function endOfLastLine(file: FileHandle): Promise<number> {
  return (await lastNewline(file, (await file.stat()).size)) + 1
}

async function startOfLastLine(file: FileHandle, size: number): Promise<number> {
  return (await lastNewline(file, size - 1)) + 1
}

/** Where the last newline before `end` is; -1 when there is none. */
async function lastNewline(file: FileHandle, end: number): Promise<number> {
  const block = Buffer.alloc(block_bytes)
  for (let to = end; to > 0; to -= block_bytes) {
    const from = Math.max(0, to - block_bytes)
    const { bytesRead } = await file.read(block, 0, to - from, from)
    const found = block.subarray(0, bytesRead).lastIndexOf(10)
    if (found !== -1) return from + found
  }
  return -1
}

/** The line that starts at `start`; undefined at the end of the file. */
async function lineAt(file: FileHandle, start: number): Promise<Line | undefined> {
  const parts: Buffer[] = []
  for (let at = start; ; at += block_bytes) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(block_bytes), 0, block_bytes, at)
    const end = buffer.subarray(0, bytesRead).indexOf(10)
    parts.push(buffer.subarray(0, end === -1 ? bytesRead : end))
    if (end !== -1) return JSON.parse(Buffer.concat(parts).toString("utf8")) as Line
    if (bytesRead === 0) return undefined
  }
}
