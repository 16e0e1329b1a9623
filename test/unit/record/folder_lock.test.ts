import assert from "node:assert/strict"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { suite, test, type TestContext } from "node:test"
import { createLog } from "../../../src/observe/log.ts"
import { ownRecordings, shareRecordings } from "../../../src/record/folder_lock.ts"
import { LineSink } from "../../support/line_sink.ts"
import { scratch } from "../../support/scratch.ts"

const taken = /another gateway records in .+; each needs a folder of its own \(recordings\.store\)/

suite("a folder of recordings", () => {
  const folderAt = (dir: string, on_failure: "cut" | "allow" = "cut") => {
    const sink = new LineSink()
    return { dir, on_failure, log: createLog("debug", sink), sink }
  }

  /** Another process; what it says of its try. */
  async function other(t: TestContext, dir: string, how: "own" | "share"): Promise<{ child: ChildProcess; said: string }> {
    const script = join(import.meta.dirname, "locking_child.ts")
    const child = spawn(process.execPath, ["--expose-gc", script, dir, how], { stdio: ["pipe", "pipe", "inherit"] })
    t.after(() => child.kill("SIGKILL"))
    const [said] = (await once(createInterface({ input: child.stdout }), "line")) as [string]
    return { child, said }
  }
  async function kill(child: ChildProcess): Promise<void> {
    const gone = once(child, "exit")
    child.kill("SIGKILL")
    await gone
  }

  test("is one gateway's: another process is refused, and one in the same process, until it is given back", async (t) => {
    const folder = folderAt(scratch("folder"))
    const lock = await ownRecordings(folder)
    assert.match((await other(t, folder.dir, "own")).said, taken)
    await assert.rejects(ownRecordings(folder), taken)
    lock.release()
    lock.release()
    const { child, said } = await other(t, folder.dir, "own")
    assert.equal(said, "has it")
    await assert.rejects(ownRecordings(folder), taken)
    await kill(child)
    ;(await ownRecordings(folder)).release()
  })

  test("is shared by the processes of one gateway, any number, and outlives one that ends", async (t) => {
    const { dir, ...rest } = folderAt(scratch("folder"))
    const folder = { dir, ...rest }
    const lock = await ownRecordings(folder)
    const [one, two] = [await other(t, dir, "share"), await other(t, dir, "share")]
    assert.deepEqual([one.said, two.said], ["has it", "has it"])
    await kill(one.child)
    assert.equal((await other(t, dir, "share")).said, "has it")
    await assert.rejects(ownRecordings(folder), taken)
    lock.release()
  })

  test("is waited for while a process of a killed gateway still records", async (t) => {
    const folder = folderAt(scratch("folder"))
    const killed = await other(t, folder.dir, "own")
    const left = await other(t, folder.dir, "share")
    await kill(killed.child)
    let had = false
    const waiting = ownRecordings(folder).then((lock) => ((had = true), lock))
    const late = await other(t, folder.dir, "share") // time enough to have had it
    assert.equal(late.said, "has it")
    assert.equal(had, false)
    await kill(left.child)
    await kill(late.child)
    const lock = await waiting
    shareRecordings(folder).release()
    lock.release()
  })

  test("stays as it is: the lock is an empty file beside the days, and writes nothing", async () => {
    const { dir, ...rest } = folderAt(scratch("folder"))
    const lock = await ownRecordings({ dir, ...rest })
    assert.deepEqual(readdirSync(dir), ["gateway.lock"])
    assert.equal(statSync(join(dir, "gateway.lock")).size, 0)
    lock.release()
    assert.deepEqual(readdirSync(dir), ["gateway.lock"])
  })

  test("that cannot be locked is refused with its reason; where recordings may be missing it is logged", async () => {
    const dir = scratch("folder")
    writeFileSync(join(dir, "gateway.lock"), "something of somebody else's, longer than a header of a database would be\n".repeat(20))
    await assert.rejects(ownRecordings(folderAt(dir)), /cannot be locked for this gateway's recordings: file is not a database/)
    assert.throws(() => shareRecordings(folderAt(dir)), /file is not a database/)
    const lenient = folderAt(dir, "allow")
    ;(await ownRecordings(lenient)).release()
    assert.match(lenient.sink.text, /could use as well \(on_failure: allow\)/)
  })
})
