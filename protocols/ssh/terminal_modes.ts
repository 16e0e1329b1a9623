// What the programs of one terminal have switched on and not off again, so that the last words at a cut stand on a screen that
// shows them and the person's own shell can be used after them. It follows switches alone and draws nothing: what was on the
// screen is `src/record/transcript.ts`. A terminal that was sent no escape sequence gets none from here.

const escape = 0x1b
/** Longer than any sequence that switches something; what is longer is passed over. */
const sequence_bytes_max = 64
const alternate_screens = [47, 1047, 1049] as const
/** DEC private modes (XTerm Control Sequences) and how each stands where nobody touched it. */
const usual: ReadonlyMap<number, "h" | "l"> = new Map([
  [1, "l"], // cursor keys
  [5, "l"], // reverse video
  [6, "l"], // origin
  [7, "h"], // wrapping
  [9, "l"], // mouse, up to 1016
  [25, "h"], // the cursor
  [66, "l"], // keypad
  [1000, "l"],
  [1001, "l"],
  [1002, "l"],
  [1003, "l"],
  [1004, "l"], // focus
  [1005, "l"],
  [1006, "l"],
  [1015, "l"],
  [1016, "l"],
  [2004, "l"], // bracketed paste
  [2026, "l"], // synchronized output
  ...alternate_screens.map((mode) => [mode, "l"] as const),
])

export class TerminalModes {
  /** Any escape sequence at all. */
  #touched = false
  #rest: Buffer | undefined
  readonly #changed = new Set<number>()
  #keypad = false
  #insert = false
  #margins = false
  #cursorShape = false
  /** XTerm's modifyOtherKeys, and the levels of the Kitty keyboard protocol. */
  #otherKeys = false
  #kittyKeys = 0

  /** Bytes that were sent to the terminal; a sequence may be cut between two calls. */
  follow(chunk: Buffer): void {
    const bytes = this.#rest ? Buffer.concat([this.#rest, chunk]) : chunk
    this.#rest = undefined
    for (let at = bytes.indexOf(escape); at !== -1; at = bytes.indexOf(escape, at + 1)) {
      this.#touched = true
      const end = endOfSequence(bytes, at)
      if (end === "open") {
        this.#rest = Buffer.from(bytes.subarray(at))
        return
      }
      if (end !== undefined) this.#sequence(bytes.toString("latin1", at + 1, end))
    }
  }

  /** What sets it all back; empty when there is nothing to. The cursor stays where the normal screen has it. */
  get reset(): string {
    if (!this.#touched) return ""
    const modes = [...this.#changed].filter((mode) => !isAlternate(mode)).map((mode) => `\u001b[?${mode}${usual.get(mode)}`)
    const left = [...this.#changed].find(isAlternate)
    return [
      "\u0018\u001b\\", // ends a sequence or string that was cut in the middle
      ...modes,
      this.#kittyKeys > 0 ? `\u001b[<${this.#kittyKeys}u` : "",
      this.#otherKeys ? "\u001b[>4m" : "",
      this.#cursorShape ? "\u001b[0 q" : "",
      // Setting the margins moves the cursor. On the alternate screen that does not matter: leaving it puts the cursor back.
      this.#margins ? (left === undefined ? "\u001b7\u001b[r\u001b8" : "\u001b[r") : "",
      // Leaving a screen that was never entered would move the cursor to some place it was saved at before.
      left === undefined ? "" : `\u001b[?${left}l`,
      this.#keypad ? "\u001b>" : "",
      this.#insert ? "\u001b[4l" : "",
      "\u000f\u001b(B\u001b[0m",
    ].join("")
  }

  /** Of a sequence all but its escape. */
  #sequence(text: string): void {
    if (text === "=" || text === ">") this.#keypad = text === "="
    else if (text === "c") this.#forget()
    else if (text === "[!p") this.#softReset()
    else if (text === "[4h" || text === "[4l") this.#insert = text === "[4h"
    else if (/^\[\d* q$/.test(text)) this.#cursorShape = !/^\[0* q$/.test(text)
    else if (/^\[[\d;]*r$/.test(text)) this.#margins = text !== "[r"
    else if (text.startsWith("[>4")) this.#otherKeys = /^\[>4;[12]m$/.test(text) || (this.#otherKeys && !/^\[>4(;0?)?m$/.test(text))
    else if (/^\[>\d*u$/.test(text)) this.#kittyKeys = Math.min(this.#kittyKeys + 1, 9)
    else if (/^\[<\d*u$/.test(text)) this.#kittyKeys = Math.max(this.#kittyKeys - Number(text.slice(2, -1) || 1), 0)
    else this.#private(/^\[\?([\d;]+)([hl])$/.exec(text))
  }

  #private(found: RegExpExecArray | null): void {
    if (!found) return
    const [, numbers = "", to] = found
    for (const mode of numbers.split(";").map(Number)) {
      const stands = usual.get(mode)
      if (stands === undefined) continue
      if (stands === to) this.#changed.delete(mode)
      else this.#changed.add(mode)
      // They are one screen, whichever of them is used to leave it.
      if (isAlternate(mode) && to === "l") for (const other of alternate_screens) this.#changed.delete(other)
    }
  }

  #softReset(): void {
    this.#keypad = this.#insert = this.#margins = false
    for (const mode of [1, 6, 25]) this.#changed.delete(mode)
  }

  #forget(): void {
    this.#softReset()
    this.#changed.clear()
    this.#otherKeys = this.#cursorShape = false
    this.#kittyKeys = 0
  }
}

const isAlternate = (mode: number): boolean => (alternate_screens as readonly number[]).includes(mode)

/**
 * Where a sequence that begins at `at` ends: one character after ESC, or a CSI's final one (ECMA-48, section 5.4). "open" when
 * the bytes end before it does, undefined when it is none.
 */
function endOfSequence(bytes: Buffer, at: number): number | "open" | undefined {
  const kind = bytes[at + 1]
  if (kind === undefined) return "open"
  if (kind !== 0x5b) return at + 2
  for (let next = at + 2; next < at + sequence_bytes_max; next++) {
    const code = bytes[next]
    if (code === undefined) return "open"
    if (code >= 0x40 && code <= 0x7e) return next + 1
    if (code < 0x20 || code > 0x3f) return undefined
  }
  return undefined
}
