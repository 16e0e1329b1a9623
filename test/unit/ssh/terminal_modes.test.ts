import assert from "node:assert/strict"
import { test } from "node:test"
import xterm from "@xterm/headless"
import { TerminalModes } from "../../../protocols/ssh/terminal_modes.ts"

const reset = (...chunks: readonly (string | Buffer)[]): string => {
  const modes = new TerminalModes()
  for (const chunk of chunks) modes.follow(Buffer.from(chunk))
  return modes.reset
}
const ending = "\u0018\u001b\\"
const plain = "\u000f\u001b(B\u001b[0m"

test("terminal modes: a terminal that was sent no escape sequence gets none", () => {
  assert.equal(reset("plain text\r\n", "and \ttabs\u0007"), "")
})

for (const [what, on, off] of [
  ["the alternate screen", "\u001b[?1049h", "\u001b[?1049l"],
  ["the alternate screen of old", "\u001b[?47h", "\u001b[?47l"],
  ["a hidden cursor", "\u001b[?25l", "\u001b[?25h"],
  ["bracketed paste", "\u001b[?2004h", "\u001b[?2004l"],
  ["cursor keys of an application", "\u001b[?1h", "\u001b[?1l"],
  ["the keypad of an application", "\u001b=", "\u001b>"],
  ["insert mode", "\u001b[4h", "\u001b[4l"],
  ["margins", "\u001b[3;9r", "\u001b7\u001b[r\u001b8"],
  ["modifyOtherKeys", "\u001b[>4;2m", "\u001b[>4m"],
  ["the keyboard protocol of Kitty, twice", "\u001b[>1u\u001b[>5u", "\u001b[<2u"],
  ["the cursor's shape", "\u001b[2 q", "\u001b[0 q"],
  ["no wrapping", "\u001b[?7l", "\u001b[?7h"],
] as const) {
  test(`terminal modes: ${what} is set back, and not when a program did so itself`, () => {
    assert.equal(reset(on), ending + off + plain)
    assert.equal(reset(`${on}text${off}`), ending + plain)
    assert.equal(reset(`${on}\u001bc`), ending + plain, "a full reset of the terminal")
  })
}

test("terminal modes: several in one sequence, and however the bytes are split", () => {
  const bytes = Buffer.from("a\u001b[?1000;1006h\u001b]0;title\u0007\u001b[31mred\u001b[?1049h\u001b[?25l\u001b[?1000lz")
  const whole = reset(bytes)
  assert.equal(whole, `${ending}\u001b[?1006l\u001b[?25h\u001b[?1049l${plain}`)
  for (let at = 0; at <= bytes.length; at++) assert.equal(reset(bytes.subarray(0, at), bytes.subarray(at)), whole)
  assert.equal(reset(...Array.from(bytes, (byte) => Buffer.of(byte))), whole, "byte by byte")
})

test("terminal modes: a sequence that never ends is not kept", () => {
  const modes = new TerminalModes()
  modes.follow(Buffer.from("\u001b["))
  for (let count = 0; count < 1_000; count++) modes.follow(Buffer.from("1;".repeat(500)))
  modes.follow(Buffer.from("h\u001b[?2004h"))
  assert.equal(modes.reset, `${ending}\u001b[?2004l${plain}`)
})

test("terminal modes: what comes after the reset is on the normal screen, behind what was there", async () => {
  const terminal = new xterm.Terminal({ cols: 40, rows: 6, allowProposedApi: true })
  const output = "$ vim file\r\n\u001b[?1049h\u001b[?1h\u001b=\u001b[2;5r\u001b[?25l\u001b[?1002h\u001b[H\u001b[41mTEXT\u001b]0;half a tit"
  await new Promise<void>((resolve) => terminal.write(`${output}${reset(output)}\r\n\u001b[Jthe words\r\n`, resolve))
  const screen = terminal.buffer.active
  const rows = Array.from({ length: 6 }, (_, row) => screen.getLine(row)?.translateToString(true))
  assert.deepEqual(rows, ["$ vim file", "", "the words", "", "", ""])
  assert.equal(screen.type, "normal")
  assert.equal(screen.getLine(2)?.getCell(0)?.isBgDefault(), true)
  const { mouseTrackingMode, bracketedPasteMode, applicationCursorKeysMode, applicationKeypadMode } = terminal.modes
  assert.deepEqual([mouseTrackingMode, bracketedPasteMode, applicationCursorKeysMode, applicationKeypadMode], ["none", false, false, false])
})
