// A terminal without a window that what was recorded is written to, so that it can be asked what stood where. xterm.js does the
// work; what a hostile recording could make it do for long, or keep without end, is taken out here. It draws nothing and answers
// nothing.
import xterm from "@xterm/headless"
import type { IBufferLine, IMarker } from "@xterm/headless"
import { limits } from "../core/limits.ts"

export interface ScreenSize {
  readonly columns: number
  readonly rows: number
}

/** Called in the middle of what is written, at the very place. */
export interface ScreenHooks {
  /** The cursor has left a line for the one below it. */
  onLineFeed(): void
  /** A line editor began to read a line, or has one: that is when they want pasting bracketed (`CSI ? 2004`), and when not. */
  onEditor(on: boolean): void
  onAlternate(on: boolean): void
}

const bracketed_paste = 2004
/** Characters without a width of their own that one cell keeps. */
const combined_max = 8
const combined = new RegExp(`([\\p{M}\\p{Cf}\\u1160-\\u11ff]{${combined_max}})[\\p{M}\\p{Cf}\\u1160-\\u11ff]+`, "gu")

export class TerminalScreen {
  readonly #terminal: xterm.Terminal
  readonly #decoder = new TextDecoder()
  /** What may still be shifted by what is written now. */
  #shifts = 0

  constructor(size: ScreenSize, hooks: ScreenHooks) {
    const { columns, rows } = bounded(size)
    const terminal = new xterm.Terminal({
      cols: columns,
      rows,
      scrollback: limits.transcript_scrollback_rows,
      allowProposedApi: true,
      logLevel: "off",
    })
    this.#terminal = terminal
    this.#guard()
    const switches = (on: boolean) => (params: readonly (number | number[])[]) => {
      if (params.includes(bracketed_paste)) hooks.onEditor(on)
      return false
    }
    terminal.parser.registerCsiHandler({ prefix: "?", final: "h" }, switches(true))
    terminal.parser.registerCsiHandler({ prefix: "?", final: "l" }, switches(false))
    terminal.onLineFeed(() => hooks.onLineFeed())
    terminal.buffer.onBufferChange((buffer) => hooks.onAlternate(buffer.type === "alternate"))
  }

  /** Does `then` when everything that was written before it stands on the screen. */
  then(then: () => void): void {
    this.#terminal.write("", then)
  }

  write(bytes: Buffer): void {
    const text = this.#decoder.decode(bytes, { stream: true }).replaceAll(combined, "$1")
    this.then(() => (this.#shifts = limits.transcript_shifted_rows_max))
    this.#terminal.write(text)
  }

  resize(size: ScreenSize): void {
    const { columns, rows } = bounded(size)
    this.then(() => this.#terminal.resize(columns, rows))
  }

  /** Settles when everything that was written stands on the screen. */
  settled(): Promise<void> {
    return new Promise((resolve) => this.then(resolve))
  }

  dispose(): void {
    this.#terminal.dispose()
  }

  get alternate(): boolean {
    return this.#terminal.buffer.active.type === "alternate"
  }

  /** Counted from the oldest row that is kept. */
  get row(): number {
    const { baseY, cursorY } = this.#terminal.buffer.active
    return baseY + cursorY
  }

  get column(): number {
    return this.#terminal.buffer.active.cursorX
  }

  get columns(): number {
    return this.#terminal.cols
  }

  /** Keeps hold of a row while others come and go. */
  mark(row: number): IMarker | undefined {
    return this.#terminal.registerMarker(row - this.row)
  }

  /** The row where the line begins that `row` is a part of: one that did not fit is wrapped. */
  startOf(row: number): number {
    let start = row
    while (start > 0 && this.#line(start)?.isWrapped) start--
    return start
  }

  /** The text of a row between two columns; without an end, up to the last character that is there. */
  text(row: number, from = 0, to?: number): string {
    return this.#line(row)?.translateToString(to === undefined, from, to) ?? ""
  }

  isWrapped(row: number): boolean {
    return this.#line(row)?.isWrapped === true
  }

  #line(row: number): IBufferLine | undefined {
    return this.#terminal.buffer.active.getLine(row)
  }

  #guard(): void {
    const { parser } = this.#terminal
    const count = ([first]: readonly (number | number[])[]): number => (typeof first === "number" && first > 0 ? first : 1)
    // Each shifts many rows, and a sequence of six bytes may ask for billions.
    for (const final of ["S", "T", "L", "M"]) {
      parser.registerCsiHandler({ final }, (params) => {
        this.#shifts -= count(params)
        return this.#shifts < 0
      })
    }
    const cells = limits.transcript_columns_max
    for (const final of ["b", "I", "Z", "@", "P", "X"]) parser.registerCsiHandler({ final }, (params) => count(params) > cells)
    // Links are kept with the row they are in, however many, and colours are nothing to us.
    for (const kind of [4, 8, 10, 11, 12]) parser.registerOscHandler(kind, () => true)
  }
}

/** A size that somebody asked for is up to 2^32 each way. */
const bounded = ({ columns, rows }: ScreenSize): ScreenSize => ({
  columns: Math.min(Math.max(columns, 2), limits.transcript_columns_max),
  rows: Math.min(Math.max(rows, 1), limits.transcript_rows_max),
})
