import assert from "node:assert/strict"
import { test } from "node:test"
import { must } from "../../support/run.ts"

/** How often V8 looks through its whole heap while a gigabyte passes, 64 KiB at a time. */
const script = (before: string): string => `
  import { constants, PerformanceObserver } from "node:perf_hooks"
  import { countBuffersWithHeap } from ${JSON.stringify(new URL("../../../src/gateway/external_memory.ts", import.meta.url).href)}
  ${before}
  let whole = 0
  new PerformanceObserver((list) => {
    for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) whole++
  }).observe({ entryTypes: ["gc"] })
  for (let chunk = 0; chunk < 16_384; chunk++) {
    Buffer.allocUnsafeSlow(65_536)[0] = 1
    if (chunk % 50 === 0) await new Promise(setImmediate)
  }
  await new Promise(setImmediate)
  console.log(whole)
`
const looks = async (before: string): Promise<number> => Number(await must(process.execPath, ["--input-type=module", "-e", script(before)]))

test("external memory: bytes that pass do not have V8 look through its heap again and again", async () => {
  const [usual, counted] = [await looks(""), await looks("countBuffersWithHeap()")]
  assert.ok(usual > 5, `${usual} without the setting: it is not needed any more`)
  assert.ok(counted < usual / 2, `${counted} with it, ${usual} without`)
})
