// The public keys that verify tokens, as this gateway knows them: asked of the approval service, kept, and asked again from time to
// time, so that a key that is distrusted is forgotten. While the service is away what was known goes on, so that tokens can still be
// checked: live sessions run to their own end.
import type { JWTVerifyGetKey, RemoteJWKSet } from "jose"
import type { Clock, Timer } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import { jwksKeys } from "../identity/tokens.ts"
import type { Log } from "../observe/log.ts"

export interface TokenKeyringOptions {
  /** Of the approval service. */
  readonly url: string
  readonly clock: Clock
  readonly log: Log
}

export class TokenKeyring {
  readonly #options: TokenKeyringOptions
  readonly #keys: RemoteJWKSet
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

  /** For the verifier: one that is not known may have begun to sign since, and is asked for. */
  readonly find: JWTVerifyGetKey = (header, token) => this.#keys(header, token)

  /** By its `kid`. */
  trusts(key: string): boolean {
    return this.#keys.jwks()?.keys.some(({ kid }) => kid === key) ?? false
  }

  async #ask(): Promise<void> {
    try {
      await this.#keys.reload()
    } catch (err) {
      if (!this.#closed)
        this.#options.log.warn({ err }, "the approval service does not say which keys verify tokens; what was known goes on")
    }
  }
}
