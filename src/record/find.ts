// From a session's id to its recording. A closed one lies in the folder of its day, which the id does not tell: each day is one
// look at a name, the newest first.
import { access, readdir } from "node:fs/promises"
import { basename, dirname, join } from "node:path"
import { isSessionId, type SessionId } from "../core/ids.ts"
import { liveFolder, readLiveName } from "./places.ts"

export interface Found {
  readonly path: string
  /** Still being written, or its writer died and nobody has started since. */
  readonly live: boolean
}

/** Undefined when there is none; nothing but a session's id can name one. */
export async function findRecording(dir: string, id: SessionId): Promise<Found | undefined> {
  if (!isSessionId(id)) return undefined
  const live = (await list(liveFolder(dir))).find((name) => readLiveName(name)?.id === id)
  if (live !== undefined) return { path: join(liveFolder(dir), live), live: true }
  for await (const day of days(dir)) {
    const path = join(day, `${id}.ndjson`)
    if (await exists(path)) return { path, live: false }
  }
  return undefined
}

/** Where the recording lies that was live at `path` and is not there any more; undefined when it is nowhere. */
export async function movedTo(path: string): Promise<string | undefined> {
  const live = readLiveName(basename(path))
  const dir = dirname(dirname(path))
  if (!live || dirname(path) !== liveFolder(dir)) return undefined
  return (await findRecording(dir, live.id))?.path
}

async function* days(dir: string): AsyncGenerator<string> {
  for (const year of await numbers(dir, 4)) {
    for (const month of await numbers(join(dir, year), 2)) {
      for (const day of await numbers(join(dir, year, month), 2)) yield join(dir, year, month, day)
    }
  }
}

const numbers = async (folder: string, digits: number): Promise<string[]> =>
  (await list(folder)).filter((name) => name.length === digits && /^\d+$/.test(name)).sort((a, b) => b.localeCompare(a))

async function list(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === "ENOENT") return []
    throw failure
  }
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )
