// Who calls: a person with a token of their own, or a gateway with its key or signature. The credential stands in the Authorization header and
// nowhere else: a cookie or a token in the URL is not looked at, so another site cannot spend one.
import type { IncomingMessage } from "node:http"
import type { CurrentConfig } from "../config/current_config.ts"
import type { Millis } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import { passed_on } from "../api/passed_on.ts"
import { contentOfCall, contentPassedOn, queryOf } from "../api/signed_call.ts"
import { limits } from "../core/limits.ts"
import type { AssertedCall } from "../identity/gateway_assertion.ts"
import type { TokenVerifier } from "../identity/tokens.ts"
import type { GatewayCaller, GatewayCredentials } from "./gateways/gateway_credentials.ts"
import type { Caller } from "./journal.ts"
import type { Logins } from "./login/logins.ts"
import { type People, provenNow } from "./people/people.ts"
import type { LoginRecord } from "./people/people_store.ts"
import { type Person, personOf } from "./policy.ts"

export interface CallersOptions {
  readonly current: CurrentConfig
  readonly people: People
  readonly logins: Logins
  readonly verifier: TokenVerifier
  readonly gateways: GatewayCredentials
}

export class Callers {
  readonly #current: CurrentConfig
  readonly #people: People
  readonly #logins: Logins
  readonly #verifier: TokenVerifier
  readonly #gateways: GatewayCredentials
  /** The clients that gateways have passed on, by their calls. */
  readonly #passedOn = new WeakMap<IncomingMessage, string>()
  /** Gateways whose calls' bodies were not looked at yet. */
  readonly #unread = new WeakMap<IncomingMessage, GatewayCaller>()

  constructor({ current, people, logins, verifier, gateways }: CallersOptions) {
    this.#current = current
    this.#people = people
    this.#logins = logins
    this.#verifier = verifier
    this.#gateways = gateways
  }

  /** Throws `unauthenticated`. Groups, the very existence of the user and the end of a login are our word now, not the token's of then. */
  async person(message: IncomingMessage): Promise<Caller> {
    const { subject, login: id, expires_at, via } = await this.#verifier.verify(bearer(message), { use: "api" })
    const { policy } = this.#current()
    const [known, login] = await Promise.all([this.#people.find(subject), id && this.#logins.live(id)])
    if (!known || !provenNow(known, via) || (id !== undefined && login?.subject !== subject)) throw new GatewayError("unauthenticated")
    return callerOf(personOf(known, policy), { login, until: expires_at, from: this.addressOf(message) })
  }

  /** Looks whether a gateway passes somebody on: before `addressOf` is asked. */
  async readPassedOn(message: IncomingMessage): Promise<void> {
    const { [passed_on.key]: key, [passed_on.client]: client } = message.headers
    if (typeof key !== "string" || typeof client !== "string" || key.length > limits.token_bytes_max) return
    const shown = { ...callOf(message), content: contentPassedOn(client), passedOn: true } as const
    if (await this.#gateways.verify(key, shown)) this.#passedOn.set(message, client.slice(0, limits.address_chars_max))
  }

  /** Of the client: of the one whom a gateway passes on, if it showed that it is a gateway, else the peer's. */
  readonly addressOf = (message: IncomingMessage): string => this.#passedOn.get(message) ?? addressOf(message)

  /** Before the body, which must be looked at with `checkBody` before anything is done. Throws `unauthenticated`. */
  async gateway(message: IncomingMessage): Promise<GatewayCaller> {
    const caller = await this.#gateways.verify(bearer(message), callOf(message))
    if (!caller) throw new GatewayError("unauthenticated")
    this.#unread.set(message, caller)
    return caller
  }

  /** Whether a gateway vouches for this body, "" for none, of its call; asked again, or of anybody else, nothing is looked at. Throws `unauthenticated`. */
  checkBody(message: IncomingMessage, body: string): void {
    const caller = this.#unread.get(message)
    this.#unread.delete(message)
    if (!caller || caller.covers(contentOfCall(queryOf(message.url ?? ""), body))) return
    this.#gateways.refused(caller.name ?? "", new Error("its query or body are not what was signed"))
    throw new GatewayError("unauthenticated")
  }
}

export interface CallerFacts {
  readonly login: LoginRecord | undefined
  /** The end of what was shown; a login's own end counts instead where there is one. */
  readonly until: Millis
  readonly from: string
}

/** Somebody at work, with what is known of the login behind it. */
export function callerOf(person: Person, { login, until, from }: CallerFacts): Caller {
  const proof = login && login.auth_time !== null ? { at: login.auth_time, acr: login.acr } : null
  return { person, proof, login: login?.id ?? null, until: login?.expires_at ?? until, from }
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

const callOf = ({ method = "", url = "" }: IncomingMessage): AssertedCall => ({ method, path: url.split("?")[0] ?? "" })
