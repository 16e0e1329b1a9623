// One HTTP session as the protocol sees it: the core's session, the target's connections, the client's side of it, and the
// identity that applications are shown. It ends itself when it has been idle; who shares it is `sessions.ts`'s work.
import assert from "node:assert/strict"
import type { Duplex } from "node:stream"
import type { Clock, Millis, Timer } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
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
export interface Clients {
  readonly inFlight: Set<InFlight>
  readonly connections: Set<Duplex>
  /** Called when the last one in flight has left. */
  readonly onIdle: Set<() => void>
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

  /** Whether the next exchange is this session's. */
  serves(gate: Gate): boolean {
    return !this.over && gate.prefers(this.session)
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
    if (this.#clients.inFlight.size > 0) return
    for (const tell of this.#clients.onIdle) tell()
    this.#clients.onIdle.clear()
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
