// Chance that can be had again: the same seed makes the same choices, so that what a fuzz test finds is found the next time too.

export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  /** 0 to 1, without 1 (mulberry32). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number from 0, below `end`. */
  below(end: number): number {
    return Math.floor(this.next() * end)
  }

  chance(share: number): boolean {
    return this.next() < share
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T
  }

  bytes(count: number): Buffer {
    return Buffer.from(Array.from({ length: count }, () => this.below(256)))
  }

  /** `bytes` in pieces of chance sizes. */
  pieces(bytes: Buffer, size_max: number): Buffer[] {
    const found: Buffer[] = []
    for (let at = 0; at < bytes.length;) {
      const size = 1 + this.below(size_max)
      found.push(bytes.subarray(at, at + size))
      at += size
    }
    return found
  }
}
