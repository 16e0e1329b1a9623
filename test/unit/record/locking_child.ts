// A process that has a folder of recordings, whole or in part, until it is ended; or says why not.
import { pino } from "pino"
import { ownRecordings, shareRecordings } from "../../../src/record/folder_lock.ts"

const [dir = "", how] = process.argv.slice(2)
const folder = { dir, on_failure: "cut" as const, log: pino({ level: "silent" }) }
try {
  await (how === "own" ? ownRecordings(folder) : shareRecordings(folder))
  globalThis.gc?.() // nothing here refers to it
  console.log("has it")
  process.stdin.resume()
} catch (failure) {
  console.log((failure as Error).message)
}
