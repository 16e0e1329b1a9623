// What a recorded terminal may do to the terminal of the person who replays it: draw. Sequences that ask the terminal something (its
// answer would be typed into the reader's shell) or reach beyond the screen (clipboard, title, links, printer, window) are taken out.
// ECMA-48, section 5, and XTerm Control Sequences name them.

const escape = "\u001b"
const sequence_chars_max = 4_096
const asks_or_reaches_out = new Set(["n", "c", "x", "t", "i", "p", "q", "y", "w", "u"])

/** Where in a sequence the last character was: a string ends with BEL or ST, the others with their final character. */
type State = "ground" | "escape" | "intermediate" | "csi" | "string" | "string_escape"

/** Text in, text out; a sequence may be cut between two calls. */
export class TerminalFilter {
  #state: State = "ground"
  #held = ""
  #alternate = false

  /** What puts the terminal back, whatever the recording left on. */
  get reset(): string {
    // Leaving an alternate screen that was never entered would move the cursor to the top.
    return (this.#alternate ? `${escape}[?1049l` : "") + terminal_reset
  }

  pass(text: string): string {
    let out = ""
    for (const character of text) out += this.#step(character)
    return out
  }

  #step(character: string): string {
    const code = character.codePointAt(0)!
    switch (this.#state) {
      case "ground":
        if (character === escape) return this.#hold("escape", character)
        return isHarmless(code) ? character : ""
      case "escape":
        return this.#afterEscape(character, code)
      case "intermediate":
        if (code >= 0x20 && code <= 0x2f) return this.#hold("intermediate", character)
        return this.#release(character)
      case "csi":
        if (code >= 0x20 && code <= 0x3f) return this.#hold("csi", character)
        return this.#endOfCsi(character, code)
      case "string":
        if (character === escape) this.#state = "string_escape"
        else if (code === 0x07 || code === 0x9c || code === 0x18 || code === 0x1a) this.#drop()
        return ""
      case "string_escape":
        if (character === "\\") this.#drop()
        else if (character !== escape) this.#state = "string"
        return ""
    }
  }

  #afterEscape(character: string, code: number): string {
    if (character === "[") return this.#hold("csi", character)
    if ("]PX^_".includes(character)) {
      this.#drop()
      this.#state = "string"
      return ""
    }
    if (code >= 0x20 && code <= 0x2f) return this.#hold("intermediate", character)
    // ESC Z asks who the terminal is; ESC c resets it whole, which some take as a cue to clear the reader's scrollback.
    if (character === "Z" || character === "c") return this.#drop()
    return this.#release(character)
  }

  #endOfCsi(character: string, code: number): string {
    if (character === escape) return this.#drop() + this.#hold("escape", character)
    const final = code >= 0x40 && code <= 0x7e
    // DECSCUSR (space q) and DECSTR (! p) draw and set back, though their final characters otherwise ask.
    const draws =
      final &&
      (!asks_or_reaches_out.has(character) ||
        /[ ]$/.test(this.#held) ||
        /^.\[!$/.test(this.#held) ||
        (character === "u" && this.#held === `${escape}[`))
    if (!draws) return this.#drop()
    if (/^.\[\?(47|1047|1049)$/.test(this.#held)) this.#alternate = character === "h"
    return this.#release(character)
  }

  #hold(state: State, character: string): string {
    this.#held += character
    this.#state = state
    // No program writes one as long; a peer who does would have it kept in memory.
    return this.#held.length > sequence_chars_max ? this.#drop() : ""
  }

  #release(character: string): string {
    const sequence = this.#held + character
    this.#drop()
    return sequence
  }

  #drop(): "" {
    this.#held = ""
    this.#state = "ground"
    return ""
  }
}

/** BEL, BS, TAB, LF, VT, FF, CR, SO, SI; no other control, C1 among them: in UTF-8 U+009B is a CSI to some terminals. */
function isHarmless(code: number): boolean {
  if (code >= 0x80 && code <= 0x9f) return false
  return code >= 0x20 ? code !== 0x7f : code >= 0x07 && code <= 0x0f
}

/** Attributes, margins, cursor, mouse, pasting, keypad, character sets. */
const terminal_reset = [
  "\u001b[!p",
  "\u001b[?1000l\u001b[?1002l\u001b[?1003l\u001b[?1004l\u001b[?1005l\u001b[?1006l\u001b[?1015l",
  "\u001b[?2004l\u001b[?1l\u001b>\u001b[?7h\u001b[?25h\u001b[4l\u001b(B\u001b[0m",
].join("")
