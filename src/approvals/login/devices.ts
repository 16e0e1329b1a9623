// The device flow (RFC 8628): a program without a browser shows a short code; its person types it on a page elsewhere, reads what is
// asked and from where, and says yes or no; the program, which asks again and again, gets its login.
import { randomInt } from "node:crypto"
import { z } from "zod"
import { deviceDonePage, devicePage, deviceQuestionPage } from "../../console/device_page.ts"
import type { Clock } from "../../core/clock.ts"
import { isLoginId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import { networkOf } from "../../core/network.ts"
import type { CodeKind, Codes } from "./codes.ts"
import { digestOf, type HeldLogin, type Logins, proofOf } from "./logins.ts"
import { clientOf } from "./oauth_clients.ts"
import { OAuthError } from "./oauth_error.ts"
import type { FormPage, PageAnswer, PageCall } from "../pages/page_calls.ts"
import type { PublicPlace } from "../public_place.ts"
import type { Store } from "../store.ts"
import { Tries } from "../tries.ts"
import { type Visitor, visitOf, type WebSessions } from "./web_session.ts"

export interface DevicesOptions {
  readonly store: Store
  readonly logins: Logins
  readonly sessions: WebSessions
  readonly codes: Codes
  readonly place: PublicPlace
  readonly clock: Clock
}

const detail = z.object({
  client_id: z.string(),
  from: z.string(),
  asked_at: z.number(),
  state: z.enum(["pending", "approved", "denied"]),
  /** The web login of the one who said yes. */
  login: z.string().nullable(),
  polled_at: z.number(),
  interval_ms: z.number(),
})
type Detail = z.infer<typeof detail>
const device: CodeKind<Detail> = { name: "device", life_ms: limits.device_code_ms, detail }

/** No vowels, so no words; nothing that looks like something else (RFC 8628, section 6.1). */
const alphabet = "BCDFGHJKLMNPQRSTVWXZ"

export interface DeviceAnswer {
  readonly device_code: string
  readonly user_code: string
  readonly verification_uri: string
  readonly verification_uri_complete: string
  readonly expires_in: number
  readonly interval: number
}

export class Devices {
  readonly #options: DevicesOptions
  readonly #begun: Tries
  readonly #typed: Tries

  constructor(options: DevicesOptions) {
    this.#options = options
    this.#begun = new Tries(options.clock, limits.device_codes_per_address_max)
    this.#typed = new Tries(options.clock, limits.user_code_tries_max)
  }

  /** Throws an OAuthError, or `too_many`. */
  async begin(form: URLSearchParams, from: string): Promise<DeviceAnswer> {
    const { store, codes, place, clock } = this.#options
    const client_id = form.get("client_id") ?? ""
    if (!clientOf(client_id)) throw new OAuthError("invalid_client")
    const network = networkOf(from.slice(0, from.lastIndexOf(":")).replaceAll(/[[\]]/g, ""))
    this.#begun.check(network)
    this.#begun.count(network)
    const typed = Array.from({ length: 8 }, () => alphabet[randomInt(alphabet.length)]).join("")
    const now = clock.now()
    const interval_ms = limits.device_poll_ms
    const asked: Detail = { client_id, from, asked_at: now, state: "pending", login: null, polled_at: now - interval_ms, interval_ms }
    const device_code = await store.change((change) => codes.make(change, device, asked, typed))
    const user_code = `${typed.slice(0, 4)}-${typed.slice(4)}`
    return {
      device_code,
      user_code,
      verification_uri: `${place.url}/device`,
      verification_uri_complete: `${place.url}/device?user_code=${user_code}`,
      expires_in: device.life_ms / 1000,
      interval: interval_ms / 1000,
    }
  }

  /** One question of the program. Throws an OAuthError until there is a login. */
  async poll(device_code: string, client_id: string): Promise<HeldLogin> {
    const { store, codes, logins, clock } = this.#options
    const answer = await store.change(async (change): Promise<HeldLogin | OAuthError> => {
      const now = clock.now()
      const found = await codes.look(change, device, device_code)
      if (found?.client_id !== client_id) return new OAuthError("expired_token", "there is no such code, or it is too old")
      const early = now - found.polled_at < found.interval_ms
      const interval_ms = early ? found.interval_ms + limits.device_poll_ms : found.interval_ms
      if (early || found.state === "pending") {
        await change.setCode({ digest: digestOf(device_code), detail: { ...found, polled_at: now, interval_ms } })
        return new OAuthError(early ? "slow_down" : "authorization_pending")
      }
      await codes.take(change, device, device_code)
      if (found.state === "denied") return new OAuthError("access_denied")
      const web = isLoginId(found.login) ? await logins.live(found.login, change) : undefined
      if (!web) return new OAuthError("access_denied", "the one who said yes has signed out since")
      const proof = proofOf(web)
      // What is for the targets is one token and nothing after it, so its login lasts no longer.
      const expires_at = clientOf(client_id)?.use === "targets" ? Math.min(proof.expires_at, now + limits.token_ms) : proof.expires_at
      return logins.begin(change, { ...proof, expires_at, kind: "device", from: found.from })
    })
    // Thrown out here, so that what was noted stays.
    if (answer instanceof OAuthError) throw answer
    return answer
  }

  /** The page to type the code on; with a code, what it asks for. Nothing changes by looking. */
  show = async ({ query, message }: PageCall): Promise<PageAnswer> => {
    const visitor = await this.#options.sessions.visitor(message)
    const typed = query.get("user_code")
    return typed === null || typed === "" ? { page: devicePage({ visit: this.#visit(visitor) }) } : this.#question(visitor, typed)
  }

  decide: FormPage = async ({ form, message }) => {
    const { store, codes, sessions } = this.#options
    const visitor = await sessions.visitor(message)
    sessions.checkForm(visitor, message, form.get("csrf"))
    const typed = form.get("user_code") ?? ""
    const decision = form.get("decision")
    if (decision !== "allow" && decision !== "deny") return this.#question(visitor, typed)
    this.#typed.check(visitor.caller.person.name)
    const done = await store.change(async (change) => {
      const found = await codes.lookCalled(change, device, normal(typed))
      if (found?.detail.state !== "pending") return false
      const state = decision === "allow" ? "approved" : "denied"
      await change.setCode({ digest: found.digest, detail: { ...found.detail, state, login: visitor.login.id } })
      return true
    })
    if (!done) return this.#unknown(visitor, typed)
    return { page: deviceDonePage({ visit: this.#visit(visitor), allowed: decision === "allow" }) }
  }

  async #question(visitor: Visitor, typed: string): Promise<PageAnswer> {
    const { store, codes } = this.#options
    this.#typed.check(visitor.caller.person.name)
    const found = await codes.lookCalled(store, device, normal(typed))
    if (found?.detail.state !== "pending") return this.#unknown(visitor, typed)
    const { client_id, from, asked_at } = found.detail
    const client = clientOf(client_id)?.called ?? "a program"
    return { page: deviceQuestionPage({ visit: this.#visit(visitor), user_code: shown(normal(typed)), client, from, asked_at }) }
  }

  #unknown(visitor: Visitor, typed: string): PageAnswer {
    this.#typed.count(visitor.caller.person.name)
    return {
      page: devicePage({
        visit: this.#visit(visitor),
        typed: typed.slice(0, 20),
        problem: "No program waits with this code. Codes are good for ten minutes.",
      }),
    }
  }

  #visit(visitor: Visitor) {
    return visitOf(visitor, this.#options.clock)
  }
}

/** As it was made, however it was typed. */
const normal = (typed: string): string =>
  typed
    .toUpperCase()
    .replaceAll(/[^A-Z]/g, "")
    .slice(0, 16)
const shown = (code: string): string => `${code.slice(0, 4)}-${code.slice(4)}`
