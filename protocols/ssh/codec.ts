// The data types of the SSH protocol (RFC 4251, section 5) and the messages of its connection layer (RFC 4254), as bytes. It
// knows nothing of connections, windows or policy. Reading beyond the end is hostile input: `protocol_broken`.
import { GatewayError } from "../../src/core/errors.ts"

export const message = {
  userauth_request: 50,
  userauth_banner: 53,
  global_request: 80,
  request_success: 81,
  request_failure: 82,
  channel_open: 90,
  channel_open_confirmation: 91,
  channel_open_failure: 92,
  channel_window_adjust: 93,
  channel_data: 94,
  channel_extended_data: 95,
  channel_eof: 96,
  channel_close: 97,
  channel_request: 98,
  channel_success: 99,
  channel_failure: 100,
  disconnect: 1,
  ignore: 2,
  debug: 4,
  ext_info: 7,
} as const

/** Reads one payload from front to back. */
export class Reader {
  readonly #bytes: Buffer
  #at: number

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  #take(count: number): Buffer {
    const from = this.#at
    if (count > this.#bytes.length - from)
      throw new GatewayError("protocol_broken", {}, new Error("an SSH message is shorter than it says"))
    this.#at = from + count
    return this.#bytes.subarray(from, this.#at)
  }

  byte(): number {
    return this.#take(1).readUInt8()
  }

  bool(): boolean {
    return this.byte() !== 0
  }

  uint32(): number {
    return this.#take(4).readUInt32BE()
  }

  /** A `string` as its bytes: a view, not a copy. */
  bytes(): Buffer {
    return this.#take(this.uint32())
  }

  /** A `string` as text. */
  text(): string {
    return this.bytes().toString("utf8")
  }

  rest(): Buffer {
    return this.#take(this.#bytes.length - this.#at)
  }
}

export type Field = number | boolean | string | Buffer | { readonly uint64: bigint }

/** Fields one after the other: numbers as uint32, booleans as one byte, strings and buffers with their length before them. */
export function pack(...fields: readonly Field[]): Buffer {
  return Buffer.concat(fields.map(packField))
}

function packField(field: Field): Buffer {
  if (typeof field === "number") {
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeUInt32BE(field)
    return bytes
  }
  if (typeof field === "boolean") return Buffer.of(field ? 1 : 0)
  if (typeof field === "string" || Buffer.isBuffer(field)) {
    const bytes = Buffer.from(field as Buffer)
    return Buffer.concat([packField(bytes.length), bytes])
  }
  const bytes = Buffer.allocUnsafe(8)
  bytes.writeBigUInt64BE(field.uint64)
  return bytes
}

/** A request for a pseudo-terminal (RFC 4254, section 6.2). `modes` stays as the client encoded it. */
export interface Terminal {
  readonly term: string
  readonly columns: number
  readonly rows: number
  readonly width: number
  readonly height: number
  readonly modes: Buffer
}

export type Size = Pick<Terminal, "columns" | "rows" | "width" | "height">

export function readTerminal(data: Buffer): Terminal {
  const reader = new Reader(data)
  return { term: reader.text(), ...readSizeFrom(reader), modes: reader.bytes() }
}

export const packTerminal = ({ term, modes, ...size }: Terminal): Buffer => Buffer.concat([pack(term), packSize(size), pack(modes)])

export const readSize = (data: Buffer): Size => readSizeFrom(new Reader(data))

export const packSize = ({ columns, rows, width, height }: Size): Buffer => pack(columns, rows, width, height)

function readSizeFrom(reader: Reader): Size {
  return { columns: reader.uint32(), rows: reader.uint32(), width: reader.uint32(), height: reader.uint32() }
}

/** How a process on the target ended (RFC 4254, section 6.10). */
export type Exit = { readonly status: number } | { readonly signal: string; readonly core: boolean; readonly words: string }

export function readExit(type: string, data: Buffer): Exit | undefined {
  const reader = new Reader(data)
  if (type === "exit-status") return { status: reader.uint32() }
  if (type === "exit-signal") return { signal: reader.text(), core: reader.bool(), words: reader.text() }
  return undefined
}

/** The channel request that says it: its type and its data. */
export function packExit(exit: Exit): readonly [type: string, data: Buffer] {
  return "status" in exit ? ["exit-status", pack(exit.status)] : ["exit-signal", pack(exit.signal, exit.core, exit.words, "")]
}
