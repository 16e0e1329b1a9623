// Our own cancel keys. A client never learns the target's: it gets a key of ours, and showing it from a new connection cancels
// what runs on its own session and on no other. Kept only while the session lives.
// Source: "Canceling Requests in Progress"; the key is 4 bytes on protocol 3.0 and up to 256 on 3.2.
import { randomBytes, randomInt, timingSafeEqual } from "node:crypto"
import type { Clock, Millis } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { protocol_3_2, type BackendKey } from "./codec.ts"

/** Cancels what runs on the session's target; settles when the target has been told. */
type Cancel = () => Promise<void>

interface Entry {
  readonly secret: Buffer
  readonly cancel: Cancel
  second: Millis
  spent: number
}

export class CancelKeys {
  readonly #clock: Clock
  readonly #entries = new Map<number, Entry>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * A new key; `forget` it at the session's end. Its process number is random too, not the target's: together with the
   * secret a client of 3.0 holds 63 bits that nobody guesses, and a client of 3.2 holds 287.
   */
  mint(version: number, cancel: Cancel): BackendKey {
    if (this.#entries.size >= limits.connections_max) throw new GatewayError("busy")
    let pid = randomInt(1, 2 ** 31)
    while (this.#entries.has(pid)) pid = randomInt(1, 2 ** 31)
    const secret = randomBytes(version === protocol_3_2 ? 32 : 4)
    this.#entries.set(pid, { secret, cancel, second: 0, spent: 0 })
    return { pid, secret }
  }

  forget(key: BackendKey): void {
    this.#entries.delete(key.pid)
  }

  /** Cancels, if the key is one of ours. The caller cannot tell, and must not tell the client, whether it was. */
  async use(key: BackendKey): Promise<void> {
    const entry = this.#entries.get(key.pid)
    if (!entry || entry.secret.length !== key.secret.length || !timingSafeEqual(entry.secret, key.secret)) return
    const second = Math.floor(this.#clock.now() / 1000)
    if (entry.second !== second) Object.assign(entry, { second, spent: 0 })
    if (++entry.spent > limits.postgres_cancels_per_second_max) return
    await entry.cancel()
  }
}
