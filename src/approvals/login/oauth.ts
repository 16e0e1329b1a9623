// The service as an OAuth 2.0 authorization server for programs on people's machines: the code flow to a loopback port (RFC 8252,
// PKCE: RFC 7636), the device flow (RFC 8628), and rotating refresh tokens. The programs are public clients: nothing in them is
// secret. The person says yes on a page; what comes out is a login of its own and short-lived tokens.
import { createHash, timingSafeEqual } from "node:crypto"
import { z } from "zod"
import { consentPage } from "../../console/consent_page.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { isLoginId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { TokenIssuer } from "../../identity/tokens.ts"
import type { CodeKind, Codes } from "./codes.ts"
import type { Devices } from "./devices.ts"
import { type HeldLogin, type Logins, proofOf } from "./logins.ts"
import { clientOf, type OAuthClient } from "./oauth_clients.ts"
import { OAuthError } from "./oauth_error.ts"
import type { FormPage, PageAnswer, PageCall } from "../pages/page_calls.ts"
import type { PublicPlace } from "../public_place.ts"
import { seconds } from "./sign_in.ts"
import type { Store } from "../store.ts"
import { type Visitor, visitOf, type WebSessions } from "./web_session.ts"

export interface OAuthOptions {
  readonly store: Store
  readonly logins: Logins
  readonly sessions: WebSessions
  readonly codes: Codes
  readonly devices: Devices
  readonly issuer: TokenIssuer
  readonly place: PublicPlace
  readonly clock: Clock
}

const authorization: CodeKind<{ login: string; client_id: string; redirect_uri: string; challenge: string }> = {
  name: "authorization",
  life_ms: limits.authorization_code_ms,
  detail: z.object({ login: z.string(), client_id: z.string(), redirect_uri: z.string(), challenge: z.string() }),
}

export interface TokenAnswer {
  readonly access_token: string
  readonly token_type: "Bearer"
  readonly expires_in: number
  /** Not of one that is for the targets. */
  readonly refresh_token?: string
  /** Ours: the end of the login, in milliseconds since the Unix epoch. */
  readonly login_expires_at: number
}

export class OAuth {
  readonly #options: OAuthOptions

  constructor(options: OAuthOptions) {
    this.#options = options
  }

  /** RFC 8414. */
  metadata(): Record<string, unknown> {
    const { url } = this.#options.place
    return {
      issuer: url,
      authorization_endpoint: `${url}/oauth/authorize`,
      token_endpoint: `${url}/oauth/token`,
      device_authorization_endpoint: `${url}/oauth/device_authorization`,
      jwks_uri: `${url}/oauth/jwks.json`,
      response_types_supported: ["code"],
      response_modes_supported: ["query"],
      grant_types_supported: ["authorization_code", "refresh_token", device_grant],
      code_challenge_methods_supported: ["S256"],
      token_endpoint_auth_methods_supported: ["none"],
      authorization_response_iss_parameter_supported: true,
      scopes_supported: [],
    }
  }

  /** Asks the person. Throws where the answer could go to somebody else; other mistakes are told to the program. */
  authorize = async (call: PageCall): Promise<PageAnswer> => {
    const { query, message } = call
    const asked = readAsked(query)
    const wrong = mistake(asked, query)
    if (wrong !== undefined) return { to: this.#back(asked, { error: "invalid_request", error_description: wrong }) }
    const visitor = await this.#fresh(message, query)
    if (typeof visitor === "string") return { to: visitor }
    const page = consentPage({
      visit: visitOf(visitor, this.#options.clock),
      client: asked.client,
      asked: { ...asked.kept },
    })
    return { page, formsTo: new URL(asked.redirect_uri).origin }
  }

  decide: FormPage = async ({ form, message }) => {
    const { sessions, store, codes } = this.#options
    const visitor = await sessions.visitor(message)
    sessions.checkForm(visitor, message, form.get("csrf"))
    const asked = readAsked(form)
    if (mistake(asked, form) !== undefined) throw new GatewayError("invalid")
    const formsTo = new URL(asked.redirect_uri).origin
    if (form.get("decision") !== "allow") return { to: this.#back(asked, { error: "access_denied" }), formsTo }
    const { client_id, redirect_uri, challenge } = asked
    const code = await store.change((change) =>
      codes.make(change, authorization, { login: visitor.login.id, client_id, redirect_uri, challenge }),
    )
    return { to: this.#back(asked, { code }), formsTo }
  }

  /** Throws an OAuthError (RFC 6749, section 5.2). */
  async token(form: URLSearchParams, from: string): Promise<TokenAnswer> {
    const client_id = form.get("client_id") ?? ""
    const client = clientOf(client_id)
    if (!client) throw new OAuthError("invalid_client")
    const grant_type = form.get("grant_type") ?? ""
    if (client.use === "targets" && grant_type !== device_grant) throw new OAuthError("unauthorized_client")
    switch (grant_type) {
      case "authorization_code":
        return this.#answer(await this.#redeem(form, client_id, from), client)
      case "refresh_token":
        try {
          return await this.#answer(await this.#options.logins.refresh(form.get("refresh_token") ?? "", from), client)
        } catch (failure) {
          throw failure instanceof GatewayError && failure.code === "login_failed"
            ? new OAuthError("invalid_grant", failure.message)
            : failure
        }
      case device_grant:
        return this.#answer(await this.#options.devices.poll(form.get("device_code") ?? "", client_id), client)
      default:
        throw new OAuthError("unsupported_grant_type")
    }
  }

  /** The visitor, or where to send them: to sign in, or to prove anew who they are. Whoever comes back from that is not sent twice. */
  async #fresh(message: PageCall["message"], query: URLSearchParams): Promise<Visitor | string> {
    const { sessions, clock } = this.#options
    const visitor = await sessions.visitor(message).catch(() => undefined)
    const max_age_s = seconds(query.get("max_age"))
    const acr = query.get("acr_values")
    const now = clock.now()
    const back = query.get("proven") !== null && visitor && now - visitor.login.created_at <= limits.login_link_ms
    const old = max_age_s !== undefined && now - (visitor?.login.auth_time ?? -Infinity) > max_age_s * 1000
    const weak = acr !== null && visitor?.login.acr !== acr
    if (visitor && (back || (!old && !weak))) return visitor
    const here = new URLSearchParams(query)
    here.set("proven", "1")
    const wanted = `${max_age_s === undefined ? "" : `&max_age=${max_age_s}`}${acr ? `&acr=${encodeURIComponent(acr)}` : ""}`
    return `${sessions.signIn(`/oauth/authorize?${here.toString()}`)}${wanted}`
  }

  async #redeem(form: URLSearchParams, client_id: string, from: string): Promise<HeldLogin> {
    const { store, codes, logins } = this.#options
    const held = await store.change(async (change) => {
      const found = await codes.take(change, authorization, form.get("code") ?? "")
      const verifier = form.get("code_verifier") ?? ""
      const sound =
        found !== undefined &&
        found.client_id === client_id &&
        found.redirect_uri === form.get("redirect_uri") &&
        /^[A-Za-z0-9._~-]{43,128}$/.test(verifier) &&
        same(createHash("sha256").update(verifier).digest("base64url"), found.challenge)
      const web = sound && isLoginId(found.login) ? await logins.live(found.login, change) : undefined
      return web && logins.begin(change, { ...proofOf(web), kind: "cli", from })
    })
    // The code is gone in each case: whoever guesses at its verifier has one try.
    if (!held) throw new OAuthError("invalid_grant")
    return held
  }

  async #answer({ login, secret }: HeldLogin, { use }: OAuthClient): Promise<TokenAnswer> {
    const { issuer, clock } = this.#options
    const { token, expires_at } = await issuer.issue({ subject: login.subject, via: login.via, use, login })
    return {
      access_token: token,
      token_type: "Bearer",
      expires_in: Math.max(0, Math.floor((expires_at - clock.now()) / 1000)),
      ...(use === "api" ? { refresh_token: secret.reveal() } : {}),
      login_expires_at: login.expires_at,
    }
  }

  #back({ redirect_uri, state }: Asked, answer: Readonly<Record<string, string>>): string {
    const url = new URL(redirect_uri)
    for (const [name, value] of Object.entries({ ...answer, ...(state === null ? {} : { state }), iss: this.#options.place.url }))
      url.searchParams.set(name, value)
    return url.href
  }
}

export const device_grant = "urn:ietf:params:oauth:grant-type:device_code"

interface Asked {
  readonly client_id: string
  /** What people are told the client is. */
  readonly client: string
  readonly redirect_uri: string
  readonly state: string | null
  readonly challenge: string
  /** What the form on the page sends back. */
  readonly kept: Readonly<Record<string, string>>
}

/** Throws `invalid` for a program or an address that the answer must not go to. */
function readAsked(params: URLSearchParams): Asked {
  const client_id = params.get("client_id") ?? ""
  const client = clientOf(client_id)
  if (client?.use !== "api") throw new GatewayError("invalid", { what: "no program is known by this client_id" })
  const redirect_uri = params.get("redirect_uri") ?? ""
  // RFC 8252, section 7.3: the loopback interface by its address, at any port; "localhost" may be resolved to somebody else.
  if (!/^http:\/\/(127\.0\.0\.1|\[::1\]):\d{1,5}(\/[A-Za-z0-9/_-]{0,64})?$/.test(redirect_uri) || !URL.canParse(redirect_uri))
    throw new GatewayError("invalid", { what: "the redirect_uri is not one of this machine's own, such as http://127.0.0.1:52000/" })
  const names = ["client_id", "redirect_uri", "response_type", "code_challenge", "code_challenge_method", "state"]
  const kept = Object.fromEntries(names.flatMap((name) => (params.get(name) === null ? [] : [[name, params.get(name) ?? ""]])))
  return { client_id, client: client.called, redirect_uri, state: params.get("state"), challenge: params.get("code_challenge") ?? "", kept }
}

/** What is wrong with the rest, in words for the program. */
function mistake({ challenge, state }: Asked, params: URLSearchParams): string | undefined {
  if (params.get("response_type") !== "code") return "response_type must be code"
  if (params.get("code_challenge_method") !== "S256") return "code_challenge_method must be S256"
  if (!/^[A-Za-z0-9_-]{43}$/.test(challenge)) return "code_challenge must be a SHA-256 in base64url"
  if (state !== null && state.length > 512) return "state is too long"
  return undefined
}

const same = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
