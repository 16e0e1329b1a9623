// Company login: Sluice as a client of an OpenID Connect provider (OpenID Connect Core 1.0; code flow with PKCE, state and nonce).
// It owns the conversation with the provider and every check of what comes back; who that is here, and what a login is, is
// decided by those who ask.
import { customFetch as joseFetch, createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from "jose"
import * as oidc from "openid-client"
import { Agent, fetch as undiciFetch } from "undici"
import type { OidcConfig } from "../config/config.ts"
import type { Clock, Millis } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import { type LoggedOut, loggedOutOf } from "./logout_token.ts"

/** Asymmetric ones: with "none" anybody, with HS* everybody who knows the client's secret, could be anyone. */
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]

/** What must be known again when the person comes back from the provider; nobody else may know it. */
export interface LoginFlow {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
  /** The provider was asked for a proof no older than this. */
  readonly max_age_s?: number | undefined
}

export interface Wanted {
  /** Where the provider sends the person back to. */
  readonly redirect_uri: string
  /** A proof no older than this: the provider asks for the password again if it must. */
  readonly max_age_s?: number | undefined
  /** The authentication context class that is needed. */
  readonly acr?: string | undefined
}

/** A person as the provider knows them, checked. */
export interface CompanyPerson {
  readonly iss: string
  readonly sub: string
  /** The claims of the ID token, and of the provider's user info where the token has not got them. */
  readonly claims: Readonly<Record<string, unknown>>
  /** When they proved who they are; null: the provider does not say. */
  readonly auth_time: Millis | null
  readonly acr: string | null
}

export interface CompanyLogin {
  /** Where to send the person. Throws `provider_away`. */
  begin(wanted: Wanted): Promise<{ readonly url: URL; readonly flow: LoginFlow }>
  /** `callback`: the URL they came back with, exactly. Throws `login_failed`, `provider_away`. */
  finish(callback: URL, flow: LoginFlow): Promise<CompanyPerson>
  /** Who has logged out at the provider, by a token that it sends. Throws `login_failed`, `provider_away`. */
  loggedOut(token: string): Promise<LoggedOut>
  close(): Promise<void>
}

interface Provider {
  readonly configuration: oidc.Configuration
  readonly keys: JWTVerifyGetKey
  readonly asked_at: Millis
}

export function createCompanyLogin({ config, clock }: { readonly config: OidcConfig; readonly clock: Clock }): CompanyLogin {
  const agent = new Agent({
    connect: { timeout: limits.oidc_call_ms_max, ...(config.ca === undefined ? {} : { ca: config.ca }) },
    headersTimeout: limits.oidc_call_ms_max,
    bodyTimeout: limits.oidc_call_ms_max,
    maxResponseSize: limits.oidc_answer_bytes_max,
  })
  const bounded = ((url: string, options: object) =>
    undiciFetch(url, { ...options, dispatcher: agent, redirect: "manual" })) as unknown as oidc.CustomFetch
  let known: Provider | undefined
  let failed: { readonly at: Millis; readonly failure: unknown } | undefined
  let asking: Promise<Provider> | undefined
  /** Asked at the first login and again from time to time: the service starts without the provider. */
  const provider = async (): Promise<Provider> => {
    const now = clock.now()
    if (known && now - known.asked_at < limits.oidc_metadata_ms) return known
    if (failed && now - failed.at < limits.oidc_retry_ms) return known ?? Promise.reject(away(failed.failure))
    asking ??= discover(config, { bounded, clock }).finally(() => (asking = undefined))
    try {
      known = await asking
      failed = undefined
      return known
    } catch (failure) {
      failed = { at: now, failure }
      if (known) return known // what it said an hour ago is better than nobody logging in
      throw away(failure)
    }
  }
  return {
    async begin({ redirect_uri, max_age_s, acr }) {
      const { configuration } = await provider()
      const flow = { state: oidc.randomState(), nonce: oidc.randomNonce(), verifier: oidc.randomPKCECodeVerifier(), max_age_s }
      const url = oidc.buildAuthorizationUrl(configuration, {
        redirect_uri,
        scope: config.scopes.join(" "),
        state: flow.state,
        nonce: flow.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(flow.verifier),
        code_challenge_method: "S256",
        ...(max_age_s === undefined ? {} : { max_age: String(max_age_s) }),
        ...(max_age_s === 0 ? { prompt: "login" } : {}),
        ...(acr === undefined ? {} : { acr_values: acr }),
      })
      return { url, flow }
    },
    async finish(callback, flow) {
      const { configuration, keys } = await provider()
      try {
        const answer = await oidc.authorizationCodeGrant(configuration, callback, {
          expectedState: flow.state,
          expectedNonce: flow.nonce,
          pkceCodeVerifier: flow.verifier,
          idTokenExpected: true,
          ...(flow.max_age_s === undefined ? {} : { maxAge: flow.max_age_s }),
        })
        const payload = await verified(answer.id_token ?? "", { config, keys, clock })
        const more = await userInfo(configuration, { answer, payload, config })
        return personOf(payload, { ...more, ...payload }, flow)
      } catch (failure) {
        throw failureOf(failure)
      }
    },
    async loggedOut(token) {
      const { keys } = await provider()
      try {
        const { payload, protectedHeader } = await signed(token, { config, keys, clock }, ["iat", "jti", "events"])
        return loggedOutOf(payload, protectedHeader.typ, clock.now())
      } catch (failure) {
        throw failureOf(failure)
      }
    },
    close: () => agent.destroy(),
  }
}

async function discover(config: OidcConfig, { bounded, clock }: { bounded: oidc.CustomFetch; clock: Clock }): Promise<Provider> {
  const issuer = new URL(config.issuer)
  const metadata = { client_secret: config.client_secret.reveal(), [oidc.clockTolerance]: limits.oidc_clock_skew_ms_max / 1000 }
  const configuration = await oidc.discovery(issuer, config.client_id, metadata, clientAuth(config), {
    [oidc.customFetch]: bounded,
    timeout: limits.oidc_call_ms_max / 1000,
    // The config allows http for this machine itself alone.
    ...(issuer.protocol === "http:" ? { execute: [oidc.allowInsecureRequests] } : {}),
  })
  const { issuer: said, jwks_uri } = configuration.serverMetadata()
  if (said !== config.issuer) throw new Error(`the provider calls itself ${said}, and the config ${config.issuer}`)
  if (jwks_uri === undefined) throw new Error("the provider publishes no keys")
  // Whoever is on the way could put keys of their own in their place.
  if (issuer.protocol === "https:" && new URL(jwks_uri).protocol !== "https:") throw new Error("the provider publishes its keys in clear")
  return { configuration, keys: providerKeys(jwks_uri, { bounded, clock }), asked_at: clock.now() }
}

/** The provider's keys: kept, and asked for again when a token names one that is not there, but not for each such token. */
function providerKeys(jwks_uri: string, { bounded, clock }: { bounded: oidc.CustomFetch; clock: Clock }): JWTVerifyGetKey {
  const set = createRemoteJWKSet(new URL(jwks_uri), {
    timeoutDuration: limits.oidc_call_ms_max,
    cooldownDuration: Infinity, // by our clock, below
    cacheMaxAge: Infinity,
    [joseFetch]: (url, options) => bounded(url, options as never),
  })
  let asked_at = clock.now()
  return async (header, token) => {
    try {
      return await set(header, token)
    } catch (failure) {
      const now = clock.now()
      if (!(failure instanceof errors.JWKSNoMatchingKey) || now - asked_at < limits.oidc_keys_again_ms) throw failure
      asked_at = now
      await set.reload()
      return set(header, token)
    }
  }
}

/** As the provider's metadata wants the secret; left out, it means Basic (OpenID Connect Discovery, section 3). */
function clientAuth({ client_secret }: OidcConfig): oidc.ClientAuth {
  const [basic, post] = [oidc.ClientSecretBasic(client_secret.reveal()), oidc.ClientSecretPost(client_secret.reveal())]
  return (server, client, body, headers) => {
    const methods = server.token_endpoint_auth_methods_supported ?? ["client_secret_basic"]
    return (methods.includes("client_secret_basic") ? basic : post)(server, client, body, headers)
  }
}

interface Verifying {
  readonly config: OidcConfig
  readonly keys: JWTVerifyGetKey
  readonly clock: Clock
}

/** By the provider, for us, now. */
function signed(token: string, { config, keys, clock }: Verifying, requiredClaims: string[]): ReturnType<typeof jwtVerify> {
  return jwtVerify(token, keys, {
    algorithms,
    issuer: config.issuer,
    audience: config.client_id,
    clockTolerance: limits.oidc_clock_skew_ms_max / 1000,
    currentDate: new Date(clock.now()),
    requiredClaims,
  })
}

/** OpenID Connect Core, section 3.1.3.7. The library has looked at the same claims; the signature is looked at here. */
async function verified(token: string, { config, keys, clock }: Verifying): Promise<JWTPayload & { sub: string }> {
  const skew_s = limits.oidc_clock_skew_ms_max / 1000
  const now = clock.now()
  const { payload } = await signed(token, { config, keys, clock }, ["sub", "iat", "exp", "nonce"])
  const { sub, iat = 0, exp = 0, aud, azp } = payload
  const wrong =
    typeof sub !== "string" || sub === "" || sub.length > 255
      ? "its sub is not one"
      : iat > now / 1000 + skew_s
        ? "it is from the future"
        : exp - iat > limits.oidc_token_ms_max / 1000
          ? "it is good for too long"
          : Array.isArray(aud) && aud.length > 1 && azp !== config.client_id
            ? "it is for others too, and issued to one of them"
            : azp !== undefined && azp !== config.client_id
              ? "it was issued to another client"
              : undefined
  if (wrong !== undefined) throw new Error(`the ID token: ${wrong}`)
  return { ...payload, sub: sub as string }
}

interface Answered {
  readonly answer: oidc.TokenEndpointResponse
  readonly payload: JWTPayload & { sub: string }
  readonly config: OidcConfig
}

/** Many providers give names and groups there alone. Asked only when something is missing; it must be about the same `sub`. */
async function userInfo(configuration: oidc.Configuration, { answer, payload, config }: Answered): Promise<Record<string, unknown>> {
  const missing = [config.name_claim, config.groups_claim].some((claim) => payload[claim] === undefined)
  if (!missing || configuration.serverMetadata().userinfo_endpoint === undefined) return {}
  return oidc.fetchUserInfo(configuration, answer.access_token, payload.sub)
}

function personOf(payload: JWTPayload & { sub: string }, claims: Record<string, unknown>, flow: LoginFlow): CompanyPerson {
  const { auth_time, acr } = payload
  if (flow.max_age_s !== undefined && typeof auth_time !== "number") throw new Error("the provider does not say when the person logged in")
  return {
    iss: payload.iss ?? "",
    sub: payload.sub,
    claims,
    auth_time: typeof auth_time === "number" && auth_time > 0 ? auth_time * 1000 : null,
    acr: typeof acr === "string" && acr.length <= 255 ? acr : null,
  }
}

const away = (failure: unknown): GatewayError => new GatewayError("provider_away", {}, failure)

/** Whose fault it was: the provider that does not answer, or what came back. The details are for the log. */
function failureOf(failure: unknown): GatewayError {
  if (failure instanceof oidc.AuthorizationResponseError) {
    const denied = failure.error === "access_denied"
    return new GatewayError("login_failed", denied ? { what: "the company login was cancelled or refused" } : {}, failure)
  }
  const { code, cause } = failure as { code?: string; cause?: { code?: string } }
  const network = failure instanceof errors.JWKSTimeout || code === "OAUTH_TIMEOUT" || failure instanceof TypeError
  const status = (failure as { status?: number }).status ?? (cause as { status?: number } | undefined)?.status ?? 0
  return network || status >= 500 ? away(failure) : new GatewayError("login_failed", {}, failure)
}
