// Puts one byte stream of a channel on record as it passes: the bytes themselves up to a bound, past it their number and SHA-256.
// Holds nothing back: each chunk is on record when `write` returns, so a character that two chunks share is kept as its two parts.
// Joined, the bytes of the events are the bytes of the stream.
import { isUtf8 } from "node:buffer"
import { createHash } from "node:crypto"
import type { Bytes, Stream } from "./events.ts"
import type { Recorder } from "./recorder.ts"

export interface StreamBytesOptions {
  readonly recorder: Recorder
  readonly channel: number
  readonly stream: Stream
  /** Infinity for a terminal, whose output is always kept whole. */
  readonly bytes_max: number
}

export class StreamBytes {
  readonly #options: StreamBytesOptions
  readonly #hash = createHash("sha256")
  #count = 0
  #ended = false

  constructor(options: StreamBytesOptions) {
    this.#options = options
  }

  /** Before the bytes are forwarded. False: they must not be (see `Recorder.write`). */
  write(chunk: Buffer): boolean {
    const { recorder, channel, stream, bytes_max } = this.#options
    const kept = chunk.subarray(0, Math.max(0, bytes_max - this.#count))
    this.#count += chunk.length
    if (bytes_max !== Infinity) this.#hash.update(chunk)
    for (const part of asText(kept)) if (!recorder.write({ kind: "data", channel, stream, ...part })) return false
    return true
  }

  /** The stream is over. Writes the digest when its content was not kept whole; safe to call twice. */
  end(): boolean {
    const { recorder, channel, stream, bytes_max } = this.#options
    if (this.#ended || this.#count <= bytes_max) return true
    this.#ended = true
    return recorder.write({ kind: "digest", channel, stream, bytes: this.#count, sha256: this.#hash.digest("hex") })
  }
}

/** The bytes of a `data` event. */
export const bytesOf = (event: Bytes): Buffer => ("text" in event ? Buffer.from(event.text) : Buffer.from(event.base64, "base64"))

/** As text where it is UTF-8, but for a character that the chunk cuts at its start or end. */
function asText(chunk: Buffer): Bytes[] {
  if (chunk.length === 0) return []
  if (isUtf8(chunk)) return [{ text: chunk.toString("utf8") }]
  const start = continuationsAt(chunk)
  const end = chunk.length - unfinishedAt(chunk)
  if (start >= end || !isUtf8(chunk.subarray(start, end))) return [{ base64: chunk.toString("base64") }]
  return [
    ...(start > 0 ? [{ base64: chunk.toString("base64", 0, start) }] : []),
    { text: chunk.toString("utf8", start, end) },
    ...(end < chunk.length ? [{ base64: chunk.toString("base64", end) }] : []),
  ]
}

const isContinuation = (byte: number | undefined): boolean => byte !== undefined && (byte & 0xc0) === 0x80

/** How many bytes at the start continue a character of the chunk before: at most three (RFC 3629, section 3). */
function continuationsAt(chunk: Buffer): number {
  let count = 0
  while (count < 3 && isContinuation(chunk[count])) count++
  return count
}

/** How many bytes at the end begin a character that the next chunk finishes. */
function unfinishedAt(chunk: Buffer): number {
  for (let back = 1; back <= Math.min(3, chunk.length); back++) {
    const byte = chunk[chunk.length - back]!
    if (isContinuation(byte)) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1
    return length > back ? back : 0
  }
  return 0
}
