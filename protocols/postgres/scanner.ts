// One direction of the relay, as messages. It walks the five-byte headers of what was received and passes the received buffers
// on, uncopied; a reader says how much of each message it must see first, and what becomes of it. A message of ordinary size
// leaves whole or not at all, so what was forwarded ends at a message boundary; a larger one streams after the part that was
// asked for. What is kept between two chunks is bounded by the reader's `wants` and `postgres_partial_bytes_max`.
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { nothing } from "./codec.ts"

/** One message, as far as it has been seen. The object is used again for the next one. */
export interface Seen {
  type: number
  bytes: Buffer
  /** Where its body starts in `bytes`, and where the seen part of it ends. */
  start: number
  end: number
  /** Its whole size: type, length and body. */
  size: number
  /** How many bytes came before it in this direction. */
  position: number
}

/** What becomes of a message: it passes, it waits (nothing after it is looked at either), or these bytes go in its place. */
export type Fate = "pass" | "wait" | Buffer

/** In `MessageReader.wants`: the type may not come; it passes unread. Otherwise: bytes of the body to see before it passes. */
export const unknown_type = -2
export const unread_type = -1

export interface MessageReader {
  /** By type byte. */
  readonly wants: Int32Array
  read(seen: Seen): Fate
}

/** A message's type and length. */
export const header_bytes = 5

export class Scanner {
  readonly #reader: MessageReader
  /** The start of a message that has not been seen far enough, and how much of the buffer it takes. */
  #held: Buffer | undefined
  #heldBytes = 0
  /** Of a message that has been decided about: what is still to come, and whether it passes. */
  #rest = 0
  #restPasses = true
  #position = 0
  readonly #seen: Seen = { type: 0, bytes: nothing, start: 0, end: 0, size: 0, position: 0 }
  #unread: Buffer | undefined

  constructor(reader: MessageReader) {
    this.#reader = reader
  }

  /** Whether what was forwarded so far ends at a message boundary. */
  get between(): boolean {
    return this.#rest === 0 || !this.#restPasses
  }

  /** After a message that waits: it and what follows it, to be given again. Asking takes it. */
  takeUnread(): Buffer | undefined {
    const unread = this.#unread
    this.#unread = undefined
    return unread
  }

  /** What of `chunk`, and of what was held before it, is to be forwarded now, in order. Throws `protocol_broken`. */
  pass(chunk: Buffer): Buffer | Buffer[] | null {
    const parts: Buffer[] = []
    let at = 0 // everything before it has been looked at
    let run = 0 // everything from here to `at` passes
    if (this.#held) {
      const used = this.#join(chunk, parts)
      if (used < 0) return null
      at = run = used
    }
    if (this.#rest > 0) {
      const more = Math.min(this.#rest, chunk.length - at)
      this.#rest -= more
      at += more
      if (!this.#restPasses) run = at
    }
    while (at < chunk.length) {
      const size = this.#look(chunk, at)
      if (size === 0) {
        this.#held = chunk.subarray(at)
        this.#heldBytes = this.#held.length
        break
      }
      const fate = this.#seen.end < 0 ? "pass" : this.#reader.read(this.#seen)
      if (fate === "wait") {
        this.#unread = chunk.subarray(at)
        break
      }
      const next = at + size
      if (fate !== "pass") {
        if (at > run) parts.push(chunk.subarray(run, at))
        if (fate.length > 0) parts.push(fate)
        run = Math.min(next, chunk.length)
      }
      this.#position += size
      this.#rest = Math.max(0, next - chunk.length)
      this.#restPasses = fate === "pass"
      at = Math.min(next, chunk.length)
    }
    if (run === 0 && at === chunk.length) return chunk
    if (at > run) parts.push(chunk.subarray(run, at))
    return parts.length > 0 ? parts : null
  }

  /** Fills `#seen` with the message at `at` and answers its size; 0 when not enough of it is here. An unread one has no `end`. */
  #look(bytes: Buffer, at: number): number {
    if (bytes.length - at < header_bytes) return 0
    const size = sizeAt(bytes, at)
    const goal = this.#goal(bytes[at] as number, size)
    if (bytes.length - at < goal) return 0
    const seen = this.#seen
    seen.type = bytes[at] as number
    if (this.#reader.wants[seen.type] === unread_type) {
      seen.end = -1
      return size
    }
    seen.bytes = bytes
    seen.start = at + header_bytes
    seen.end = at + goal
    seen.size = size
    seen.position = this.#position
    return size
  }

  /** How much of a message must be here before it is decided about. */
  #goal(type: number, size: number): number {
    const wants = this.#reader.wants[type] as number
    if (wants === unknown_type) throw broken(`a message of unknown type ${type}`)
    return size <= limits.postgres_partial_bytes_max ? size : Math.min(size, header_bytes + Math.max(0, wants))
  }

  /** Completes the held message from `chunk` and decides about it; how much of `chunk` that took, -1 when it is not all here or waits. */
  #join(chunk: Buffer, parts: Buffer[]): number {
    let used = this.#take(chunk, 0, header_bytes)
    let held = this.#held as Buffer
    if (this.#heldBytes < header_bytes) return -1
    const goal = this.#goal(held[0] as number, sizeAt(held, 0))
    used += this.#take(chunk, used, goal)
    if (this.#heldBytes < goal) return -1
    held = this.#held as Buffer
    this.#held = undefined
    const size = this.#look(held, 0)
    const fate = this.#seen.end < 0 ? "pass" : this.#reader.read(this.#seen)
    if (fate === "wait") {
      this.#unread = used < chunk.length ? Buffer.concat([held, chunk.subarray(used)]) : held
      return -1
    }
    if (fate === "pass") parts.push(held)
    else if (fate.length > 0) parts.push(fate)
    this.#position += size
    this.#rest = size - held.length
    this.#restPasses = fate === "pass"
    return used
  }

  /**
   * Moves bytes of `chunk` from `from` on to what is held, until that is `until` long; how many. The buffer doubles on the way there, so
   * that a message that comes byte by byte is not copied for each of them.
   */
  #take(chunk: Buffer, from: number, until: number): number {
    const more = Math.min(until - this.#heldBytes, chunk.length - from)
    if (more <= 0) return 0
    const bytes = this.#heldBytes + more
    let held = this.#held as Buffer
    if (bytes > held.length) {
      const grown = Buffer.allocUnsafe(Math.min(until, Math.max(bytes, 2 * held.length)))
      held.copy(grown, 0, 0, this.#heldBytes)
      this.#held = held = grown
    }
    chunk.copy(held, this.#heldBytes, from, from + more)
    this.#heldBytes = bytes
    return more
  }
}

function sizeAt(bytes: Buffer, at: number): number {
  const length =
    ((bytes[at + 1] as number) << 24) | ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 8) | (bytes[at + 4] as number)
  if (length < 4) throw broken(`a message of length ${length}`)
  return length + 1
}

const broken = (why: string) => new GatewayError("protocol_broken", {}, new Error(why))
