// One stream of one channel, put on record as it passes: a terminal's output whole, an exec's streams byte for byte up to a
// bound and from there as size and, unless the target's config says otherwise, SHA-256. What is typed at a terminal is
// `typed_keys.ts`.
import { isUtf8 } from "node:buffer"
import { createHash, type Hash } from "node:crypto"
import type { Bytes, Stream } from "../../src/record/events.ts"
import type { Recorder } from "../../src/record/recorder.ts"

export interface RecordedStreamOptions {
  readonly recorder: Recorder
  readonly channel: number
  readonly stream: Stream
  /** A number keeps so many bytes. */
  readonly keep: "all" | number
  /** Whether a stream that is longer has its SHA-256 on record, beside its size. */
  readonly digest: boolean
}

/** What a stream passes through on its way: what is recorded of it, and what of it goes on. */
export type Passing = Pick<RecordedStream, "bytes" | "end"> & { pass(chunk: Buffer): Buffer | readonly Buffer[] | null }

export class RecordedStream {
  readonly #options: RecordedStreamOptions
  readonly #hash: Hash | undefined
  #bytes = 0
  #left: number

  constructor(options: RecordedStreamOptions) {
    this.#options = options
    const { keep, digest } = options
    this.#left = keep === "all" ? Infinity : keep
    this.#hash = typeof keep === "number" && digest ? createHash("sha256") : undefined
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Puts `chunk` on record; null when that failed, and then it must not be forwarded. */
  readonly pass = (chunk: Buffer): Buffer | null => {
    const { recorder, channel, stream } = this.#options
    this.#hash?.update(chunk)
    const kept = chunk.length <= this.#left ? chunk : chunk.subarray(0, this.#left)
    if (kept.length > 0 && !recorder.write({ kind: "data", channel, stream, ...encode(kept) })) return null
    this.#left -= kept.length
    this.#bytes += chunk.length
    return chunk
  }

  /** The stream is over: if not all of it was kept, what it was is told by its size, and its digest. */
  end(): void {
    const { recorder, channel, stream, keep } = this.#options
    if (typeof keep !== "number" || this.#bytes <= keep) return
    const sha256 = this.#hash?.digest("hex")
    recorder.note({ kind: "digest", channel, stream, bytes: this.#bytes, ...(sha256 === undefined ? {} : { sha256 }) })
  }
}

const encode = (bytes: Buffer): Bytes => (isUtf8(bytes) ? { text: bytes.toString("utf8") } : { base64: bytes.toString("base64") })

/** A stream that is on record by what is in it. */
export function counted(pass: Passing["pass"]): Passing {
  const stream = {
    bytes: 0,
    pass: (chunk: Buffer) => {
      stream.bytes += chunk.length
      return pass(chunk)
    },
    end: () => {},
  }
  return stream
}
