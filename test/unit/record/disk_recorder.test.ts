import assert from "node:assert/strict"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { test } from "node:test"
import { limits } from "../../../src/core/limits.ts"
import type { SessionId } from "../../../src/core/ids.ts"
import { Secret } from "../../../src/core/secret.ts"
import type { Event } from "../../../src/record/events.ts"
import { findRecording } from "../../../src/record/find.ts"
import { recoverRecordings } from "../../../src/record/recover.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { eventually } from "../../support/wait.ts"
import { closed, fresh, linesOf, record } from "./sample.ts"

const refused = (what: string): Event => ({ kind: "refused", what })

test("recorder: an event is in the file when write returns, numbered and timed", async () => {
  const clock = new FakeClock()
  const { recorder, header } = record(fresh(), { clock })
  assert.equal(recorder.next, 1)
  clock.advance(5)
  assert.equal(recorder.write(refused("agent forwarding")), true)
  const lines = readFileSync(recorder.path, "utf8").split("\n")
  assert.deepEqual(JSON.parse(lines[0]!), { n: 0, t: clock.now() - 5, ...header })
  assert.equal(lines[1], `{"n":1,"t":${clock.now()},"kind":"refused","what":"agent forwarding"}`)
  await recorder.close(closed)
})

test("recorder: closed, a recording lies under its day, for its owner alone", async () => {
  const dir = join(fresh(), "deep", "recordings")
  const { recorder, header } = record(dir)
  assert.match(recorder.path, /\/live\/s_/)
  await Promise.all([recorder.close(closed), recorder.close(closed)])
  assert.equal(recorder.path, join(dir, "2026", "01", "15", `${header.id}.ndjson`))
  assert.equal(statSync(recorder.path).mode & 0o777, 0o600)
  for (const folder of [dir, join(dir, "live"), join(dir, "2026/01/15")]) assert.equal(statSync(folder).mode & 0o777, 0o700)
  assert.deepEqual(
    (await linesOf(recorder.path)).map((line) => line.kind),
    ["session", "end"],
  )
  assert.equal(recorder.write(refused("late")), false)
  recorder.note(refused("late"))
  assert.deepEqual(await findRecording(dir, header.id), { path: recorder.path, live: false })
  assert.deepEqual(readdirSync(join(dir, "live")), [])
})

test("recorder: a note goes out with the next event, in order, or by itself soon after", async () => {
  const clock = new FakeClock()
  const { recorder } = record(fresh(), { clock })
  const kinds = async (): Promise<string[]> => (await linesOf(recorder.path)).map((line) => line.kind)
  recorder.note({ kind: "outcome", action: 0, status: "ok" })
  assert.deepEqual(await kinds(), ["session"])
  recorder.write(refused("x"))
  assert.deepEqual(await kinds(), ["session", "outcome", "refused"])
  clock.advance(limits.recorded_note_delay_ms)
  recorder.note({ kind: "warning", left_ms: 60_000 })
  clock.advance(limits.recorded_note_delay_ms)
  assert.deepEqual(await kinds(), ["session", "outcome", "refused", "warning"])
  recorder.note({ kind: "warning", left_ms: 1 })
  await recorder.close(closed)
  assert.deepEqual(await kinds(), ["session", "outcome", "refused", "warning", "warning", "end"])
})

test("recorder: notes that nobody flushes are bounded", () => {
  const { recorder } = record(fresh())
  const note = refused("x".repeat(1000))
  for (let bytes = 0; bytes <= limits.recorded_notes_chars_max; bytes += 1000) recorder.note(note)
  assert.ok(statSync(recorder.path).size > limits.recorded_notes_chars_max)
})

test("recorder: a secret that strays into an event is not written", () => {
  const { recorder } = record(fresh())
  recorder.write({ kind: "refused", what: new Secret("hunter2") as unknown as string })
  const text = readFileSync(recorder.path, "utf8")
  assert.ok(!text.includes("hunter2") && text.includes("[secret]"))
})

test("recorder: half a surrogate pair does not make a line that other parsers refuse", async () => {
  const { recorder } = record(fresh(), { facts: { client: "a\ud800b" } })
  recorder.write({ kind: "cut", code: "killed", by: "\udfff", reason: "half \ud83d, whole \u{1f600}, spelt \\ud83d" })
  const [first, second] = await linesOf(recorder.path)
  assert.equal(first?.kind === "session" && first.client, "a\ufffdb")
  assert(second?.kind === "cut")
  assert.deepEqual([second.by, second.reason], ["\ufffd", "half \ufffd, whole \u{1f600}, spelt \\ud83d"])
  assert.doesNotMatch(readFileSync(recorder.path, "utf8"), /[^\\]\\ud[89a-f]/i)
})

test("recorder: nothing but a session's id names a file", () => {
  const dir = fresh()
  for (const id of ["../../etc/cron.d/x", "s_0000000000000000/../x", "", "s_000000000000000\0", "S_0000000000000000"]) {
    assert.throws(() => record(dir, { facts: { id: id as SessionId } }), /a session's id names its file/)
  }
  assert.deepEqual(readdirSync(dir), [])
})

/** Takes the file away under the recorder, as a failing disk would. */
function breakDisk(path: string): void {
  const fd = readdirSync("/proc/self/fd").find((entry) => {
    try {
      return readlinkSync(`/proc/self/fd/${entry}`) === path
    } catch {
      return false
    }
  })
  closeSync(Number(fd))
}

test("recorder: when the disk fails, write says false and the failure is told once", async () => {
  const { recorder, failures } = record(fresh())
  breakDisk(recorder.path)
  assert.equal(recorder.write(refused("x")), false)
  assert.equal(recorder.write(refused("y")), false)
  recorder.note(refused("z"))
  assert.equal(failures.length, 1)
  assert.equal((failures[0] as NodeJS.ErrnoException).code, "EBADF")
  await recorder.close(closed)
  assert.equal(failures.length, 1)
})

test("recorder: a disk that fails at a note is told too", () => {
  const clock = new FakeClock()
  const { recorder, failures } = record(fresh(), { clock })
  breakDisk(recorder.path)
  recorder.note(refused("x"))
  clock.advance(limits.recorded_note_delay_ms)
  assert.equal(failures.length, 1)
})

test("recorder: with on_failure allow the session goes on, and the recording shows the gap", async () => {
  const dir = fresh()
  const { recorder, failures } = record(dir, { mode: "allow" })
  recorder.write(refused("kept"))
  breakDisk(recorder.path)
  assert.equal(recorder.write(refused("lost")), true)
  assert.equal(failures.length, 0)
  assert.equal(recorder.next, 3)
  await recorder.close(closed)
  writeFileSync(join(dir, "file"), "")
  const unrecorded = record(join(dir, "file", "is no folder"), { mode: "allow" })
  assert.equal(unrecorded.recorder.write(refused("lost")), true)
  await unrecorded.recorder.close(closed)
  assert.throws(() => record(join(dir, "file", "is no folder")), { code: "ENOTDIR" })
})

test("recorder: on a full disk no half line is left, and the recording ends when there is room", async (t) => {
  const dir = fresh()
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", dir], { stdio: "pipe" })
  } catch (failure) {
    if (process.env["CI"]) throw failure
    return t.skip("NOT TESTED: a small file system can be mounted by root alone")
  }
  try {
    mkdirSync(join(dir, "recordings"))
    const { recorder, failures } = record(join(dir, "recordings"))
    let count = 0
    while (recorder.write(refused("x".repeat(999)))) count++
    assert.equal((failures[0] as NodeJS.ErrnoException).code, "ENOSPC")
    assert.ok(count > 10)
    const lines = await linesOf(recorder.path)
    assert.equal(lines.length, count + 1)
    assert.ok(readFileSync(recorder.path, "utf8").endsWith("}\n"))
    await recorder.close({ ...closed, code: "recorder_failed" })
    const last = (await linesOf(recorder.path)).at(-1)!
    // A short line may still fit where a long one did not. If not, the next start ends it.
    if (last.kind !== "end") assert.match(recorder.path, /live/)
  } finally {
    execFileSync("umount", ["-l", dir])
  }
})

test("recorder: a file that somebody removes, cuts short or writes to ends the session, before it can end as if it were whole", async () => {
  for (const [attack, said] of [
    [(path: string) => rmSync(path), /removed/],
    [(path: string) => truncateSync(path, 10), /has \d+ bytes, and \d+ were written/],
    [(path: string) => appendFileSync(path, "{}\n"), /were written to it/],
  ] as const) {
    const dir = fresh()
    const { recorder, failures } = record(dir)
    assert.equal(recorder.write(refused("before")), true)
    attack(recorder.path)
    await eventually("it to be noticed", async () => !recorder.write(refused("after")))
    assert.match(String(failures[0]), said)
    await recorder.close(closed)
    assert.equal(failures.length, 1)
    assert.doesNotMatch(recorder.path, /2026/, "what is not whole is not put among the closed ones")
  }
})

test("recorder: with on_failure allow a file that was cut short is written on, and does not read as whole", async () => {
  const { recorder } = record(fresh(), { mode: "allow" })
  truncateSync(recorder.path, 0)
  await eventually("it to be noticed", async () => {
    const { size } = statSync(recorder.path)
    assert.equal(recorder.write(refused("meanwhile")), true)
    return statSync(recorder.path).size === size
  })
  recorder.write(refused("after"))
  await recorder.close(closed)
  assert.match(readFileSync(recorder.path, "utf8"), /"after"}\n.*"kind":"end".*\n$/)
  await assert.rejects(linesOf(recorder.path), /begins with its session/)
})

test("recorder: a file that is gone when its session ends is told, also where nobody looked since", async () => {
  const { recorder, failures } = record(fresh())
  rmSync(recorder.path)
  await recorder.close(closed)
  assert.match(String(failures[0]), /removed/)
})

test("recorder: killed with SIGKILL in the middle of a session, no event is lost that was written", async () => {
  const dir = fresh()
  const child = spawn(process.execPath, [join(import.meta.dirname, "killed_child.ts"), dir], { stdio: ["ignore", "pipe", "inherit"] })
  const gone = once(child, "exit")
  let promised = 0
  for await (const line of createInterface({ input: child.stdout })) {
    promised = Number(line)
    if (promised === 500) child.kill("SIGKILL")
  }
  await gone
  const { ended, unreadable } = await recoverRecordings(dir)
  assert.equal(ended.length, 1)
  assert.deepEqual(unreadable, [])
  const found = await findRecording(dir, ended[0]!)
  const lines = await linesOf(found!.path)
  const last = lines.at(-1)!
  assert.equal(last.kind === "end" && last.code, "interrupted")
  assert.ok(last.n > promised, `${promised} events were promised, and ${last.n} are there`)
})
