// What somebody typed at one terminal, as its screen showed it: the line that stood behind the prompt when it was sent off. So what
// came out of the history, of completion or of editing is told as it ran, and what was typed without being shown is not told at
// all: a password is nowhere on the screen. It reads a screen and the moments at which keys came; the keys are on no record.
//
// A shell with a line editor says when it begins to read a line and when it has one (bracketed paste on and off). Where none
// says so (`sh`, `cat`, older shells) the line is over when the cursor leaves it after Enter.
import type { IMarker } from "@xterm/headless"
import type { Millis } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import { TerminalScreen, type ScreenSize } from "./terminal_screen.ts"

export type Typed =
  /** `whole`: where it began is not known, so a prompt may stand before it. */
  | { readonly kind: "typed"; readonly t: Millis; readonly prompt: string; readonly text: string; readonly whole?: true }
  /** Between `t` and `ends_at` a program drew on the whole screen (`vim`, `less`, `tmux`): lines in it are not told. */
  | { readonly kind: "full_screen"; readonly t: Millis; readonly ends_at: Millis }

type Line = Extract<Typed, { kind: "typed" }>

interface Keys {
  /** How many of them end a line. */
  readonly enters?: number
  /** The same within a bracketed paste: only a line editor takes those as a part of the line. */
  readonly pasted?: number
}

/** Where the line began that is being typed. */
interface Begin {
  readonly row: IMarker
  /** Cells before it, counted from the row where its line begins. */
  readonly cells: number
  readonly prompt: string
  /** What stood at the right of it already. */
  readonly right: string
  /** When keys came that showed nothing so far. */
  readonly t: Millis
}

/** A key is shown within it; what was not is not meant to be. */
const shown_ms_max = 250
/** How far up a line is looked for that was drawn anew below where it began. */
const drawn_anew_rows_max = 60
/** The prompt of a line that goes on: bash and sh, zsh, Python, psql, mysql. */
const goes_on = /^(?:\.\.\.|\s*->|[a-z ]*>|[\w.]*[-'"($*][#>]) ?$/

export class TypedLines {
  readonly #screen: TerminalScreen
  readonly #tell: (typed: Typed) => void
  #now: Millis = 0
  #begin: Begin | undefined
  #prompt = ""
  #editor = false
  /** Whether there ever was one. */
  #edits = false
  /** Whether there was a prompt already when a line editor began to read, the last time. */
  #prompted: boolean | undefined
  /** Ends of lines that were typed and not yet seen. */
  #enters = 0
  #entered_at: Millis = 0
  /** Whether they were typed to a line editor. */
  #edited = false
  /** Whether one of them was seen since. */
  #seen = false
  /** Whether keys of the next line came before the end of one was seen. */
  #ahead = false
  /** The row below the line before. */
  #below: IMarker | undefined
  /** Whether anything was written since the last keys. */
  #answered = true
  #full_screen: Millis | undefined
  /**
   * Lines typed while another ran. If that one does not read them itself, the line editor shows them again, and then whole: of what
   * is typed at the moment when it gives the terminal away, a key may not be shown at first.
   */
  #early: Line[] = []
  /** The line before, as long as the next may be a part of it. */
  #held: Line | undefined

  constructor(size: ScreenSize, tell: (typed: Typed) => void) {
    this.#tell = tell
    this.#screen = new TerminalScreen(size, {
      onLineFeed: () => this.#lineFeed(),
      onEditor: (on) => this.#editorTurned(on),
      onAlternate: (on) => this.#alternateTurned(on),
    })
  }

  output(bytes: Buffer, t: Millis): void {
    this.#screen.then(() => {
      this.#now = t
      this.#answered = true
    })
    this.#screen.write(bytes)
  }

  keys(keys: Keys, t: Millis): void {
    this.#screen.then(() => {
      this.#now = t
      if (!this.#screen.alternate) this.#typed(keys)
      this.#answered = false
    })
  }

  resize(size: ScreenSize): void {
    this.#screen.resize(size)
  }

  /** Settles when everything so far was read. */
  settled(): Promise<void> {
    return this.#screen.settled()
  }

  async end(t: Millis): Promise<void> {
    await this.#screen.settled()
    this.#now = t
    if (this.#full_screen !== undefined) this.#alternateTurned(false)
    this.#releaseEarly()
    this.#release()
    this.#screen.dispose()
  }

  #typed({ enters = 0, pasted = 0 }: Keys): void {
    const ends = enters + (this.#editor ? 0 : pasted)
    if (this.#editor) this.#releaseEarly()
    const { row } = this.#screen
    const moved = this.#begin && this.#enters === 0 && !this.#editor && this.#begin.row.line !== this.#screen.startOf(row)
    if (!this.#begin || moved) this.#start(moved === true)
    if (this.#seen) this.#enters = 0
    this.#ahead = ends === 0 && this.#enters > 0
    this.#seen = false
    if (ends === 0) return
    // A line editor shows what it reads, however late.
    const unseen = !this.#editor && !this.#answered && this.#begin && this.#now - this.#begin.t > shown_ms_max
    if (unseen) return this.#forget()
    this.#enters = Math.min(this.#enters + ends, limits.transcript_enters_max)
    this.#entered_at = this.#now
    this.#edited = this.#editor
  }

  /**
   * Takes the cursor's place as where a line begins, and what is before it as the prompt; unless keys came before there was one
   * (`moved`: when the cursor was still elsewhere), which the terminal itself shows then.
   */
  #start(moved: boolean): void {
    const screen = this.#screen
    const start = screen.startOf(screen.row)
    const row = screen.mark(start)
    this.#begin?.row.dispose()
    this.#begin = undefined
    if (!row) return
    const full = range(start, screen.row).map((each) => screen.text(each, 0, screen.columns))
    let cells = (screen.row - start) * screen.columns + screen.column
    let prompt = `${full.join("")}${screen.text(screen.row, 0, screen.column)}`
    const early = this.#ahead || (moved && !prompt.startsWith(this.#prompt))
    if (early && !this.#editor) [cells, prompt] = [0, ""]
    // Keys that came before there was a prompt are shown with it: they are no part of it.
    if (this.#prompt.trim() !== "" && prompt.length > this.#prompt.length && prompt.startsWith(this.#prompt)) {
      prompt = this.#prompt
      cells = this.#cellsOf(start, prompt)
    }
    this.#begin = { row, cells, prompt, right: screen.text(screen.row, screen.column), t: this.#now }
  }

  #forget(): void {
    this.#begin?.row.dispose()
    this.#begin = undefined
  }

  #lineFeed(): void {
    if (this.#enters === 0 || this.#edited || this.#screen.alternate) return
    this.#accept(this.#screen.row - 1)
  }

  #editorTurned(on: boolean): void {
    if (this.#screen.alternate) return
    const early = this.#editor && this.#enters === 0 ? this.#early[0] : undefined
    if (!on && (early || (this.#enters > 0 && this.#edited))) {
      const { row } = this.#screen
      this.#accept(this.#screen.text(row).trim() === "" ? row - 1 : row, early)
    }
    // A prompt after a prompt: the line in between was empty, and no shell says so.
    if (on && this.#editor && this.#enters > 0) this.#enters--
    this.#editor = on
    this.#edits ||= on
    const first = this.#prompted ?? true
    if (on) this.#prompted = this.#screen.text(this.#screen.row, 0, this.#screen.column).trim() !== ""
    // Keys that came too early are shown behind a prompt that is there before the editor is, as zsh's; what stands there elsewhere is a
    // command's output, and the prompt comes behind it.
    if (on && first && this.#prompted && this.#begin && this.#enters === 0) this.#start(false)
    else this.#forget()
  }

  #alternateTurned(on: boolean): void {
    if (on) this.#full_screen ??= this.#now
    else if (this.#full_screen !== undefined) {
      this.#releaseEarly()
      this.#release()
      this.#tell({ kind: "full_screen", t: this.#full_screen, ends_at: this.#now })
      this.#full_screen = undefined
    }
    this.#enters = 0
    this.#forget()
  }

  /** A line was sent off, and `last` is its last row. `early`: it is one that was typed before its prompt was there. */
  #accept(last: number, early?: Line): void {
    if (!early) this.#enters--
    this.#seen = true
    const above = this.#below?.line
    const { from, cells, prompt, whole } = this.#find(last)
    const text = this.#read(from, cells, last)
    this.#forget()
    this.#below?.dispose()
    this.#below = this.#screen.mark(last + 1)
    if (text.trim() === "") return
    if (prompt.trim() !== "" && !goes_on.test(prompt)) this.#prompt = prompt
    if (early) this.#early.shift()
    const line = { kind: "typed", t: early?.t ?? this.#entered_at, prompt, text, ...(whole ? { whole } : {}) } as const
    const before = this.#early.at(-1) ?? this.#held
    if (before && above === from && goes_on.test(prompt) && prompt !== before.prompt && !whole) {
      const joined = { ...before, text: `${before.text}\n${text}`.slice(0, limits.transcript_line_chars_max) }
      if (this.#early.length > 0) this.#early[this.#early.length - 1] = joined
      else this.#held = joined
    } else if (this.#edits && !this.#editor && !this.#edited) {
      if (this.#early.push(line) > limits.transcript_enters_max) this.#releaseEarly()
    } else {
      if (!early) this.#releaseEarly()
      this.#release()
      this.#held = line
    }
  }

  #releaseEarly(): void {
    if (this.#early.length === 0) return
    this.#release()
    for (const line of this.#early.splice(0)) this.#tell(line)
  }

  #release(): void {
    if (this.#held) this.#tell(this.#held)
    this.#held = undefined
  }

  /** Where the line begins that ends at `last`. One that was drawn anew, below a list of completions, begins further down. */
  #find(last: number): { readonly from: number; readonly cells: number; readonly prompt: string; readonly whole?: true } {
    const screen = this.#screen
    const begin = this.#begin
    const known = begin && !begin.row.isDisposed && begin.row.line <= last ? begin.row.line : undefined
    const prompt = begin?.prompt || this.#prompt
    if (prompt.trim() !== "") {
      const top = Math.max(known ?? this.#below?.line ?? 0, last - drawn_anew_rows_max, 0)
      for (let row = screen.startOf(last); row >= top; row = screen.startOf(row - 1)) {
        if (row === known) break
        if (screen.text(row, 0, screen.columns).startsWith(prompt)) return { from: row, cells: this.#cellsOf(row, prompt), prompt }
        if (row === 0) break
      }
    }
    if (begin && known !== undefined) return { from: known, cells: begin.cells, prompt: begin.prompt }
    return { from: screen.startOf(last), cells: 0, prompt: "", whole: true }
  }

  /** How wide a prompt is with which a row begins: some characters take two cells, and some none. */
  #cellsOf(row: number, prompt: string): number {
    const screen = this.#screen
    let cells = Math.ceil(prompt.length / 2)
    while (cells < screen.columns && screen.text(row, 0, cells).length < prompt.length) cells++
    return cells
  }

  #read(from: number, cells: number, last: number): string {
    const screen = this.#screen
    const first = from + Math.floor(cells / screen.columns)
    const rows = range(Math.max(first, last - limits.transcript_rows_max), last + 1).map((row) => ({
      text: screen.text(row, row === first ? cells % screen.columns : 0, screen.isWrapped(row + 1) ? screen.columns : undefined),
      wrapped: row !== first && screen.isWrapped(row),
    }))
    const right = this.#begin?.right.trim()
    const text = rows.map(({ text: row, wrapped }, at) => {
      if (at > 0) return wrapped ? row : `\n${row}`
      return right && row.endsWith(right) ? row.slice(0, -right.length).trimEnd() : row
    })
    return text.join("").trimEnd().slice(0, limits.transcript_line_chars_max)
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at)
