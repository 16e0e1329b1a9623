// The sessions of browsers: who looks at a page, and whether a form was sent from a page of ours. A session is a login of the kind
// "web"; its cookie holds the login's secret, so it ends where the login does, and sooner when nobody uses it.
import { createHmac, timingSafeEqual } from "node:crypto"
import type { IncomingMessage } from "node:http"
import type { CurrentConfig } from "../../config/current_config.ts"
import type { Visit } from "../../console/shell.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import { callerOf, type Callers } from "../callers.ts"
import type { Caller } from "../journal.ts"
import type { HeldLogin, Logins } from "./logins.ts"
import type { People } from "../people/people.ts"
import type { LoginRecord } from "../people/people_store.ts"
import { personOf } from "../policy.ts"
import { cookieValue, type PublicPlace } from "../public_place.ts"

/** Somebody signed in, in a browser. */
export interface Visitor {
  readonly caller: Caller
  readonly login: LoginRecord
  /** Goes with every form of theirs. */
  readonly csrf: string
}

/** As the pages know them. */
export function visitOf({ caller: { person }, csrf }: Visitor, clock: Clock): Visit {
  return { subject: person.name, csrf, now: clock.now(), oversees: person.admin || person.auditor }
}

export interface WebSessionsOptions {
  readonly current: CurrentConfig
  readonly people: People
  readonly logins: Logins
  readonly callers: Pick<Callers, "addressOf">
  readonly place: PublicPlace
  readonly clock: Clock
}

const cookie = "sluice-session"

export class WebSessions {
  readonly #options: WebSessionsOptions

  constructor(options: WebSessionsOptions) {
    this.#options = options
  }

  /** Throws `unauthenticated`: nobody is signed in, or not any more. */
  async visitor(message: IncomingMessage): Promise<Visitor> {
    const { current, people, logins, callers, place, clock } = this.#options
    const secret = cookieValue(message.headers.cookie, place.cookieName(cookie))
    const login = secret === undefined ? undefined : await logins.held(secret)
    if (secret === undefined || login?.kind !== "web") throw new GatewayError("unauthenticated")
    if (clock.now() - login.used_at > limits.web_idle_ms) throw new GatewayError("unauthenticated")
    const { policy } = current()
    const known = await people.find(login.subject)
    if (!known) throw new GatewayError("unauthenticated")
    await logins.touch(login)
    const caller = callerOf(personOf(known, policy), { login, until: login.expires_at, from: callers.addressOf(message) })
    return { caller, login, csrf: createHmac("sha256", secret).update("csrf").digest("base64url") }
  }

  /** Where somebody is sent to sign in, to come back to `back`, a path of ours. */
  signIn(back: string): string {
    return `/sign-in?return=${encodeURIComponent(this.#options.place.back(back))}`
  }

  /** Throws `forbidden` for a form that did not come from a page that this visitor was shown. */
  checkForm(visitor: Visitor, message: IncomingMessage, shown: string | null): void {
    this.checkOrigin(message)
    const [given, expected] = [Buffer.from(shown ?? ""), Buffer.from(visitor.csrf)]
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new GatewayError("forbidden")
  }

  /** The same where nobody is signed in yet: a browser says from where a form was sent. Throws `forbidden`. */
  checkOrigin({ headers }: IncomingMessage): void {
    const { origin, "sec-fetch-site": site } = headers
    const ours = origin === undefined ? site === undefined || site === "same-origin" : origin === this.#options.place.origin
    if (!ours) throw new GatewayError("forbidden")
  }

  /** What the browser keeps. */
  opened({ login, secret }: HeldLogin): string {
    const left_s = Math.max(0, Math.floor((login.expires_at - this.#options.clock.now()) / 1000))
    return this.#options.place.setCookie(cookie, secret.reveal(), left_s)
  }

  closed(): string {
    return this.#options.place.setCookie(cookie, "", 0)
  }
}
