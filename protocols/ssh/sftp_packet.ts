// SFTP's framing (draft-ietf-secsh-filexfer-02, section 3): a stream cut into packets, each bounded, none forwarded before it is
// whole. What passes leaves in as few pieces as it came; nothing is copied but what must be read across pieces.
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { type Field, pack } from "./codec.ts"

const length_bytes = 4
/** Small pieces that wait are joined: each costs more than its bytes. */
const pieces_max = 64

export const sftpType = {
  init: 1,
  version: 2,
  open: 3,
  close: 4,
  read: 5,
  write: 6,
  lstat: 7,
  fstat: 8,
  setstat: 9,
  fsetstat: 10,
  opendir: 11,
  readdir: 12,
  remove: 13,
  mkdir: 14,
  rmdir: 15,
  realpath: 16,
  stat: 17,
  rename: 18,
  readlink: 19,
  symlink: 20,
  status: 101,
  handle: 102,
  data: 103,
  name: 104,
  attrs: 105,
  extended: 200,
  extended_reply: 201,
} as const

/** Of a status answer (section 7). */
export const sftpStatus = { ok: 0, eof: 1, permission_denied: 3, failure: 4 } as const

/** One whole packet, its length before it, in the pieces in which it came. */
export class SftpPacket {
  readonly pieces: readonly Buffer[]
  readonly bytes: number

  constructor(pieces: readonly Buffer[], bytes: number) {
    this.pieces = pieces
    this.bytes = bytes
  }

  /** At least the first `bytes` in one piece, or all there are. */
  head(bytes: number): Buffer {
    const [first = Buffer.alloc(0)] = this.pieces
    return first.length >= Math.min(bytes, this.bytes) ? first : Buffer.concat(this.pieces)
  }

  whole(): Buffer {
    return this.head(this.bytes)
  }

  /** The bytes from `at` on. */
  from(at: number): Buffer[] {
    let skip = at
    return this.pieces.flatMap((piece) => {
      const rest = piece.subarray(skip)
      skip = Math.max(0, skip - piece.length)
      return rest.length > 0 ? [rest] : []
    })
  }
}

/** One direction of one channel. */
export class SftpFramer {
  #held: Buffer[] = []
  #bytes = 0
  /** Of the packet that is under way, once its length is known. */
  #total = 0
  #unread: Buffer | undefined

  /** What `each` would not read yet, and all behind it; given once. */
  takeUnread(): Buffer | undefined {
    const unread = this.#unread
    this.#unread = undefined
    return unread
  }

  /**
   * `each` sees every packet that is whole now: true passes it, a list goes in its place, "wait" leaves it and what follows unread.
   * Throws `protocol_broken`.
   */
  pass(chunk: Buffer, each: (packet: SftpPacket) => true | "wait" | readonly Buffer[]): readonly Buffer[] {
    const out: Buffer[] = []
    let from = 0
    let at = 0
    for (;;) {
      const size = this.#missing(chunk, at)
      if (size === undefined || chunk.length - at < size) break
      const [held, piece] = [this.#held, chunk.subarray(at, at + size)]
      const answer = each(new SftpPacket([...held, piece], this.#total))
      if (answer === "wait") {
        this.#unread = Buffer.concat([...held, chunk.subarray(at)])
        this.#held = []
        this.#bytes = this.#total = 0
        if (at > from) out.push(chunk.subarray(from, at))
        return out
      }
      if (held.length > 0 && answer === true) out.push(...held)
      if (answer !== true) {
        if (at > from) out.push(chunk.subarray(from, at))
        out.push(...answer)
        from = at + size
      }
      at += size
      this.#held = []
      this.#bytes = this.#total = 0
    }
    if (at > from) out.push(chunk.subarray(from, at))
    if (at < chunk.length) this.#hold(chunk.subarray(at))
    return out
  }

  /** How many bytes from `at` on the packet under way still needs; undefined while not even its length is there. */
  #missing(chunk: Buffer, at: number): number | undefined {
    if (this.#total === 0) {
      const missing = length_bytes - this.#bytes
      if (chunk.length - at < missing) return undefined
      const bytes = this.#bytes === 0 ? chunk.subarray(at) : Buffer.concat([...this.#held, chunk.subarray(at, at + missing)])
      const length = bytes.readUInt32BE()
      if (length < 1 || length > limits.sftp_packet_bytes_max) throw sftpBroken(`a packet of ${length} bytes`)
      this.#total = length_bytes + length
    }
    return this.#total - this.#bytes
  }

  #hold(piece: Buffer): void {
    this.#held.push(piece)
    this.#bytes += piece.length
    if (this.#held.length > pieces_max) this.#held = [Buffer.concat(this.#held)]
  }
}

/** A packet with its length. */
export const sftpPacket = (type: number, ...fields: readonly Field[]): Buffer => pack(Buffer.concat([Buffer.of(type), pack(...fields)]))

export const sftpBroken = (what: string): GatewayError => new GatewayError("protocol_broken", { what: `SFTP was not followed: ${what}` })
