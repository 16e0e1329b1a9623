import assert from "node:assert/strict"
import { test } from "node:test"
import { TypedKeys } from "../../../protocols/ssh/typed_keys.ts"
import type { Event } from "../../../src/record/events.ts"

/** What is on record of keys; `null` among them is output of the terminal. */
function recorded(...chunks: readonly (string | null)[]): string[] {
  const events: string[] = []
  const recorder = {
    next: 0,
    write: (event: Event) => {
      assert(event.kind === "typed")
      events.push([event.enters ?? 0, event.pasted ?? 0].join("/"))
      return true
    },
    note: () => {},
  }
  const keys = new TypedKeys(recorder, 0)
  for (const chunk of chunks) {
    if (chunk === null) keys.shown()
    else assert.deepEqual(keys.pass(Buffer.from(chunk, "latin1")), Buffer.from(chunk, "latin1"))
  }
  return events
}

test("typed keys: one event for keys without an answer, however many, and one for each end of a line", () => {
  assert.deepEqual(recorded("h", "u", "nter", "2", "\r"), ["0/0", "1/0"])
  assert.deepEqual(recorded("hunter2", "\r"), recorded("x", "\r"), "the length of what is not shown is on no record")
  assert.deepEqual(recorded("l", null, "s", null, "\r"), ["0/0", "0/0", "1/0"])
  assert.deepEqual(recorded("ls\r"), ["1/0"])
  assert.deepEqual(recorded("one\rtwo\r\nthree\n\u000f"), ["4/0"])
})

test("typed keys: what begins the next line is told, shown or not", () => {
  assert.deepEqual(recorded("ls\rp", "w", "d", "\r"), ["1/0", "0/0", "1/0"])
  assert.deepEqual(recorded("ls\r", "p", "wd"), ["1/0", "0/0"])
})

test("typed keys: ends of lines within a paste are counted apart, however the paste is cut", () => {
  const paste = "\u001b[200~one\rtwo\r\u001b[201~\r"
  assert.deepEqual(recorded(paste), ["1/2"])
  for (let at = 1; at < paste.length; at++) {
    const events = recorded(paste.slice(0, at), paste.slice(at)).map((event) => event.split("/").map(Number))
    const sum = events.reduce(([enters = 0, pasted = 0], [more = 0, others = 0]) => [enters + more, pasted + others], [0, 0])
    assert.deepEqual(sum, [1, 2], `cut at ${at}`)
  }
})

test("typed keys: what a terminal answers by itself is no key, unless a line ends in it", () => {
  for (const reply of [
    "\u001b[?62;22c",
    "\u001b[24;80R",
    "\u001b[0n",
    "\u001b[?2026;2$y",
    "\u001b[I",
    "\u001b[<35;10;4M\u001b[<35;11;4M",
    "\u001b]11;rgb:0000/0000/0000\u001b\\",
    "\u001bP1+r544e=787465726d\u001b\\",
  ])
    assert.deepEqual(recorded(reply), [], JSON.stringify(reply))
  assert.deepEqual(recorded("\u001b[A"), ["0/0"], "an arrow")
  assert.deepEqual(recorded("\u001b]11;rm -rf x\r\u001b\\").at(0), "1/0")
})

test("typed keys: what cannot be recorded does not pass", () => {
  const keys = new TypedKeys({ next: 0, write: () => false, note: () => {} }, 0)
  assert.equal(keys.pass(Buffer.from("x")), null)
  assert.equal(keys.pass(Buffer.from("\r")), null)
})
