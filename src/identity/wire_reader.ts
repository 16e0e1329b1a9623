// Reads SSH's data types (RFC 4251, section 5). What is not there reads as undefined, and so does everything after it.

export class WireReader {
  readonly #data: Buffer
  #at = 0

  constructor(data: Buffer) {
    this.#data = data
  }

  get atEnd(): boolean {
    return this.#at === this.#data.length
  }

  /** How many bytes were read so far; Infinity after something that was not there. */
  get position(): number {
    return this.#at
  }

  byte(): number | undefined {
    return this.#at < this.#data.length ? this.#data[this.#at++] : this.#fail()
  }

  uint32(): number | undefined {
    return this.#fixed(4)?.readUInt32BE()
  }

  uint64(): bigint | undefined {
    return this.#fixed(8)?.readBigUInt64BE()
  }

  /** A `string`: a length of four bytes, then as many. */
  bytes(): Buffer | undefined {
    if (this.#at + 4 > this.#data.length) return this.#fail()
    const start = this.#at + 4
    const end = start + this.#data.readUInt32BE(this.#at)
    if (end > this.#data.length) return this.#fail()
    this.#at = end
    return this.#data.subarray(start, end)
  }

  text(): string | undefined {
    return this.bytes()?.toString("latin1")
  }

  #fixed(count: number): Buffer | undefined {
    if (this.#at + count > this.#data.length) return this.#fail()
    this.#at += count
    return this.#data.subarray(this.#at - count, this.#at)
  }

  #fail(): undefined {
    this.#at = Infinity
    return undefined
  }
}
