// The public keys of all services that issue tokens on one store: each signs with its own, which never leaves its state folder, and
// shows the public half in the store, so that a token of one is good at the others. A key that no service has shown for longer than
// any token lives is nobody's any more.
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWK, type JWTVerifyGetKey } from "jose"
import type { Clock, Millis, Timer } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import type { Log } from "../observe/log.ts"
import type { Store } from "./store.ts"

export interface TokenKeysOptions {
  readonly store: Store
  /** The service's own public keys. */
  readonly own: JSONWebKeySet
  readonly clock: Clock
  readonly log: Log
}

export class TokenKeys {
  readonly #options: TokenKeysOptions
  #known: { readonly set: JSONWebKeySet; readonly find: JWTVerifyGetKey; readonly at: Millis } | undefined
  #timer: Timer | undefined
  #closed = false

  constructor(options: TokenKeysOptions) {
    this.#options = options
  }

  /** Shows the service's own keys from now on. Rejects when the store cannot be used. */
  async start(): Promise<void> {
    await this.#show()
    this.#again()
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  /** Those that may have signed a token that is good now. */
  async published(): Promise<JSONWebKeySet> {
    return (await this.#load()).set
  }

  /** For the verifier: a key that is not known may be of a service that has just begun, so the store is asked again, now and then. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const known = this.#known ?? (await this.#load())
    try {
      return await known.find(header, token)
    } catch (failure) {
      const late = this.#options.clock.now() - known.at >= limits.token_keys_ms_min
      if (!(failure instanceof errors.JWKSNoMatchingKey) || !late) throw failure
      return (await this.#load()).find(header, token)
    }
  }

  async #load() {
    const { store, own, clock } = this.#options
    const at = clock.now()
    const shown = (await store.tokenKeys()).filter(({ seen_at }) => at - seen_at < limits.token_key_ms)
    const mine = new Set(own.keys.map(({ kid }) => kid))
    const set = { keys: [...own.keys, ...shown.filter(({ kid }) => !mine.has(kid)).map(({ jwk }) => JSON.parse(jwk) as JWK)] }
    return (this.#known = { set, find: createLocalJWKSet(set), at })
  }

  async #show(): Promise<void> {
    const { store, own, clock } = this.#options
    await store.change(async (change) => {
      for (const key of own.keys)
        if (key.kid !== undefined) await change.showTokenKey({ kid: key.kid, jwk: JSON.stringify(key), seen_at: clock.now() })
    })
  }

  #again(): void {
    if (this.#closed) return
    this.#timer = this.#options.clock.after(limits.token_key_shown_ms, () => {
      void this.#show()
        .catch((err: unknown) => this.#options.log.warn({ err }, "could not show the keys that verify our tokens; trying again"))
        .finally(() => this.#again())
    })
  }
}
