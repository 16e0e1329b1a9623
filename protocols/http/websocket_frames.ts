// Where frames begin and end in what a WebSocket server sends (RFC 6455, section 5.2), and the close frame that says goodbye.
// It looks at frame headers alone; payloads pass unread.
import { limits } from "../../src/core/limits.ts"

const opcode_close = 0x8

/** Follows one direction of a connection. */
export class FrameScanner {
  #header = Buffer.alloc(14)
  #headerBytes = 0
  #payloadLeft = 0
  #closed = false

  /** Whether a frame may be put in here: nothing is half sent, and no close frame went before. */
  get atBoundary(): boolean {
    return this.#headerBytes === 0 && this.#payloadLeft === 0 && !this.#closed
  }

  see(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const taken = Math.min(this.#payloadLeft, chunk.length - at)
        this.#payloadLeft -= taken
        at += taken
      } else {
        this.#header[this.#headerBytes++] = chunk[at++] as number
        if (this.#headerBytes >= 2 && this.#headerBytes === this.#headerSize()) this.#begin()
      }
    }
  }

  #headerSize(): number {
    const second = this.#header[1] as number
    const length = second & 0x7f
    return 2 + (length === 126 ? 2 : length === 127 ? 8 : 0) + ((second & 0x80) === 0 ? 0 : 4)
  }

  #begin(): void {
    const length = (this.#header[1] as number) & 0x7f
    if (length === 126) this.#payloadLeft = this.#header.readUInt16BE(2)
    else if (length === 127) this.#payloadLeft = Number(this.#header.readBigUInt64BE(2))
    else this.#payloadLeft = length
    if (((this.#header[0] as number) & 0x0f) === opcode_close) this.#closed = true
    this.#headerBytes = 0
  }
}

/** 1008: policy violation. 1012: the service restarts (the IANA registry of close codes). */
export type CloseCode = 1008 | 1012

/** An unmasked close frame, as a server sends it; `words` are cut at a character's end to fit a control frame. */
export function closeFrame(code: CloseCode, words: string): Buffer {
  const reason = fit(words, limits.websocket_close_reason_bytes_max)
  const frame = Buffer.alloc(4 + reason.length)
  frame[0] = 0x80 | opcode_close
  frame[1] = 2 + reason.length
  frame.writeUInt16BE(code, 2)
  reason.copy(frame, 4)
  return frame
}

function fit(words: string, bytes_max: number): Buffer {
  const bytes = Buffer.from(words)
  if (bytes.length <= bytes_max) return bytes
  let end = bytes_max
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--
  return bytes.subarray(0, end)
}
