// What a config was made from: the text of its file and what its references gave when they were followed. It can be sent to another
// process, which then makes the same config of it, whatever has become of the files since. It holds secrets, so it prints as nothing.
import { createHash } from "node:crypto"
import { inspect } from "node:util"
import type { Place, Path, Source } from "./source.ts"

/** For a process of our own, on a channel that nobody else reads. */
export interface SourceMessage {
  readonly path: string
  readonly text: string
  /** By the reference, as "env:NAME" or "file:key.pem". */
  readonly values: Readonly<Record<string, string>>
}

export class ConfigSource {
  readonly path: string
  /** Of the file's text: SHA-256 in hex. */
  readonly digest: string
  readonly #text: string
  readonly #values: ReadonlyMap<string, string>
  readonly #source: Source

  constructor(path: string, text: string, { values, source }: { readonly values: ReadonlyMap<string, string>; readonly source: Source }) {
    this.path = path
    this.digest = digestOf(text)
    this.#text = text
    this.#values = values
    this.#source = source
  }

  placeOf(path: Path): Place {
    return this.#source.placeOf(path)
  }

  /** What the file itself says at `path`, references as they are written; undefined: nothing. */
  written(path: Path): unknown {
    let value = this.#source.value
    for (const step of path) {
      if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined
      value = (value as Record<string | number, unknown>)[step]
    }
    return value
  }

  /** Whether it says the same as another, down to what its references gave. */
  same(other: ConfigSource): boolean {
    return this.#text === other.#text && JSON.stringify([...this.#values]) === JSON.stringify([...other.#values])
  }

  message(): SourceMessage {
    return { path: this.path, text: this.#text, values: Object.fromEntries(this.#values) }
  }

  toJSON(): string {
    return `[config ${this.digest}]`
  }

  [inspect.custom](): string {
    return this.toJSON()
  }
}

export const digestOf = (text: string): string => createHash("sha256").update(text).digest("hex")
