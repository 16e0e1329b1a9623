// Signing in to the pages: by the company's provider, or, for somebody who has an SSH key here, by a link that `ssh gateway login`
// prints. It makes web logins and ends them; what they open is for others to say.
import { z } from "zod"
import { askWith } from "../../config/ways_in.ts"
import type { CurrentConfig } from "../../config/current_config.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { CompanyLogin } from "../../identity/oidc.ts"
import type { Log } from "../../observe/log.ts"
import { linkPage, signedOutPage, signInPage } from "../../console/sign_in_page.ts"
import type { CodeKind, Codes } from "./codes.ts"
import { byPerson } from "../journal.ts"
import { LoginFlows } from "./login_flow.ts"
import type { HeldLogin, Logins } from "./logins.ts"
import type { FormPage, PageAnswer, PageCall } from "../pages/page_calls.ts"
import type { People } from "../people/people.ts"
import { cookieValue, type PublicPlace } from "../public_place.ts"
import type { Store } from "../store.ts"
import type { WebSessions } from "./web_session.ts"

export interface SignInOptions {
  readonly current: CurrentConfig
  readonly store: Store
  readonly people: People
  readonly logins: Logins
  readonly sessions: WebSessions
  readonly codes: Codes
  readonly flows: LoginFlows
  readonly place: PublicPlace
  /** Undefined: people have SSH keys alone. */
  readonly company: () => CompanyLogin | undefined
  readonly clock: Clock
  readonly log: Log
}

const link: CodeKind<{ subject: string; via: string }> = {
  name: "link",
  life_ms: limits.login_link_ms,
  detail: z.object({ subject: z.string(), via: z.string() }),
}

export class SignIn {
  readonly #options: SignInOptions

  constructor(options: SignInOptions) {
    this.#options = options
  }

  /**
   * To the provider and back to `return`. `max_age`: a proof no older than so many seconds; `acr`: of this class.
   */
  begin = async ({ query, message }: PageCall): Promise<PageAnswer> => {
    const { current, company: companyNow, flows, place, sessions, clock } = this.#options
    const back = place.back(query.get("return") ?? "/")
    const wanted = { max_age_s: seconds(query.get("max_age")), acr: query.get("acr")?.slice(0, 255) || undefined }
    const visitor = await sessions.visitor(message).catch(() => undefined)
    const proven_at = visitor?.login.auth_time ?? -Infinity
    const fresh = wanted.max_age_s === undefined || clock.now() - proven_at <= wanted.max_age_s * 1000
    const strong = wanted.acr === undefined || visitor?.login.acr === wanted.acr
    if (visitor && fresh && strong) return { to: back }
    const company = companyNow()
    if (!company) {
      // The link comes by another way, and leads back to where this browser wanted to go.
      const cookies = [place.setCookie(wanted_page, encodeURIComponent(back), limits.login_flow_ms / 1000)]
      return { page: signInPage({ line: `${askWith(current(), undefined)} login` }), cookies }
    }
    const { url, flow } = await company.begin({ redirect_uri: `${place.url}/sign-in/callback`, ...wanted })
    return { to: url.href, cookies: [await flows.keep({ ...flow, back })] }
  }

  /** Back from the provider. */
  callback = async (call: PageCall): Promise<PageAnswer> => {
    const { company: companyNow, flows, place, store, people, logins, sessions, clock, current, log } = this.#options
    const { query, message, from } = call
    const state = query.get("state") ?? ""
    const flow = await flows.find(message.headers.cookie, state)
    const company = companyNow()
    if (!company || !flow)
      throw new GatewayError("login_failed", { what: "this login was begun in another browser, or too long ago; sign in again" })
    const url = new URL(`${place.url}/sign-in/callback?${query.toString()}`)
    const before = await sessions.visitor(message).catch(() => undefined)
    const proven = await company.finish(url, flow)
    const held = await store.change(async (change) => {
      const now = clock.now()
      const known = await people.arrive(change, proven, { from, now })
      const expires_at = now + (current().identity.oidc?.login_for_ms ?? 0)
      const { sub, iss, auth_time, acr } = proven
      return logins.begin(change, { subject: known.name, sub, kind: "web", via: `oidc ${iss}`, auth_time, acr, expires_at, from })
    })
    // A new login, a new secret: one that somebody put into this browser before is worth nothing.
    if (before) await logins.end(before.login.id, { actor: byPerson(before.caller), why: "signed in again" })
    log.info({ subject: held.login.subject, login: held.login.id, from }, "signed in")
    return { to: flow.back, cookies: [sessions.opened(held), flows.forget(state)] }
  }

  /** For a gateway: a URL that signs `subject`, whom it has identified, in to the pages, once. */
  async linkFor(subject: string, via: string): Promise<{ readonly url: string; readonly expires_at: number }> {
    const { store, codes, place, clock } = this.#options
    const code = await store.change((change) => codes.make(change, link, { subject, via }))
    return { url: `${place.url}/sign-in/link?code=${code}`, expires_at: clock.now() + link.life_ms }
  }

  /** The link itself changes nothing: previews and scanners open links too. */
  showLink = async ({ query }: PageCall): Promise<PageAnswer> => {
    const { store, codes } = this.#options
    const code = query.get("code") ?? ""
    const found = await codes.look(store, link, code)
    if (!found) throw usedUp()
    return { page: linkPage({ code, subject: found.subject }) }
  }

  takeLink: FormPage = async ({ form, message, from }) => {
    const { store, codes, people, logins, sessions, place, clock } = this.#options
    sessions.checkOrigin(message)
    const before = await sessions.visitor(message).catch(() => undefined)
    const held = await store.change(async (change): Promise<HeldLogin | undefined> => {
      const found = await codes.take(change, link, form.get("code") ?? "")
      const known = found && (await people.find(found.subject, change))
      if (!known) return undefined
      const now = clock.now()
      const login = { subject: known.name, sub: null, kind: "web", via: found.via, auth_time: now, acr: null } as const
      return logins.begin(change, { ...login, expires_at: now + limits.key_login_ms, from })
    })
    if (!held) throw usedUp()
    if (before) await logins.end(before.login.id, { actor: byPerson(before.caller), why: "signed in again" })
    const back = place.back(decoded(cookieValue(message.headers.cookie, place.cookieName(wanted_page))))
    return { to: back, cookies: [sessions.opened(held), place.setCookie(wanted_page, "", 0)] }
  }

  signOut: FormPage = async ({ form, message }) => {
    const { sessions, logins } = this.#options
    const visitor = await sessions.visitor(message)
    sessions.checkForm(visitor, message, form.get("csrf"))
    await logins.end(visitor.login.id, { actor: byPerson(visitor.caller), why: "signed out" })
    return { to: "/signed-out", cookies: [sessions.closed()] }
  }

  signedOut = async (): Promise<PageAnswer> => ({ page: signedOutPage() })
}

/** The cookie of a browser that is sent to sign in by a link. */
const wanted_page = "sluice-wanted"

function decoded(value: string | undefined): string | undefined {
  try {
    return value === undefined ? undefined : decodeURIComponent(value)
  } catch {
    return undefined // not what we put there
  }
}

const usedUp = (): GatewayError =>
  new GatewayError("login_failed", { what: "this link was used already, or is too old; ask for a new one" })

/** A whole number of seconds, up to a year; undefined for anything else. */
export const seconds = (text: string | null): number | undefined => (text !== null && /^\d{1,8}$/.test(text) ? Number(text) : undefined)
