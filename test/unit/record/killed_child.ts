// A process that records until it is killed, saying the number of each event after `write` answered true.
import { writeSync } from "node:fs"
import { systemClock } from "../../../src/core/clock.ts"
import { record } from "./sample.ts"

const { recorder } = record(process.argv[2]!, { clock: systemClock() })
for (;;) {
  const { next } = recorder
  recorder.write({ kind: "refused", what: "x".repeat(next % 2_000) })
  writeSync(1, `${next}\n`)
}
