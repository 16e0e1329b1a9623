// When one connection's keys are worn, and whether a renewal takes too long. It counts and decides; the exchange itself is
// ssh2's, begun by `transport.ts`.
import type { Clock, Millis } from "../../src/core/clock.ts"
import { limits } from "../../src/core/limits.ts"

export interface KeyLife {
  /** In either direction. */
  readonly bytes_max: number
  readonly ms_max: number
  /** Of silence before the other side is asked whether it is there; left out: `ssh_keepalive_ms`. */
  readonly keepalive_ms?: number
}

export const keyLife: KeyLife = { bytes_max: limits.ssh_keys_bytes_max, ms_max: limits.ssh_keys_ms_max }

/** What a packet costs beyond its payload: without it, many that are empty would count for nothing. */
const packet_overhead_bytes = 32

export type Direction = "sent" | "received"

export class KeyRenewal {
  readonly #clock: Clock
  readonly #life: KeyLife
  #bytes: Record<Direction, number> = { sent: 0, received: 0 }
  /** Of the keys in use. */
  #since: Millis
  /** Of the exchange that is under way, as soon as it was noticed. */
  #exchanging: Millis | undefined

  constructor(clock: Clock, life: KeyLife) {
    this.#clock = clock
    this.#life = life
    this.#since = clock.now()
  }

  count(direction: Direction, payload_bytes: number): void {
    this.#bytes[direction] += payload_bytes + packet_overhead_bytes
  }

  /** The keys have been in use for as long, or for as much, as they should be (RFC 4253, section 9). */
  get worn(): boolean {
    const { sent, received } = this.#bytes
    return Math.max(sent, received) >= this.#life.bytes_max || this.#clock.now() - this.#since >= this.#life.ms_max
  }

  /** A peer that goes on talking and does not take part in the exchange. */
  get overdue(): boolean {
    const now = this.#clock.now()
    this.#exchanging ??= now
    return now - this.#exchanging > limits.ssh_exchange_ms_max
  }

  renewed(): void {
    this.#bytes = { sent: 0, received: 0 }
    this.#since = this.#clock.now()
    this.#exchanging = undefined
  }
}
