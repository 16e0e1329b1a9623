// What a person is told beside the bytes of one connection to a target: what waits for somebody, what was refused without words of the
// protocol's own. It is shown at the connection's terminals. While there is none, it is said where only `ssh -v` and the logs of other
// clients show it, because SSH has no other place, and kept for the first terminal to begin, as long as it is still so.
import { limits } from "../../src/core/limits.ts"

export interface TerminalWordsOptions {
  /** At each terminal there is; false when there is none. */
  show(words: string): boolean
  /** Where the client has asked for it to be shown. */
  aside(words: string): void
}

export class TerminalWords {
  readonly #options: TerminalWordsOptions
  readonly #kept = new Set<{ readonly words: string }>()

  constructor(options: TerminalWordsOptions) {
    this.#options = options
  }

  /** `until`: when it is not so any more; never rejects. */
  tell(words: string, until?: Promise<unknown>): void {
    if (this.now(words) || this.#kept.size >= limits.ssh_words_max) return
    const kept = { words }
    this.#kept.add(kept)
    void until?.then(() => this.#kept.delete(kept))
  }

  /** For what is only true now: nothing of it is kept. Answers whether a terminal shows it. */
  now(words: string): boolean {
    const shown = this.#options.show(words)
    if (!shown) this.#options.aside(words)
    return shown
  }

  /** What was kept, for the terminal that begins. */
  take(): readonly string[] {
    const words = [...this.#kept].map((kept) => kept.words)
    this.#kept.clear()
    return words
  }
}
