import assert from "node:assert/strict"
import { once } from "node:events"
import { PassThrough } from "node:stream"
import { test } from "node:test"
import type { Event, SessionHeader } from "../../../src/record/events.ts"
import { RecordingError } from "../../../src/record/read.ts"
import { replayRecording, type ReplayOptions } from "../../../src/record/replay.ts"
import { TerminalFilter } from "../../../src/record/terminal_filter.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { closed, fresh, record } from "./sample.ts"

/** A recording; a number lets so many milliseconds pass. */
async function recordingOf(events: readonly (Event | number)[], facts: Partial<SessionHeader> = {}): Promise<string> {
  const clock = new FakeClock()
  const { recorder } = record(fresh(), { clock, facts })
  for (const event of events) {
    if (typeof event === "number") clock.advance(event)
    else recorder.write(event)
  }
  await recorder.close(closed)
  return recorder.path
}

interface Replayed {
  readonly shown: string
  readonly said: string[]
  readonly pauses: number[]
}

async function replayed(path: string, options: Partial<ReplayOptions> = {}, size?: { columns: number; rows: number }): Promise<Replayed> {
  const screen = Object.assign(new PassThrough(), size)
  const chunks: Buffer[] = []
  screen.on("data", (chunk: Buffer) => chunks.push(chunk))
  const said: string[] = []
  const pauses: number[] = []
  const wait = async (ms: number): Promise<void> => void pauses.push(ms)
  const { signal } = new AbortController()
  await replayRecording(path, {
    screen,
    say: (words) => said.push(words),
    signal,
    speed: 1,
    at_ms: 0,
    pause_ms_max: 2_000,
    as: "play",
    wait,
    ...options,
  })
  screen.end()
  await once(screen, "end")
  return { shown: Buffer.concat(chunks).toString(), said, pauses }
}

const pty = { kind: "pty", channel: 0, term: "xterm", columns: 100, rows: 30 } as const
const out = (text: string, channel = 0): Event => ({ kind: "data", channel, stream: "stdout", text })

test("replay: a terminal plays at its own speed, long pauses cut, what was typed left out", async () => {
  const path = await recordingOf([
    pty,
    500,
    out("a"),
    100,
    { kind: "data", channel: 0, stream: "stdin", text: "typed" },
    60_000,
    out("b"),
    out("c"),
  ])
  const { shown, pauses } = await replayed(path)
  assert.match(shown, /^abc/)
  assert.ok(!shown.includes("typed"))
  assert.deepEqual(pauses, [500, 2_000])
  assert.deepEqual((await replayed(path, { speed: 4 })).pauses, [125, 500])
  assert.deepEqual((await replayed(path, { pause_ms_max: Infinity })).pauses, [500, 60_100])
})

test("replay: --at draws what came before at once, and goes on from there", async () => {
  const path = await recordingOf([pty, 500, out("a"), 1_000, out("b"), 1_000, out("c")])
  const { shown, pauses } = await replayed(path, { at_ms: 2_000 })
  assert.match(shown, /^abc/)
  assert.deepEqual(pauses, [500])
})

test("replay: asks for the recorded size at each resize, and says when the reader's terminal is smaller", async () => {
  const path = await recordingOf([pty, out("a"), { kind: "resize", channel: 0, columns: 60, rows: 20 }, out("b")])
  const { shown, said } = await replayed(path, {}, { columns: 80, rows: 24 })
  assert.ok(shown.startsWith("\u001b[8;30;100ta\u001b[8;20;60tb"))
  assert.equal(said.filter((words) => /100×30 and this terminal 80×24/.test(words)).length, 1)
  assert.ok(!(await replayed(path)).shown.includes("[8;"))
})

test("replay: Ctrl-C leaves the terminal sane and says where it stopped", async () => {
  const path = await recordingOf([pty, out("\u001b[?1049h\u001b[31m"), 1_000, out("never shown")])
  const stop = new AbortController()
  const wait = async (): Promise<void> => {
    stop.abort()
    throw stop.signal.reason
  }
  const { shown, said } = await replayed(path, { signal: stop.signal, wait })
  assert.ok(!shown.includes("never shown"))
  assert.ok(["\u001b[?1049l", "\u001b[?25h", "\u001b[0m\r\n"].every((sequence) => shown.includes(sequence)))
  assert.match(said.at(-1)!, /stopped at 00:00:00\.000/)
})

test("replay: a character cut between two events is drawn whole", async () => {
  const bytes = Buffer.from("😀")
  const part = (start: number, end: number): Event => ({
    kind: "data",
    channel: 0,
    stream: "stdout",
    base64: bytes.toString("base64", start, end),
  })
  assert.match((await replayed(await recordingOf([pty, part(0, 2), part(2, 4)]))).shown, /^😀/)
})

test("replay: other terminals of the connection are not mixed in, and told", async () => {
  const { shown, said } = await replayed(await recordingOf([pty, out("mine"), { ...pty, channel: 1 }, out("theirs", 1)]))
  assert.match(shown, /^mine/)
  assert.ok(!shown.includes("theirs"))
  assert.match(said.at(-1)!, /1 more terminal: --list/)
})

test("replay: statements are listed with values, outcomes, refusals and the cut, each word escaped", async () => {
  const sql = "SELECT 1;\n00:00:09.000  #9 \u001b[2K\u202eDROP"
  const values = [
    { oid: 25, format: "text", value: "x'\u0007" },
    { oid: 17, format: "binary", value: "00ff", bytes: 70_000 },
    { oid: 0, format: "null", value: null },
  ] as const
  const path = await recordingOf(
    [
      { kind: "action", verdict: "allow", action: { kind: "postgres.statement", how: "execute", sql, values } },
      1_500,
      { kind: "outcome", action: 1, status: "error", sqlstate: "42P01", duration_ms: 1.26 },
      { kind: "action", verdict: "deny", action: { kind: "postgres.statement", how: "simple", sql: "DROP TABLE x" } },
      { kind: "refused", what: "replication" },
      { kind: "warning", left_ms: 60_000 },
      { kind: "cut", code: "killed", by: "bob@example.com", reason: "wrong host\n" },
    ],
    { protocol: "postgres" },
  )
  const { shown } = await replayed(path)
  assert.deepEqual(shown.split("\n").slice(3), [
    "00:00:00.000  #1 SELECT 1;\\n00:00:09.000  #9 \\e[2K\\u{202e}DROP",
    "                  $1 = 'x'\\x07'",
    "                  $2 = \\x00ff … (70000 bytes in all)",
    "                  $3 = NULL",
    "00:00:01.500  #1 → error, SQLSTATE 42P01, 1.3 ms",
    "00:00:01.500  #3 DENIED DROP TABLE x",
    "00:00:01.500  REFUSED replication",
    "00:00:01.500  warned: 1m left",
    "00:00:01.500  CUT killed by bob@example.com: wrong host\\n",
    "00:00:01.500  end: closed, 1 bytes up, 2 bytes down",
    "",
  ])
})

test("replay: exec and HTTP sessions are listed, binary output as its size", async () => {
  const exec = await recordingOf([
    { kind: "action", verdict: "allow", action: { kind: "ssh.exec", channel: 0, command: "ls\r\n" } },
    out("a\nb\u001b]0;x\n"),
    { kind: "data", channel: 0, stream: "stderr", base64: "//8=" },
    { kind: "digest", channel: 0, stream: "stdout", bytes: 9, sha256: "ab" },
    { kind: "outcome", action: 1, status: "ok", exit: 0, bytes_up: 0, bytes_down: 9 },
  ])
  assert.deepEqual((await replayed(exec)).shown.split("\n").slice(3, 9), [
    "00:00:00.000  #1 0 ls\\r\\n",
    "00:00:00.000  0 stdout| a",
    "              0 stdout| b\\e]0;x",
    "00:00:00.000  0 stderr| (2 bytes that are not text)",
    "00:00:00.000  0 stdout: 9 bytes in all, SHA-256 ab",
    "00:00:00.000  #1 → ok, exit 0, 0 bytes up, 9 bytes down",
  ])
  const request = { kind: "http.request", method: "GET", path: "/api", query: ["q"] } as const
  const http = await recordingOf(
    [
      { kind: "action", verdict: "allow", action: request },
      { kind: "outcome", action: 1, status: "ok", http_status: 200 },
    ],
    { protocol: "http" },
  )
  assert.deepEqual((await replayed(http)).shown.split("\n").slice(3, 5), [
    "00:00:00.000  #1 GET /api?q=…",
    "00:00:00.000  #1 → ok, HTTP 200",
  ])
})

test("replay: --json gives the events as they are, a line each, and nothing a terminal would obey", async () => {
  const { shown } = await replayed(await recordingOf([pty, out("\u009b31m\u202e\u{e0001}")]), { as: "json" })
  const lines = shown.trimEnd().split("\n")
  assert.deepEqual((JSON.parse(lines[2]!) as { text: string }).text, "\u009b31m\u202e\u{e0001}")
  assert.match(lines[2]!, /\\u009b31m\\u202e\\udb40\\udc01/)
})

test("replay: what is no recording is said with file and line", async () => {
  await assert.rejects(replayed("/etc/passwd"), (error: Error) => {
    assert.ok(error instanceof RecordingError)
    assert.match(error.message, /^\/etc\/passwd:1: /)
    return true
  })
})

test("terminal filter: what draws passes, in whatever pieces it comes", () => {
  const draws =
    "a\tb\r\n\u001b[1;31mred\u001b[0m\u001b[2J\u001b[10;5H\u001b[?25l\u001b[?1049h\u001b(0x\u001b(B\u001b7\u001b8\u001bM\u001b[3 q\u001b[s\u001b[u\u001b[1;24r漢😀"
  for (let size = 1; size < 12; size++) {
    const filter = new TerminalFilter()
    let shown = ""
    for (let start = 0; start < draws.length; start += size) shown += filter.pass(draws.slice(start, start + size))
    assert.equal(shown, draws)
  }
})

test("terminal filter: questions to the terminal and reaches beyond the screen are taken out", () => {
  const bad = [
    "\u001b[6n", // where is the cursor
    "\u001b[c", // who are you
    "\u001b[>q",
    "\u001b[?2026$p",
    "\u001b[21t", // report the title
    "\u001b[18t",
    "\u001b[5i", // print
    "\u001b[1;1;1;1;1;1*y",
    "\u001bZ",
    "\u001bc",
    "\u0005", // ENQ
    "\u001b]52;c;cm0gLXJm\u0007", // the clipboard
    "\u001b]0;title\u001b\\",
    "\u001b]8;;http://evil\u001b\\",
    "\u001bP$q m\u001b\\",
    "\u001b_payload\u001b\\",
    "\u009b",
    "\u001b[?u",
    "\u001b]unterminated \u001b[31m".padEnd(10_000, "x"),
  ]
  for (const sequence of bad) assert.equal(new TerminalFilter().pass(`<${sequence}`), "<", JSON.stringify(sequence.slice(0, 30)))
  assert.equal(new TerminalFilter().pass(`\u001b[${"1;".repeat(5_000)}`).length < 10_000, true)
  const filter = new TerminalFilter()
  assert.equal(filter.pass("\u001b]0;a\u001b\\after \u001b[\u001b[31mx"), "after \u001b[31mx")
})
