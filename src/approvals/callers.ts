// Who calls: a person with a token of their own, or a gateway with its key. The credential stands in the Authorization header and
// nowhere else: a cookie or a token in the URL is not looked at, so another site cannot spend one.
import { createHash, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { Config } from "../config/config.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import type { Secret } from "../core/secret.ts"
import type { TokenVerifier } from "../identity/tokens.ts"
import type { Caller } from "./journal.ts"
import { personOf } from "./policy.ts"

export interface CallersOptions {
  readonly config: Config
  readonly verifier: TokenVerifier
  readonly gatewayKey: Secret
}

export class Callers {
  readonly #config: Config
  readonly #verifier: TokenVerifier
  readonly #gatewayDigest: Buffer

  constructor({ config, verifier, gatewayKey }: CallersOptions) {
    this.#config = config
    this.#verifier = verifier
    this.#gatewayDigest = digest(gatewayKey.reveal())
  }

  /** Throws `unauthenticated`. Groups and the very existence of the user are the config's word now, not the token's of then. */
  async person(message: IncomingMessage): Promise<Caller> {
    const { subject } = await this.#verifier.verify(bearer(message), { use: "api" })
    const user = this.#config.identity.users.find(({ name }) => name === subject)
    if (!user) throw new GatewayError("unauthenticated")
    return { person: personOf(user, this.#config.policy), proof: null, from: addressOf(message) }
  }

  /** Throws `unauthenticated`. */
  gateway(message: IncomingMessage): void {
    if (!timingSafeEqual(digest(bearer(message)), this.#gatewayDigest)) throw new GatewayError("unauthenticated")
  }
}

/** The peer of the connection, as host:port; what a header claims does not count. */
export function addressOf({ socket }: IncomingMessage): string {
  const host = (socket.remoteAddress ?? "unknown").replace(/^::ffff:(?=\d+\.)/, "")
  return `${host.includes(":") ? `[${host}]` : host}:${socket.remotePort ?? 0}`
}

/** RFC 6750, section 2.1. */
function bearer({ headers: { authorization = "" } }: IncomingMessage): string {
  const [, token] = /^Bearer ([A-Za-z0-9._~+/=-]+)$/i.exec(authorization.slice(0, limits.token_bytes_max + 16)) ?? []
  if (token === undefined || authorization.length > limits.token_bytes_max + 16) throw new GatewayError("unauthenticated")
  return token
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()
