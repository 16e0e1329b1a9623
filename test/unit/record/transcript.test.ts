import assert from "node:assert/strict"
import { test } from "node:test"
import type { Event, Line } from "../../../src/record/events.ts"
import { type Told, transcribe } from "../../../src/record/transcript.ts"
import { limits } from "../../../src/core/limits.ts"

/** What is told of events; a number lets so many milliseconds pass. */
async function told(...events: readonly (Event | number)[]): Promise<Told[]> {
  const all: Told[] = []
  for await (const one of transcribe(lines(events))) all.push(one)
  return all
}
async function* lines(events: readonly (Event | number)[]): AsyncGenerator<Line> {
  let t = 0
  let n = 0
  for (const event of events) {
    if (typeof event === "number") t += event
    else yield { n: n++, t, ...event }
  }
}
const texts = async (...events: readonly (Event | number)[]): Promise<string[]> =>
  (await told(...events)).map((one) => (one.kind === "full_screen" ? one.kind : one.text))

const pty = { kind: "pty", channel: 0, term: "xterm", columns: 80, rows: 24 } as const
const out = (text: string, channel = 0): Event => ({ kind: "data", channel, stream: "stdout", text })
const key = { kind: "typed", channel: 0 } as const
const enter = { kind: "typed", channel: 0, enters: 1 } as const

test("transcript: what stood behind the prompt when Enter was typed, and when that was", async () => {
  assert.deepEqual(await told(pty, out("$ "), 500, key, out("l"), 100, key, out("s"), 100, enter, out("\r\nREADME\r\n$ ")), [
    { kind: "typed", channel: 0, t: 700, prompt: "$ ", text: "ls" },
  ])
})

test("transcript: what was not shown is not told, whatever comes on the screen after it", async () => {
  assert.deepEqual(await texts(pty, out("Password: "), key, 1_000, enter, out("\r\nwelcome\r\n")), [])
  assert.deepEqual(await texts(pty, out("Password: "), key, 1_000, enter, out("welcome\r\n")), [])
  const editor = [pty, out("\u001b[?2004h$ "), key, out("x"), enter, out("\r\n\u001b[?2004l\rPassword: ")]
  assert.deepEqual(await texts(...editor, key, 1_000, enter, out("\r\n\u001b[?2004h$ ")), ["x"])
})

test("transcript: what a line editor shows late is told all the same", async () => {
  assert.deepEqual(await texts(pty, out("\u001b[?2004h$ "), key, 2_000, enter, out("ls\r\n\u001b[?2004l\r")), ["ls"])
})

test("transcript: a prompt of wide characters and of combined ones is told apart from what is behind it", async () => {
  for (const prompt of ["東京 $ ", "e\u0301a\u0308 $ ", "🚀 ❯ "]) {
    const first = [out(`\u001b[?2004h${prompt}`), key, out("ls"), enter, out("\r\n\u001b[?2004l\r")]
    // Two lines at once: where the second begins is known from the prompt alone.
    const both = [
      out(`\u001b[?2004h${prompt}`),
      { ...enter, enters: 2 },
      out("one\r\n\u001b[?2004l\r"),
      out(`\u001b[?2004h${prompt}two\r\n\u001b[?2004l\r`),
    ]
    assert.deepEqual(await texts(pty, ...first, ...both), ["ls", "one", "two"], prompt)
  }
})

test("transcript: Enter with nothing before it is no command", async () => {
  assert.deepEqual(await texts(pty, out("$ "), enter, out("\r\n$ "), enter, out("\r\n$ ")), [])
})

test("transcript: commands of an exec, refused ones too, and each terminal of a connection by itself", async () => {
  const exec = (channel: number, command: string, verdict: "allow" | "deny" = "allow"): Event => ({
    kind: "action",
    verdict,
    action: { kind: "ssh.exec", channel, command },
  })
  const second = { ...key, channel: 3 } as const
  const list = await told(
    exec(1, "uptime"),
    exec(2, "reboot", "deny"),
    pty,
    { ...pty, channel: 3 },
    out("a$ "),
    out("b$ ", 3),
    key,
    second,
    out("one"),
    out("two", 3),
    enter,
    { ...second, enters: 1 },
    out("\r\n", 3),
    out("\r\n"),
  )
  assert.deepEqual(
    list.map((one) => [one.kind, one.channel, one.kind === "full_screen" ? "" : one.text]),
    [
      ["exec", 1, "uptime"],
      ["exec", 2, "reboot"],
      ["typed", 0, "one"],
      ["typed", 3, "two"],
    ],
  )
})

test("transcript: lines that go on are one command, with a line editor, without one, and in a program that has none", async () => {
  const line = (prompt: string, text: string): Event[] => [out(prompt), key, out(text), enter, out("\r\n")]
  const loop = [...line("$ ", "for i in 1"), ...line("> ", "do echo $i"), ...line("> ", "done"), ...line("$ ", "true")]
  assert.deepEqual(await texts(pty, ...loop), ["for i in 1\ndo echo $i\ndone", "true"])
  const edited = (prompt: string, text: string): Event[] => [
    out(`\u001b[?2004h${prompt}`),
    key,
    out(text),
    enter,
    out("\r\n\u001b[?2004l\r"),
  ]
  const python = [...edited("$ ", "python3"), ...line(">>> ", "if x:"), ...line("... ", "  y()"), out("1\r\n"), ...line(">>> ", "exit()")]
  assert.deepEqual(await texts(pty, ...python, ...edited("$ ", "exit")), ["python3", "if x:\n  y()", "exit()", "exit"])
  assert.deepEqual(await texts(pty, ...line("> ", "one"), ...line("> ", "two")), ["one", "two"], "a prompt of that kind from the start")
})

test("transcript: a line typed ahead is told as the line editor shows it in the end, or as it was typed when a program read it", async () => {
  const sleeps = [pty, out("\u001b[?2004h$ "), key, out("sleep 1"), enter, out("\r\n\u001b[?2004l\r")]
  const ahead = [key, out("cho x"), enter, out("\r\n")]
  assert.deepEqual(await texts(...sleeps, ...ahead, out("\u001b[?2004h$ echo x\r\n\u001b[?2004l\rx\r\n")), ["sleep 1", "echo x"])
  assert.deepEqual(await texts(...sleeps, ...ahead, out("\u001b[?2004h$ "), key, out("ls"), enter, out("\r\n\u001b[?2004l\r")), [
    "sleep 1",
    "cho x",
    "ls",
  ])
})

test("transcript: keys that come between a prompt and its line editor, or before both, belong to the line", async () => {
  const rest = [key, out("ho one"), enter, out("\r\n\u001b[?2004l\r")]
  const one = { kind: "typed", channel: 0, t: 0, prompt: "$ ", text: "echo one" }
  for (const first of [
    [out("$ "), key, out("\u001b[?2004h"), out("e"), key, out("c")],
    [out("$ "), key, key, out("\u001b[?2004hec")],
    [key, out("$ \u001b[?2004hec")],
    [key, out("e"), out("\r$ \u001b[?2004hec")],
  ])
    assert.deepEqual(await told(pty, ...first, ...rest), [one])
  const bash = [out("\u001b[?2004h$ "), key, out("true"), enter, out("\r\n\u001b[?2004l\r")]
  assert.deepEqual(await texts(pty, ...bash, out("no end of line"), key, out("\u001b[?2004h$ "), key, out("ec"), ...rest), [
    "true",
    "echo one",
  ])
})

test("transcript: a paste in brackets ends a line only where no line editor takes it", async () => {
  const pasted = { ...key, pasted: 1 } as const
  const shown = out("one\r\ntwo")
  assert.deepEqual(await texts(pty, out("\u001b[?2004h$ "), pasted, key, shown, enter, out("\r\n\u001b[?2004l\r")), ["one\ntwo"])
  assert.deepEqual(await texts(pty, out("$ "), pasted, key, shown, enter, out("\r\n")), ["one", "two"])
})

test("transcript: a screen left in the middle is told with what it lasted; lines of a shell in tmux are not told", async () => {
  assert.deepEqual(await told(pty, out("$ "), 2_000, out("\u001b[?1049h\u001b[H$ "), key, out("ls"), enter, out("\r\n"), 3_000), [
    { kind: "full_screen", channel: 0, t: 2_000, ends_at: 2_000 },
  ])
})

test("transcript: a terminal of any size, and sequences that ask for billions, cost no more than others", async () => {
  const bombs = ["S", "T", "L", "M", "b", "I", "Z", "@", "P", "X", "A", "B", "C", "D", "J", "K"].map(
    (final) => `a\u001b[2147483647${final}`,
  )
  const many = ["S", "T", "L", "M"].map((final) => `\u001b[24${final}`.repeat(50_000))
  const strings = [`\u001b]8;;${"x".repeat(100_000)}`, `\u001bP${"q".repeat(1_000_000)}`, `\u001b[${"1;".repeat(100_000)}m`]
  const links = Array.from({ length: 20_000 }, (_, at) => `\u001b]8;;http://${at}\u0007l\u001b]8;;\u0007\r`).join("")
  const size = { columns: 2 ** 32 - 1, rows: 2 ** 32 - 1 }
  const events = [...bombs, ...many, ...strings, links, "a" + "\u0301".repeat(1_000_000)].map((text) => out(text))
  const ending = [out("\u001b\\\u0018\u001bc$ "), key, out("ls"), enter, out("\r\n")]
  assert.deepEqual(await texts({ ...pty, ...size }, ...events, { kind: "resize", channel: 0, columns: 0, rows: 0 }, ...ending), ["ls"])
  assert.deepEqual(await texts(pty, ...events, ...ending), ["ls"])
})

test("transcript: a command is told up to a bound", async () => {
  const [text = ""] = await texts(pty, out("$ "), key, out("x".repeat(50_000)), enter, out("\r\n"))
  assert.ok(text.length <= limits.transcript_line_chars_max)
  assert.match(text, /^x+$/)
})

test("transcript: ends of lines that nobody ever sees are not kept without end", async () => {
  const flood = Array.from({ length: 5_000 }, () => ({ ...key, enters: 1_000_000 }))
  assert.deepEqual(await texts(pty, out("$ "), ...flood), [])
})
