// Short-lived tokens: what a person shows where a public key cannot be shown (a database password, a bearer header, the API).
// A token says who and for what; it carries no grant and no groups, which are looked up when it is used. Owns the JWT's shape
// and its checks; not who may have one.
import { createPrivateKey, createPublicKey, randomUUID } from "node:crypto"
import { calculateJwkThumbprint, createRemoteJWKSet, errors, exportJWK, jwtVerify, SignJWT } from "jose"
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey, RemoteJWKSet } from "jose"
import { routes } from "../api/routes.ts"
import type { Clock, Millis } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import { isLoginId, type LoginId } from "../core/ids.ts"
import { limits } from "../core/limits.ts"
import type { Secret } from "../core/secret.ts"

const algorithm = "ES256"
/** RFC 8725, section 3.11: a type of its own, so that no other JWT signed by the same key passes for a token. */
const type = "sluice+jwt"
const issuer = "sluice"

export interface TokenIssuer {
  /** `target` goes with the uses "target" and "cookie", and with no other. `expires_at`: milliseconds since the Unix epoch. */
  issue(wanted: {
    readonly subject: string
    /** How the subject was identified: "ssh-key SHA256:…". */
    readonly via: string
    readonly use: TokenKind
    readonly target?: string | undefined
    /** The login it came from, and when that ends: the token ends with it at the latest. */
    readonly login?: { readonly id: LoginId; readonly expires_at: Millis } | undefined
  }): Promise<{ token: string; expires_at: Millis }>
}

/** With one key. */
export interface TokenSigner extends TokenIssuer {
  readonly kid: string
  /** The public half, as `/.well-known/jwks.json` publishes it. */
  readonly jwks: JSONWebKeySet
}

/** `privateKey`: P-256, PKCS#8 PEM. */
export async function createTokenIssuer(options: { readonly privateKey: Secret; readonly clock: Clock }): Promise<TokenSigner> {
  const { clock } = options
  const key = createPrivateKey(options.privateKey.reveal())
  const publicJwk = await exportJWK(createPublicKey(key))
  const kid = await calculateJwkThumbprint(publicJwk)
  return {
    kid,
    jwks: { keys: [{ ...publicJwk, kid, use: "sig", alg: algorithm }] },
    async issue({ subject, via, use, target, login }) {
      const iat = Math.floor(clock.now() / 1000)
      const exp = Math.min(iat + lifetime_ms(use) / 1000, Math.floor((login?.expires_at ?? Infinity) / 1000))
      const claims = { iss: issuer, sub: subject, aud: audience(use, target), via, iat, exp, jti: randomUUID() }
      const token = await new SignJWT(login ? { ...claims, lid: login.id } : claims)
        .setProtectedHeader({ alg: algorithm, typ: type, kid })
        .sign(key)
      return { token, expires_at: exp * 1000 }
    },
  }
}

/** "cookie": for one target, as a browser keeps it; it lasts as long as its login. */
export type TokenKind = "api" | "targets" | "target" | "cookie"

export type TokenUse = { readonly use: "api" } | { readonly use: "target" | "cookie"; readonly target: string }

export interface VerifiedToken {
  readonly subject: string
  readonly via: string
  readonly expires_at: Millis
  /** The login it came from: once that has ended, the token opens nothing. Undefined: it came from none. */
  readonly login: LoginId | undefined
  /** The one that signed it, by its `kid`. */
  readonly key: string
}

export interface TokenVerifier {
  /**
   * A "targets" token is good for any target, a "target" token for its own alone, an "api" token for the API alone.
   * Throws `unauthenticated`; `stale` when the keys themselves cannot be had.
   */
  verify(token: string, use: TokenUse): Promise<VerifiedToken>
  /** Whether tokens of this key are good still, as far as is known without asking. */
  trusts(key: string): boolean
}

export interface TokenVerifierOptions {
  /** The issuer's public keys, local or remote (jose's `createLocalJWKSet`, `createRemoteJWKSet`). */
  readonly keys: JWTVerifyGetKey
  /** Left out: keys do not come and go. */
  trusts?(key: string): boolean
  readonly clock: Clock
}

export function createTokenVerifier(options: TokenVerifierOptions): TokenVerifier {
  const { clock } = options
  const keys: JWTVerifyGetKey = async (header, token) => {
    try {
      return await options.keys(header, token)
    } catch (failure) {
      // A key that does not exist is the token's fault; keys that cannot be fetched are not.
      throw new GatewayError(failure instanceof errors.JWKSNoMatchingKey ? "unauthenticated" : "stale", {}, failure)
    }
  }
  return {
    trusts: (key) => options.trusts?.(key) ?? true,
    async verify(token, use) {
      if (Buffer.byteLength(token) > limits.token_bytes_max) throw new GatewayError("unauthenticated", {}, new Error("token too long"))
      const now = clock.now()
      try {
        const { payload, protectedHeader } = await jwtVerify(token, keys, {
          algorithms: [algorithm],
          typ: type,
          issuer,
          audience: audiencesOf(use),
          requiredClaims: ["sub", "iat", "exp", "jti", "via"],
          currentDate: new Date(now),
        })
        return checked(payload, { use, now, key: protectedHeader.kid })
      } catch (failure) {
        throw GatewayError.from(failure, "unauthenticated")
      }
    },
  }
}

/**
 * The keys of the approval service at `url`. Fetched at the first token and again for a key that is not known, so that tokens
 * can still be checked while the service is away: live sessions run to their own end.
 */
export function jwksKeys(url: string): RemoteJWKSet {
  return createRemoteJWKSet(new URL(url.replace(/\/$/, "") + routes.jwks.path), {
    timeoutDuration: limits.control_call_ms_max,
    cacheMaxAge: Infinity,
    cooldownDuration: Infinity, // for a key that is not known it is asked again by whoever holds it
  })
}

/** What jose leaves open: the types of our own claims, a second audience, an `iat` from the future, and a life that none of ours has. */
function checked(
  { sub, via, aud, iat, exp, lid }: JWTPayload,
  { use, now, key }: { readonly use: TokenUse; readonly now: Millis; readonly key: string | undefined },
): VerifiedToken {
  const sound =
    typeof sub === "string" &&
    sub !== "" &&
    typeof via === "string" &&
    typeof aud === "string" &&
    (lid === undefined || isLoginId(lid)) &&
    key !== undefined &&
    iat !== undefined &&
    exp !== undefined &&
    iat * 1000 <= now + limits.token_clock_skew_ms_max &&
    exp > iat &&
    (exp - iat) * 1000 <= lifetime_ms(use.use === "target" ? "targets" : use.use) &&
    (use.use !== "cookie" || lid !== undefined)
  if (!sound) throw new GatewayError("unauthenticated", {}, new Error("the token's claims are not sound"))
  return { subject: sub, via, expires_at: exp * 1000, login: lid, key }
}

const lifetime_ms = (use: TokenKind): number =>
  use === "api" ? limits.api_token_ms : use === "cookie" ? limits.login_ms_max : limits.token_ms

/** What a token may say it is for, to be good for `use`. What a browser sends by itself is good for nothing else, and the other way round. */
function audiencesOf(use: TokenUse): string[] {
  if (use.use === "api") return [audience("api")]
  return use.use === "cookie" ? [targetAudience("cookie", use.target)] : [audience("targets"), targetAudience("target", use.target)]
}

function audience(use: TokenKind, target?: string): string {
  if (use === "api" || use === "targets") return `sluice:${use}`
  if (target === undefined || target === "") throw new GatewayError("invalid", { what: "a token for a target needs the target's name" })
  return targetAudience(use, target)
}

const targetAudience = (use: "target" | "cookie", target: string): string => `sluice:${use}:${target}`
