// Our own cancel keys. A client never learns the target's: it gets a key of ours, and showing it from a new connection cancels
// what runs on its own session and on no other. Kept only while the session lives. A key says which of the gateway's processes
// holds it; one that comes to another is passed on unread.
// Source: "Canceling Requests in Progress"; the key is 4 bytes on protocol 3.0 and up to 256 on 3.2.
import { randomBytes, randomInt, timingSafeEqual } from "node:crypto"
import assert from "node:assert/strict"
import type { Clock, Millis } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Siblings } from "../../src/gateway/contract.ts"
import { protocol_3_2, type BackendKey } from "./codec.ts"

/** Cancels what runs on the session's target; settles when the target has been told. */
type Cancel = () => Promise<void>

interface Entry {
  readonly secret: Buffer
  readonly cancel: Cancel
  second: Millis
  spent: number
}

/** Of the 31 bits of a process number, those that say whose a key is. */
const owner_bits = 5
const number_bits = 31 - owner_bits
assert(limits.workers_max <= 2 ** owner_bits)

export class CancelKeys {
  readonly #clock: Clock
  readonly #siblings: Siblings
  readonly #entries = new Map<number, Entry>()

  constructor({ clock, siblings }: { readonly clock: Clock; readonly siblings: Siblings }) {
    this.#clock = clock
    this.#siblings = siblings
    siblings.onTold((words) => {
      const [pid, secret] = words.split(" ")
      void this.#useOwn({ pid: Number(pid), secret: Buffer.from(secret ?? "", "base64url") }).catch(() => {}) // as for a client: nobody is told
    })
  }

  get size(): number {
    return this.#entries.size
  }

  /**
   * A new key; `forget` it at the session's end. Its process number is random too, not the target's: together with the
   * secret a client of 3.0 holds 58 bits that nobody guesses, and a client of 3.2 holds 282.
   */
  mint(version: number, cancel: Cancel): BackendKey {
    if (this.#entries.size >= limits.connections_max) throw new GatewayError("busy")
    const owner = this.#siblings.index * 2 ** number_bits
    let pid = owner + randomInt(1, 2 ** number_bits)
    while (this.#entries.has(pid)) pid = owner + randomInt(1, 2 ** number_bits)
    const secret = randomBytes(version === protocol_3_2 ? 32 : 4)
    this.#entries.set(pid, { secret, cancel, second: 0, spent: 0 })
    return { pid, secret }
  }

  forget(key: BackendKey): void {
    this.#entries.delete(key.pid)
  }

  /** Cancels, if the key is one of ours. The caller cannot tell, and must not tell the client, whether it was. */
  async use(key: BackendKey): Promise<void> {
    const owner = key.pid >>> number_bits
    if (owner === this.#siblings.index) return this.#useOwn(key)
    if (owner < this.#siblings.count) this.#siblings.tell(owner, `${key.pid} ${key.secret.toString("base64url")}`)
  }

  async #useOwn(key: BackendKey): Promise<void> {
    const entry = this.#entries.get(key.pid)
    if (!entry || entry.secret.length !== key.secret.length || !timingSafeEqual(entry.secret, key.secret)) return
    const second = Math.floor(this.#clock.now() / 1000)
    if (entry.second !== second) Object.assign(entry, { second, spent: 0 })
    if (++entry.spent > limits.postgres_cancels_per_second_max) return
    await entry.cancel()
  }
}
