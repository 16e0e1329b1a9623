// The public keys that verify tokens, as this gateway knows them: asked of the approval service, kept, and asked again from time to
// time, so that a key that is distrusted is forgotten. While the service is away what was known goes on, so that tokens can still be
// checked: live sessions run to their own end.
import { errors, type JWTVerifyGetKey, type RemoteJWKSet } from "jose"
import type { Clock, Millis, Timer } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import { jwksKeys } from "../../identity/tokens.ts"
import type { Log } from "../../observe/log.ts"

export interface TokenKeyringOptions {
  /** Of the approval service. */
  readonly url: string
  readonly clock: Clock
  readonly log: Log
}

export class TokenKeyring {
  readonly #options: TokenKeyringOptions
  readonly #keys: RemoteJWKSet
  /** The `kid` of each; kept apart because it is looked at for every request, and jose copies the whole set to show it. */
  #known: ReadonlySet<string | undefined> = new Set()
  #again: Promise<void> | undefined
  #asked_at: Millis = -Infinity
  #timer: Timer | undefined
  #closed = false

  constructor(options: TokenKeyringOptions) {
    this.#options = options
    this.#keys = jwksKeys(options.url)
  }

  /** Asks from now on. The first token asks by itself. */
  start(): void {
    if (this.#closed) return
    this.#timer = this.#options.clock.after(limits.authorities_refresh_ms, () => void this.#ask().finally(() => this.start()))
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  /**
   * For the verifier. A key that is not known may have begun to sign since: it is asked for, a moment after the last question if need
   * be, and all who wait share the one answer, so that strangers' tokens do not become many questions.
   */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    try {
      return await this.#find(header, token)
    } catch (failure) {
      if (!(failure instanceof errors.JWKSNoMatchingKey)) throw failure
      await (this.#again ??= this.#soon().finally(() => (this.#again = undefined)))
      return this.#find(header, token)
    }
  }

  /** By its `kid`. */
  trusts(key: string): boolean {
    return this.#known.has(key)
  }

  /** The first search asks for the keys. */
  readonly #find: JWTVerifyGetKey = async (header, token) => {
    const asks = !this.#keys.fresh
    try {
      return await this.#keys(header, token)
    } finally {
      if (asks) this.#learn()
    }
  }

  #learn(): void {
    this.#known = new Set(this.#keys.jwks()?.keys.map(({ kid }) => kid))
  }

  async #soon(): Promise<void> {
    const { clock } = this.#options
    const wait_ms = this.#asked_at + limits.token_keys_ms_min - clock.now()
    if (wait_ms > 0) await new Promise<void>((resolve) => void clock.after(wait_ms, resolve))
    if (!this.#closed) await this.#ask()
  }

  async #ask(): Promise<void> {
    this.#asked_at = this.#options.clock.now()
    try {
      await this.#keys.reload()
      this.#learn()
    } catch (err) {
      if (!this.#closed)
        this.#options.log.warn({ err }, "the approval service does not say which keys verify tokens; what was known goes on")
    }
  }
}
