// Every recording there is, the newest day first: for who looks through all of them.
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import type { Millis } from "../core/clock.ts"
import { liveFolder } from "./places.ts"

const suffix = ".ndjson"

/** Paths of recordings whose day may be after `since`. */
export async function* recordingsSince(dir: string, since: Millis): AsyncGenerator<string> {
  yield* recordingsIn(liveFolder(dir))
  for (const year of await numbersIn(dir)) {
    for (const month of await numbersIn(join(dir, year))) {
      for (const day of await numbersIn(join(dir, year, month))) {
        const folder = join(dir, year, month, day)
        if (Date.parse(`${year}-${month}-${day}T23:59:59.999Z`) >= since) yield* recordingsIn(folder)
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
