// When a running Sluice stops: what one signal does, and what two do.
import assert from "node:assert/strict"
import { test } from "node:test"
import { untilTold } from "../../../src/cli/verbs/start_verb.ts"

/** What drains were asked for, while `tell` says to stop in this way and that. */
async function drains(tell: (told: { signal(): void; also(time_ms_max?: number): void }) => void): Promise<(number | undefined)[]> {
  const asked: (number | undefined)[] = []
  const over = Promise.withResolvers<void>()
  let also: (time_ms_max?: number) => void = () => {}
  const running = untilTold(
    (time_ms_max) => {
      asked.push(time_ms_max)
      return over.promise
    },
    (stop) => void (also = stop),
  )
  tell({ signal: () => void process.emit("SIGTERM"), also: (time_ms_max) => also(time_ms_max) })
  over.resolve()
  await running
  return asked
}

test("stopping: the first signal drains, the second cuts, a third changes nothing", async () => {
  assert.deepEqual(await drains(({ signal }) => signal()), [undefined])
  const thrice = await drains(({ signal }) => {
    signal()
    signal()
    signal()
  })
  assert.deepEqual(thrice, [undefined, 0])
})

test("stopping: a signal to the whole group, which a worker hears of its parent too, still leaves live sessions their time", async () => {
  const once = await drains(({ signal, also }) => {
    signal()
    also()
  })
  assert.deepEqual(once, [undefined])
  const twice = await drains(({ signal, also }) => {
    also()
    signal()
    signal()
    also(0)
  })
  assert.deepEqual(twice, [undefined, 0])
})

test("stopping: a parent that is gone, or that cuts, is heard at once", async () => {
  const gone = await drains(({ signal, also }) => {
    signal()
    also(0)
  })
  assert.deepEqual(gone, [undefined, 0])
  assert.deepEqual(await drains(({ also }) => also(0)), [0])
})
