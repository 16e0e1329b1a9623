// Every recording there is, the newest day first: for who looks through all of them.
import { readdir } from "node:fs/promises"
import { basename, join } from "node:path"
import type { Millis } from "../core/clock.ts"
import { liveFolder, readLiveName } from "./places.ts"

const suffix = ".ndjson"

/** Paths of recordings whose day may be after `since`, each once: also of one that moves from the live to its day meanwhile. */
export async function* recordingsSince(dir: string, since: Millis): AsyncGenerator<string> {
  const live = new Set<string>()
  for await (const path of recordingsIn(liveFolder(dir))) {
    const id = readLiveName(basename(path))?.id
    if (id !== undefined) live.add(id + suffix)
    yield path
  }
  for (const year of await numbersIn(dir)) {
    for (const month of await numbersIn(join(dir, year))) {
      for (const day of await numbersIn(join(dir, year, month))) {
        const folder = join(dir, year, month, day)
        if (Date.parse(`${year}-${month}-${day}T23:59:59.999Z`) < since) continue
        for await (const path of recordingsIn(folder)) if (!live.has(basename(path))) yield path
      }
    }
  }
}

async function* recordingsIn(folder: string): AsyncGenerator<string> {
  for (const name of await namesIn(folder)) if (name.endsWith(suffix)) yield join(folder, name)
}

const numbersIn = async (folder: string): Promise<string[]> =>
  (await namesIn(folder)).filter((name) => /^\d{2,4}$/.test(name)).sort((a, b) => b.localeCompare(a))

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder)
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === "ENOENT") return []
    throw failure
  }
}
