// The keys that are typed at a terminal: put on record that there were some and how many of them end a line, never what they were.
// `src/record/typed_lines.ts` reads from the screen what they became. Keys that nothing was shown for are one event, so that
// nobody can count the characters of a password.
import type { Recorder } from "../../src/record/recorder.ts"
import type { Passing, RecordedStream } from "./recorded_stream.ts"

/** What a terminal answers by itself: where its cursor is, what it can do, that it has the focus, where its mouse is. */
const replies =
  // oxlint-disable-next-line no-control-regex -- they are made of control characters
  /^(?:\u001b\[(?:[?>=][\d;]*(?:\$y|[cnuRS])|[\d;]*[cnt]|\d+;\d+R|<[\d;]+[Mm]|M[^]{3}|[IO])|\u001b[P\]_][^\u0007\u001b\r\n\u000f]*(?:\u0007|\u001b\\))+$/
const reply_bytes_max = 4_096
const paste = "\u001b[200~"
// CR, LF, and Ctrl-O: in a line editor it sends the line off too.
// oxlint-disable-next-line no-control-regex
const marks = /\u001b\[20([01])~|\r\n|[\r\n\u000f]/g

// oxlint-disable-next-line no-control-regex
const cut = /^\u001b(?:\[(?:2(?:0[01]?)?)?)?$/

export class TypedKeys {
  readonly #recorder: Recorder
  readonly #channel: number
  #shown = true
  #pasting = false
  /** The beginning of a mark that the last chunk ended with. */
  #rest = ""

  constructor(recorder: Recorder, channel: number) {
    this.#recorder = recorder
    this.#channel = channel
  }

  /** Something was written to the terminal. */
  shown(): void {
    this.#shown = true
  }

  /** A stream of the terminal's output, which is where keys are shown. */
  watch(stream: RecordedStream): Passing {
    const pass = (chunk: Buffer): Buffer | null => {
      this.shown()
      return stream.pass(chunk)
    }
    return {
      get bytes() {
        return stream.bytes
      },
      end: () => stream.end(),
      pass,
    }
  }

  /** Puts `chunk` on record; null when that failed, and then it must not be forwarded. */
  readonly pass = (chunk: Buffer): Buffer | null => {
    const text = this.#rest + chunk.toString("latin1")
    if (this.#rest === "" && text.length <= reply_bytes_max && replies.test(text)) return chunk
    const { enters, pasted, more } = this.#count(text)
    const counts = { ...(enters > 0 ? { enters } : {}), ...(pasted > 0 ? { pasted } : {}) }
    if ((enters > 0 || pasted > 0) && !this.#write(counts)) return null
    // After the end of a line the next key begins another, shown or not.
    if (more && (this.#shown || enters > 0 || pasted > 0)) return this.#write({}) ? chunk : null
    return chunk
  }

  #write(counts: { readonly enters?: number; readonly pasted?: number }): boolean {
    this.#shown = "enters" in counts || "pasted" in counts
    return this.#recorder.write({ kind: "typed", channel: this.#channel, ...counts })
  }

  /** `more`: whether any key came after the last end of a line. */
  #count(text: string): { readonly enters: number; readonly pasted: number; readonly more: boolean } {
    const counts = { enters: 0, pasted: 0 }
    let end_of_last = 0
    for (const { 0: whole, 1: mark, index } of text.matchAll(marks)) {
      end_of_last = index + whole.length
      if (mark !== undefined) this.#pasting = mark === "0"
      else counts[this.#pasting ? "pasted" : "enters"]++
    }
    const at = text.lastIndexOf("\u001b")
    const end = at === -1 ? "" : text.slice(at)
    this.#rest = end.length < paste.length && cut.test(end) ? end : ""
    return { ...counts, more: end_of_last < text.length }
  }
}
