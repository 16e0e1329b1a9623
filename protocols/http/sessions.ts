// One session for everything that one person does on one target from one address, whichever connections it comes over: browsers
// open six, scripts a new one for each request. Finds it, opens it once, ends it when it has been idle. It does not read HTTP.
import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import { LRUCache } from "lru-cache"
import type { Clock, Millis, Timer } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import type { Identity } from "../../src/core/identity.ts"
import { limits } from "../../src/core/limits.ts"
import { Secret } from "../../src/core/secret.ts"
import type { Gate, Session } from "../../src/gateway/contract.ts"
import type { IdentitySigner, SignedIdentity } from "./identity_jwt.ts"
import { openUpstream, type Upstream } from "./upstream.ts"

/** One exchange, or one upgraded socket, at work on a session. */
export interface InFlight {
  /** The session is over: from here nothing is forwarded. */
  stop(): void
  /** Tells the client why, if its protocol still can. Settles when it was told. */
  farewell(reason: GatewayError): Promise<void>
  /** Destroys the client's connection. */
  destroy(): void
}

/** The client's side of a session: what runs, and the connections it came over, which may be waiting for their next request. */
interface Clients {
  readonly inFlight: Set<InFlight>
  readonly connections: Set<Duplex>
}

export class HttpSession {
  readonly session: Session
  readonly upstream: Upstream
  readonly #clients: Clients
  readonly #clock: Clock
  readonly #signer: IdentitySigner
  #identity: SignedIdentity | undefined
  #ends = { at: Number.NaN, text: "" }
  #used_at: Millis
  #timer: Timer

  constructor(options: { session: Session; clients: Clients; clock: Clock; signer: IdentitySigner }) {
    const { session, clients, clock, signer } = options
    assert(session.target.protocol === "http", "the gate opens targets of this protocol alone")
    this.session = session
    this.upstream = openUpstream(session, session.target)
    this.#clients = clients
    this.#clock = clock
    this.#signer = signer
    this.#used_at = clock.now()
    this.#timer = clock.after(limits.http_session_idle_ms, () => this.#look())
    if (session.signal.aborted) this.#stop()
    else session.signal.addEventListener("abort", () => this.#stop(), { once: true })
  }

  get over(): boolean {
    return this.session.signal.aborted
  }

  /** When it last had an exchange; undefined while it has one. */
  get idle_since(): Millis | undefined {
    return this.#clients.inFlight.size > 0 ? undefined : this.#used_at
  }

  /** The grant's end, as RFC 3339 says it. */
  get access_ends(): string {
    const at = this.session.grant.ends_at
    if (at !== this.#ends.at) this.#ends = { at, text: new Date(at).toISOString() }
    return this.#ends.text
  }

  /** Throws `busy`. */
  enter(exchange: InFlight): void {
    if (this.#clients.inFlight.size >= limits.http_exchanges_max) throw new GatewayError("busy", { session: this.session.id })
    this.#clients.inFlight.add(exchange)
  }

  leave(exchange: InFlight): void {
    this.#clients.inFlight.delete(exchange)
    this.#used_at = this.#clock.now()
  }

  /** From now on `connection` ends with this session. */
  attach(connection: Duplex): void {
    this.#clients.connections.add(connection)
  }

  detach(connection: Duplex): void {
    this.#clients.connections.delete(connection)
  }

  /** The signed identity if it is fresh; `identify` makes it so. */
  identity(now: Millis): string | undefined {
    return this.#identity && now < this.#identity.fresh_until ? this.#identity.jwt : undefined
  }

  async identify(): Promise<void> {
    if (this.identity(this.#clock.now()) === undefined) this.#identity = await this.#signer.sign(this.session)
  }

  #stop(): void {
    this.#timer.cancel()
    for (const exchange of this.#clients.inFlight) exchange.stop()
    this.upstream.destroy(this.session.signal.reason as GatewayError)
  }

  #look(): void {
    const left_ms = (this.idle_since ?? this.#clock.now()) + limits.http_session_idle_ms - this.#clock.now()
    if (left_ms <= 0) return this.session.end()
    this.#timer = this.#clock.after(left_ms, () => this.#look())
  }
}

/** What a token opened, for as long as it may be used without asking again. */
export interface Admission {
  readonly token: string
  readonly target: string
  readonly until: Millis
  readonly http: HttpSession
}

export interface Applicant {
  readonly gate: Gate
  readonly token: string
  readonly target: string
}

export class HttpSessions {
  readonly #clock: Clock
  readonly #signer: IdentitySigner
  readonly #known = new LRUCache<string, Identity>({ max: limits.http_tokens_max })
  readonly #live = new Map<string, HttpSession>()
  readonly #opening = new Map<string, Promise<HttpSession>>()

  constructor({ clock, signer }: { readonly clock: Clock; readonly signer: IdentitySigner }) {
    this.#clock = clock
    this.#signer = signer
  }

  /** Throws what `gate.identify` and `gate.open` throw, and `busy`. */
  async admit(applicant: Applicant): Promise<Admission> {
    const { token, target } = applicant
    const identity = await this.#identify(applicant)
    applicant.gate.settled()
    const http = await this.#session(applicant, identity)
    await http.identify()
    return { token, target, until: identity.until, http }
  }

  /** Checks a signature once for a token and target; after that the identity is remembered as long as the token lasts. */
  async #identify({ gate, token, target }: Applicant): Promise<Identity> {
    const key = `${target} ${token}`
    const known = this.#known.get(key)
    if (known && this.#clock.now() < known.until) return known
    const identity = await gate.identify({ kind: "token", token: new Secret(token), target })
    this.#known.set(key, identity)
    return identity
  }

  async #session({ gate, target }: Applicant, identity: Identity): Promise<HttpSession> {
    // The address is part of it, so that a recording's `client` is true of all that is in it.
    const address = gate.address.slice(0, gate.address.lastIndexOf(":"))
    const key = JSON.stringify([identity.subject, identity.groups, target, address])
    const live = this.#live.get(key)
    if (live && !live.over) return live
    const opening = this.#opening.get(key)
    if (opening) return opening
    const opened = this.#open({ gate, identity, target, key }).finally(() => this.#opening.delete(key))
    this.#opening.set(key, opened)
    return opened
  }

  async #open({ gate, identity, target, key }: { gate: Gate; identity: Identity; target: string; key: string }): Promise<HttpSession> {
    this.#makeRoom()
    const clients: Clients = { inFlight: new Set(), connections: new Set() }
    const session = await gate.open({
      identity,
      target,
      as: undefined,
      client: {
        destroy() {
          for (const each of [...clients.inFlight, ...clients.connections]) each.destroy()
        },
      },
      async farewell(reason) {
        await Promise.all([...clients.inFlight].map((exchange) => exchange.farewell(reason)))
      },
    })
    const http = new HttpSession({ session, clients, clock: this.#clock, signer: this.#signer })
    this.#live.set(key, http)
    void session.ended.then(() => {
      if (this.#live.get(key) === http) this.#live.delete(key)
    })
    return http
  }

  #makeRoom(): void {
    if (this.#live.size + this.#opening.size < limits.http_sessions_max) return
    const idle = [...this.#live.values()].filter((http) => http.idle_since !== undefined)
    const oldest = idle.reduce<HttpSession | undefined>((a, b) => (a && (a.idle_since ?? 0) <= (b.idle_since ?? 0) ? a : b), undefined)
    if (!oldest) throw new GatewayError("busy")
    oldest.session.end()
  }
}
