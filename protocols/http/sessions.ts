// One session for everything that one person does on one target from one address, whichever connections it comes over: browsers
// open six, scripts a new one for each request. Finds it and opens it once. It does not read HTTP.
import { LRUCache } from "lru-cache"
import type { Clock } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import type { Identity } from "../../src/core/identity.ts"
import { limits } from "../../src/core/limits.ts"
import { Secret } from "../../src/core/secret.ts"
import type { Gate } from "../../src/gateway/contract.ts"
import { HttpSession, type Clients } from "./http_session.ts"
import type { IdentitySigner } from "./identity_jwt.ts"

/** What a token, or a certificate alone, opened, for as long as it may be used without asking again. */
export interface Admission {
  readonly token: string | undefined
  readonly kind: "token" | "cookie"
  readonly target: string
  readonly identity: Identity
  readonly http: HttpSession
}

export interface Applicant {
  readonly gate: Gate
  /** Undefined: the certificate says who it is. */
  readonly token: string | undefined
  /** Whether somebody presents it, or a browser sends it by itself. */
  readonly kind: "token" | "cookie"
  readonly target: string
  readonly certified?: Promise<Identity> | undefined
  /** A person who looks at pages, and can be shown one to ask on. */
  readonly asks: boolean
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

  /** Throws what `gate.identify` and `gate.open` throw, and `busy`. "may_ask": no grant, and there is a rule under which they can ask. */
  async admit(applicant: Applicant): Promise<Admission | "may_ask"> {
    const { token, kind, target } = applicant
    const identity = await this.#who(applicant)
    applicant.gate.settled()
    const http = await this.#session(applicant, identity).catch(async (failure: unknown) => {
      if (!applicant.asks || !(failure instanceof GatewayError) || failure.code !== "no_grant") throw failure
      if (!(await applicant.gate.offer({ identity, target, as: undefined }))) throw failure
      return undefined
    })
    if (!http) return "may_ask"
    await http.identify()
    return { token, kind, target, identity, http }
  }

  /** A certificate that was shown counts, also beside a token: it must be good, and the same person's. */
  async #who({ gate, token, kind, target, certified }: Applicant): Promise<Identity> {
    const first = await certified
    const shown = first && (this.#clock.now() >= first.until || !gate.stands(first)) ? await gate.certified() : first
    const identity = token === undefined ? shown : await this.#identify({ gate, token, kind, target })
    if (!identity || (shown && shown.subject !== identity.subject))
      throw new GatewayError("unauthenticated", {}, new Error("the certificate and the token are two people's"))
    return identity
  }

  /** Checks a signature once for a token and target; after that the identity is remembered as long as the token lasts. */
  async #identify({ gate, token, kind, target }: Omit<Applicant, "asks"> & { readonly token: string }): Promise<Identity> {
    const key = `${kind} ${target} ${token}`
    const known = this.#known.get(key)
    if (known && this.#clock.now() < known.until && gate.stands(known)) return known
    const identity = await gate.identify({ kind, token: new Secret(token), target })
    this.#known.set(key, identity)
    return identity
  }

  async #session({ gate, target }: Applicant, identity: Identity): Promise<HttpSession> {
    // The address is part of it, so that a recording's `client` is true of all that is in it.
    const address = gate.address.slice(0, gate.address.lastIndexOf(":"))
    const key = JSON.stringify([identity.subject, identity.groups, target, address])
    const live = this.#live.get(key)
    if (live?.serves(gate)) return live
    const opening = this.#opening.get(key)
    if (opening) return opening
    const opened = this.#open({ gate, identity, target, key }).finally(() => this.#opening.delete(key))
    this.#opening.set(key, opened)
    return opened
  }

  async #open({ gate, identity, target, key }: { gate: Gate; identity: Identity; target: string; key: string }): Promise<HttpSession> {
    this.#makeRoom()
    const clients: Clients = { inFlight: new Set(), connections: new Set(), onIdle: new Set() }
    const session = await gate.open({
      identity,
      target,
      as: undefined,
      client: {
        destroy() {
          for (const each of [...clients.inFlight, ...clients.connections]) each.destroy()
        },
      },
      idle: () => clients.inFlight.size === 0,
      async finished() {
        if (clients.inFlight.size > 0) await new Promise<void>((resolve) => clients.onIdle.add(resolve))
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
