import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { PassThrough } from "node:stream"
import { text } from "node:stream/consumers"
import { test } from "node:test"
import { writeAsciicast } from "../../../src/record/asciicast.ts"
import type { Event } from "../../../src/record/events.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { startBrowser } from "../../support/chromium.ts"
import { needs } from "../../support/tools.ts"
import { closed, fresh, record } from "./sample.ts"

/** The lines of a recording's cast; a number lets so many milliseconds pass. "torn" leaves it as a killed gateway does. */
async function castOf(
  events: readonly (Event | number)[],
  { channel, pause_ms_max = Infinity, torn = false }: { channel?: number; pause_ms_max?: number; torn?: boolean } = {},
): Promise<{ whole: string; lines: unknown[]; said: string[]; found: boolean }> {
  const clock = new FakeClock()
  const { recorder } = record(fresh(), { clock })
  for (const event of events) {
    if (typeof event === "number") clock.advance(event)
    else recorder.write(event)
  }
  if (!torn) await recorder.close(closed)
  const screen = new PassThrough()
  const whole = text(screen)
  const said: string[] = []
  const { signal } = new AbortController()
  const found = await writeAsciicast(recorder.path, { screen, say: (words) => said.push(words), signal, channel, pause_ms_max })
  screen.end()
  const lines = (await whole).split("\n").slice(0, -1)
  return { whole: await whole, lines: lines.map((line) => JSON.parse(line) as unknown), said, found }
}

const pty = { kind: "pty", channel: 0, term: "xterm-256color", columns: 100, rows: 30 } as const
const out = (shown: string, channel = 0): Event => ({ kind: "data", channel, stream: "stdout", text: shown })
const shell: Event = { kind: "action", verdict: "allow", action: { kind: "ssh.shell", channel: 0 } }
const outcome: Event = { kind: "outcome", action: 2, status: "ok", exit: 3 }
const typed = { kind: "typed", channel: 0 } as const
const whole: readonly (Event | number)[] = [
  pty,
  shell,
  1_250,
  out("$ "),
  typed,
  out("exit 3"),
  500,
  { ...typed, enters: 1 },
  out("\r\n"),
  { kind: "resize", channel: 0, columns: 120, rows: 40 },
  250,
  out("bye\r\n"),
  1,
  outcome,
]

test("asciicast: the header, times since the line before, sizes, a marker for a command, and how it ended", async () => {
  const { lines } = await castOf(whole)
  const [head, ...events] = lines as [Record<string, unknown>, ...unknown[]]
  assert.deepEqual(
    { ...head, title: undefined },
    {
      version: 3,
      term: { cols: 100, rows: 30, type: "xterm-256color" },
      timestamp: Math.floor(new FakeClock().now() / 1000),
      title: undefined,
    },
  )
  assert.match(String(head["title"]), /^alice@example\.com on prod-host as root, s_[0-9a-z]{16}$/)
  assert.deepEqual(events, [
    [1.25, "o", "$ "],
    [0, "o", "exit 3"],
    [0.5, "m", "exit 3"],
    [0, "o", "\r\n"],
    [0, "r", "120x40"],
    [0.25, "o", "bye\r\n"],
    [0.001, "x", "3"],
  ])
})

test("asciicast: characters cut between events are whole, bytes that are none are replaced, and what reaches beyond the screen is left out", async () => {
  const bytes = Buffer.from("😀")
  const part = (start: number, end: number): Event => ({
    kind: "data",
    channel: 0,
    stream: "stdout",
    base64: bytes.toString("base64", start, end),
  })
  const bad: Event = { kind: "data", channel: 0, stream: "stdout", base64: Buffer.from([0x61, 0xff, 0x62]).toString("base64") }
  const { lines } = await castOf([pty, shell, part(0, 2), part(2, 4), bad, out("\u001b]52;c;aGk=\u0007\u001b[6nx\u001b[31m")])
  assert.deepEqual(
    lines.slice(1).map((line) => (line as string[])[2]),
    ["😀", "a\ufffdb", "x\u001b[31m"],
  )
})

test("asciicast: of several terminals the one that is asked for, and an answer that there is no other", async () => {
  const events = [pty, shell, out("one"), { ...pty, channel: 4, columns: 20 }, out("two", 4)]
  const first = await castOf(events)
  assert.match(first.said.join(), /2 terminals: --channel 0, 4/)
  assert.deepEqual(first.lines.slice(1), [[0, "o", "one"]])
  const events4: Event[] = [
    pty,
    { ...pty, channel: 4, columns: 20 },
    { kind: "action", verdict: "allow", action: { kind: "ssh.exec", channel: 4, command: "top\u001b[2J" } },
    out("two", 4),
  ]
  const second = await castOf(events4, { channel: 4, pause_ms_max: 2_000 })
  const [head] = second.lines as [Record<string, unknown>]
  assert.deepEqual([head["command"], head["idle_time_limit"], (head["term"] as { cols: number }).cols], ["top\\e[2J", 2, 20])
  assert.equal((await castOf(events, { channel: 9 })).found, false)
  assert.equal((await castOf([out("x")])).found, false)
})

test("asciicast: a cut is a marker with its reason; a recording that a killed gateway left is told up to its last whole event", async () => {
  const cut = await castOf([pty, shell, out("a"), 10, { kind: "cut", code: "revoked", by: "bob", reason: "enough" }])
  assert.deepEqual(cut.lines.at(-1), [0.01, "m", "CUT revoked: enough"])
  const torn = await castOf([pty, shell, out("a"), 10, out("b")], { torn: true })
  assert.deepEqual(torn.lines.slice(1), [
    [0, "o", "a"],
    [0.01, "o", "b"],
  ])
})

test("asciicast: asciinema's own player shows it, at its size, with its markers, to its end", { skip: needs("chromium") }, async () => {
  const { whole: cast } = await castOf([...whole.slice(0, -1), out("\u001b[?25l日本語 is here"), 100, outcome])
  const browser = await startBrowser()
  try {
    const page = await browser.newPage()
    await page.setContent("<div id=player></div>")
    const from = new URL("./bundle/asciinema-player.min.js", import.meta.resolve("asciinema-player"))
    await page.addScriptTag({ content: readFileSync(from, "utf8") })
    const told = await page.evaluate<{ duration: number; seen: [unknown, unknown][] }>(`(async () => {
      const seen = []
      const player = AsciinemaPlayer.create({ data: ${JSON.stringify(cast)} }, document.getElementById("player"), { preload: true, speed: 100 })
      player.addEventListener("marker", (marker) => seen.push([marker.label, Math.round(marker.time * 1000)]))
      const ended = new Promise((resolve) => player.addEventListener("ended", resolve))
      await player.play()
      await ended
      return { duration: Math.round(await player.getDuration() * 1000), seen }
    })()`)
    assert.deepEqual(told, { duration: 2_101, seen: [["exit 3", 1_750]] })
    await page.waitForFunction('document.querySelector(".ap-player").textContent.includes("日本語 is here")')
  } finally {
    await browser.close()
  }
})
