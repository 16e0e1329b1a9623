import assert from "node:assert/strict"
import { appendFileSync, mkdirSync, readFileSync, readdirSync, renameSync, truncateSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { test } from "node:test"
import { newSessionId, type SessionId } from "../../../src/core/ids.ts"
import { recordingsSince } from "../../../src/record/all.ts"
import { findRecording } from "../../../src/record/find.ts"
import { isAlive, ourselves } from "../../../src/record/places.ts"
import { readRecording } from "../../../src/record/read.ts"
import { recoverRecordings } from "../../../src/record/recover.ts"
import { closed, fresh, linesOf, record } from "./sample.ts"

/** A recording of `events` events, as if its writer had died. */
function left(dir: string, events = 3): { path: string; id: SessionId } {
  const { recorder, header } = record(dir)
  for (let count = 0; count < events; count++) recorder.write({ kind: "refused", what: `no ${count}` })
  const path = join(dirname(recorder.path), `${header.id}.999999999-1.ndjson`)
  renameSync(recorder.path, path)
  return { path, id: header.id }
}

test("recover: a recording without an end gets one, under its day", async () => {
  const dir = fresh()
  const { id } = left(dir)
  assert.deepEqual(await recoverRecordings(dir), { ended: [id], unreadable: [] })
  const found = await findRecording(dir, id)
  assert.equal(found?.path, join(dir, "2026/01/15", `${id}.ndjson`))
  assert.deepEqual((await linesOf(found.path)).at(-1), {
    n: 4,
    t: Date.UTC(2026, 0, 15, 12),
    kind: "end",
    code: "interrupted",
    bytes_up: 0,
    bytes_down: 0,
  })
  assert.deepEqual((await recoverRecordings(dir)).ended, [])
})

test("recover: a torn last line is cut off, however it was torn, and nothing else", async () => {
  for (const torn of ['{"n":4,"t":1', "{", "x".repeat(200_000)]) {
    const dir = fresh()
    const { path, id } = left(dir)
    const whole = readFileSync(path, "utf8")
    appendFileSync(path, torn)
    await recoverRecordings(dir)
    const found = await findRecording(dir, id)
    assert.ok(readFileSync(found!.path, "utf8").startsWith(whole))
    assert.equal((await linesOf(found!.path)).length, 5)
  }
})

test("recover: lines longer than a block are found whole", async () => {
  const dir = fresh()
  const { recorder } = record(dir)
  for (const size of [65_000, 65_536, 300_000]) recorder.write({ kind: "refused", what: "y".repeat(size) })
  const [id] = (await recoverRecordings(dir)).ended
  assert.equal((await linesOf((await findRecording(dir, id!))!.path)).length, 5)
})

test("recover: a session whose first line was never finished leaves nothing", async () => {
  for (const size of [0, 50]) {
    const dir = fresh()
    const { path } = left(dir, 0)
    truncateSync(path, size)
    assert.deepEqual(await recoverRecordings(dir), { ended: [], unreadable: [] })
    assert.deepEqual(readdirSync(join(dir, "live")), [])
  }
})

test("recover: an ended recording that was not moved is moved as it is", async () => {
  const dir = fresh()
  const { path, id } = left(dir)
  appendFileSync(path, `${JSON.stringify({ n: 4, t: 1, ...closed })}\n`)
  const text = readFileSync(path, "utf8")
  assert.deepEqual((await recoverRecordings(dir)).ended, [])
  assert.equal(readFileSync((await findRecording(dir, id))!.path, "utf8"), text)
})

test("recover: the recording of a process that lives is left alone, and so is what is no recording", async () => {
  const dir = fresh()
  const { path, id } = left(dir)
  const parent = readFileSync(`/proc/${process.ppid}/stat`, "latin1")
  const start = parent.slice(parent.lastIndexOf(")") + 2).split(" ")[19]
  const living = join(dirname(path), `${id}.${process.ppid}-${start}.ndjson`)
  renameSync(path, living)
  const stray = join(dirname(path), "notes.txt")
  writeFileSync(stray, "mine")
  const broken = join(dirname(path), `${newSessionId()}.999999999-1.ndjson`)
  writeFileSync(broken, "what\n")
  const { ended, unreadable } = await recoverRecordings(dir)
  assert.deepEqual(ended, [])
  assert.deepEqual(
    unreadable.map((one) => one.path),
    [broken],
  )
  assert.deepEqual(readdirSync(dirname(path)).sort(), [basename(living), basename(broken), "notes.txt"].sort())
  assert.equal(readFileSync(broken, "utf8"), "what\n")
  assert.deepEqual(await recoverRecordings(join(dir, "nowhere")), { ended: [], unreadable: [] })
})

test("places: a process is told from a later one with its number", () => {
  assert.ok(isAlive(ourselves))
  assert.ok(!isAlive(`${process.pid}-1`))
  assert.ok(!isAlive("999999999-1"))
})

test("find: only a session's id finds anything", async () => {
  const dir = fresh()
  mkdirSync(join(dir, "2026", "01", "15"), { recursive: true })
  mkdirSync(join(dir, "not-a-year"))
  writeFileSync(join(dir, "2026", "01", "15", "passwd.ndjson"), "")
  for (const id of ["passwd", "../../../../etc/passwd", "", "s_"]) assert.equal(await findRecording(dir, id as SessionId), undefined)
  assert.equal(await findRecording(dir, newSessionId()), undefined)
  assert.equal(await findRecording(join(dir, "nowhere"), newSessionId()), undefined)
  const { recorder, header } = record(dir)
  assert.deepEqual(await findRecording(dir, header.id), { path: recorder.path, live: true })
})

test("read: says the file, the line and what is wrong with it", async () => {
  const dir = fresh()
  const { recorder, header } = record(dir)
  for (const what of ["a", "b", "c"]) recorder.write({ kind: "refused", what })
  await recorder.close(closed)
  const lines = readFileSync(recorder.path, "utf8").split("\n").slice(0, -1)
  const path = join(dir, "changed.ndjson")
  const reading = (changed: string[]): Promise<unknown> => {
    writeFileSync(path, changed.map((line) => `${line}\n`).join(""))
    return linesOf(path)
  }
  const message = (words: string): { message: string } => ({ message: `${path}:${words}` })
  await assert.rejects(reading([]), message("1: this recording is empty"))
  await assert.rejects(reading(lines.toSpliced(2, 1)), message("3: events 2 to 2 are missing"))
  await assert.rejects(reading([lines[0]!, lines[2]!, lines[1]!]), message("2: events 1 to 1 are missing"))
  await assert.rejects(reading([lines[0]!, lines[1]!, lines[1]!]), message("3: event 1 comes after event 1"))
  await assert.rejects(reading(lines.slice(1)), message("1: a recording begins with its session"))
  await assert.rejects(reading([lines[0]!, "{}"]), message("2: this is not a line of a recording"))
  await assert.rejects(reading([lines[0]!, "\u0000"]), message("2: this is not a line of a recording"))
  const newer = JSON.stringify({ n: 0, t: 1, ...header, version: 2 })
  await assert.rejects(reading([newer]), message("1: this is version 2 of recordings; this program reads version 1"))
})

test("read: a gap can be told instead, and a line that is still being written is not read yet", async () => {
  const dir = fresh()
  const { recorder } = record(dir)
  for (const what of ["a", "b", "c"]) recorder.write({ kind: "refused", what })
  const lines = readFileSync(recorder.path, "utf8").split("\n").slice(0, -1)
  const path = join(dir, "gap.ndjson")
  writeFileSync(path, `${lines.toSpliced(2, 1).join("\n")}\n{"n":4,"t`)
  const gaps: string[] = []
  const numbers: number[] = []
  for await (const line of readRecording(path, { onGap: (words) => gaps.push(words) })) numbers.push(line.n)
  assert.deepEqual(numbers, [0, 1, 3])
  assert.deepEqual(gaps, ["events 2 to 2 are missing"])
})

test("read: a recording that ends, and so moves to its day, after it was found is read to its end", async () => {
  const dir = fresh()
  const { recorder, header } = record(dir)
  recorder.write({ kind: "refused", what: "one" })
  const found = await findRecording(dir, header.id)
  assert.equal(found?.live, true)
  await recorder.close(closed)
  assert.deepEqual(
    (await linesOf(found.path)).map(({ kind }) => kind),
    ["session", "refused", "end"],
  )
})

test("read: one that is nowhere any more is said to be missing, and so is a path that is no live one", async () => {
  const dir = fresh()
  const { path } = left(dir)
  renameSync(path, `${path}.away`)
  await assert.rejects(linesOf(path), { code: "ENOENT" })
  const { recorder, header } = record(dir)
  await recorder.close(closed)
  await assert.rejects(linesOf(join(dir, "2026/01/14", `${header.id}.ndjson`)), { code: "ENOENT" })
})

test("all: a recording that ends while they are looked through is met once, and can be read", async () => {
  const dir = fresh()
  const { recorder, header: ending } = record(dir)
  const other = record(dir)
  await other.recorder.close(closed)
  const seen: unknown[] = []
  for await (const path of recordingsSince(dir, 0)) {
    await recorder.close(closed)
    const [first] = await linesOf(path)
    seen.push(first?.kind === "session" && first.id)
  }
  assert.deepEqual(seen, [ending.id, other.header.id])
})
