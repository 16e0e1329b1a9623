// Tokens of machines: a CI job or a service shows the OpenID Connect token that its platform gave it, and is whoever the config
// says such a token is (RFC 7519, RFC 8725). It owns every check of the token and the match of its claims; what a workload may
// then do is policy's to say. A token is looked at only when it names an issuer that the config names, letter for letter.
import { customFetch, createRemoteJWKSet, decodeJwt, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from "jose"
import { Agent, fetch as undiciFetch } from "undici"
import type { Workload } from "../config/config.ts"
import type { Clock, Millis } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import { matchesClaims } from "./workload_match.ts"

/** Asymmetric ones: with "none" anybody, with HS* everybody who knows a secret, could be any workload. */
const algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]

export interface VerifiedWorkload {
  readonly workload: Workload
  /** The token's own subject, for the record. */
  readonly sub: string
}

export interface WorkloadVerifier {
  /** Throws `unauthenticated`, with the reason as its cause; `provider_away` when the issuer's keys cannot be had. */
  verify(token: string): Promise<VerifiedWorkload>
  close(): Promise<void>
}

interface Issuer {
  readonly keys: JWTVerifyGetKey
  readonly workloads: readonly Workload[]
}

export function createWorkloadVerifier({
  workloads,
  clock,
}: {
  readonly workloads: readonly Workload[]
  readonly clock: Clock
}): WorkloadVerifier {
  const agents: Agent[] = []
  const issuers = new Map<string, Issuer>()
  for (const [issuer, own] of Map.groupBy(workloads, (workload) => workload.issuer)) {
    const agent = agentFor(own)
    agents.push(agent)
    issuers.set(issuer, { keys: keysOf(issuer, { own, agent, clock }), workloads: own })
  }
  return {
    async verify(token) {
      try {
        return await verified(token, issuers, clock.now())
      } catch (failure) {
        throw GatewayError.from(failure, "unauthenticated")
      }
    },
    close: async () => void (await Promise.all(agents.map((agent) => agent.destroy()))),
  }
}

async function verified(token: string, issuers: ReadonlyMap<string, Issuer>, now: Millis): Promise<VerifiedWorkload> {
  if (token.length > limits.workload_token_chars_max) throw new Error("the token is too long")
  const { iss } = decodeJwt(token) // believed in nothing but which keys to ask for
  const issuer = typeof iss === "string" ? issuers.get(iss) : undefined
  if (iss === undefined || !issuer) throw new Error("the token's issuer is not one of the config")
  const skew_s = limits.oidc_clock_skew_ms_max / 1000
  const { payload, protectedHeader } = await jwtVerify(token, issuer.keys, {
    algorithms,
    issuer: iss,
    audience: issuer.workloads.map(({ audience }) => audience),
    clockTolerance: skew_s,
    currentDate: new Date(now),
    requiredClaims: ["sub", "iat", "exp"],
  })
  // Another kind of token of the same issuer, such as an access token, is not for us (RFC 8725, section 3.11).
  if (protectedHeader.typ !== undefined && protectedHeader.typ.toUpperCase() !== "JWT") throw new Error("the token is of another type")
  const { sub, iat = 0, exp = 0, aud } = payload
  if (typeof sub !== "string" || sub === "") throw new Error("the token's sub is not one")
  if (iat * 1000 > now + limits.oidc_clock_skew_ms_max) throw new Error("the token is from the future")
  if (exp - iat > limits.workload_token_ms_max / 1000) throw new Error("the token is good for too long")
  const audiences = Array.isArray(aud) ? aud : [aud]
  // One that is meant for others too could have been shown to us by any of them.
  if (audiences.length !== 1) throw new Error("the token is for several audiences")
  const age_ms = now - iat * 1000
  return { workload: theOne(issuer.workloads, { payload, audience: audiences[0], age_ms }), sub }
}

interface Presented {
  readonly payload: JWTPayload
  readonly audience: string | undefined
  readonly age_ms: number
}

/** Exactly one must match: which of two was meant is not guessed. */
function theOne(workloads: readonly Workload[], { payload, audience, age_ms }: Presented): Workload {
  const matching = workloads.filter((workload) => workload.audience === audience && matchesClaims(workload.match, payload))
  const [workload] = matching
  if (!workload || matching.length > 1) throw new Error(`the token's claims match ${matching.length} workloads of the config; it takes one`)
  if (age_ms > workload.max_age_ms + limits.oidc_clock_skew_ms_max) throw new Error("the token was issued too long ago")
  return workload
}

function agentFor(own: readonly Workload[]): Agent {
  const ca = own.flatMap((workload) => workload.ca ?? [])
  return new Agent({
    connect: { timeout: limits.oidc_call_ms_max, ...(ca.length === 0 ? {} : { ca }) },
    headersTimeout: limits.oidc_call_ms_max,
    bodyTimeout: limits.oidc_call_ms_max,
    maxResponseSize: limits.oidc_answer_bytes_max,
  })
}

interface Asking {
  readonly own: readonly Workload[]
  readonly agent: Agent
  readonly clock: Clock
}

/** Asked for at the first token, and again for a key that is not there, at most every half minute. */
function keysOf(issuer: string, { own, agent, clock }: Asking): JWTVerifyGetKey {
  const bounded = (url: string, options: object): Promise<Response> =>
    undiciFetch(url, { ...options, dispatcher: agent, redirect: "manual" })
  let found: { readonly keys: JWTVerifyGetKey; readonly at: Millis } | undefined
  let failed: { readonly failure: unknown; readonly at: Millis } | undefined
  let asking: Promise<JWTVerifyGetKey> | undefined
  const discovered = async (): Promise<JWTVerifyGetKey> => {
    const now = clock.now()
    if (found && now - found.at < limits.oidc_metadata_ms) return found.keys
    if (failed && now - failed.at < limits.oidc_retry_ms) throw failed.failure
    try {
      const url = own.find(({ jwks }) => jwks !== undefined)?.jwks ?? (await jwksUrl(issuer, bounded))
      const keys = createRemoteJWKSet(new URL(url), { timeoutDuration: limits.oidc_call_ms_max, [customFetch]: bounded })
      found = { keys, at: now }
      return keys
    } catch (failure) {
      failed = { failure, at: now }
      if (found) return found.keys // what it said an hour ago is better than nothing
      throw failure
    }
  }
  return async (header, token) => {
    try {
      return await (
        await (asking ??= discovered().finally(() => (asking = undefined)))
      )(header, token)
    } catch (failure) {
      // A key that is not there is the token's fault; keys that cannot be fetched are not.
      const known = failure instanceof errors.JWKSNoMatchingKey || failure instanceof errors.JWKSMultipleMatchingKeys
      throw known || failure instanceof errors.JOSENotSupported ? failure : new GatewayError("provider_away", {}, failure)
    }
  }
}

/** OpenID Connect Discovery, section 4. */
async function jwksUrl(issuer: string, bounded: (url: string, options: object) => Promise<Response>): Promise<string> {
  const response = await bounded(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, {
    headers: { accept: "application/json" },
    signal: AbortSignal.timeout(limits.oidc_call_ms_max),
  })
  if (response.status !== 200) throw new Error(`the issuer answered ${response.status} to discovery`)
  const { issuer: said, jwks_uri } = (await response.json()) as { issuer?: unknown; jwks_uri?: unknown }
  if (said !== issuer) throw new Error(`the issuer calls itself ${String(said).slice(0, 200)}`)
  const url = typeof jwks_uri === "string" && URL.canParse(jwks_uri) ? new URL(jwks_uri) : undefined
  const safe = url && (url.protocol === "https:" || (url.protocol === "http:" && issuer.startsWith("http:")))
  if (!safe) throw new Error("the issuer publishes no keys over https")
  return url.href
}
