// What an application is told about who is there: a JWT it can verify with our public keys (RFC 7519; JWKS: RFC 7517). The key is
// for this alone, so nothing signed with it is a token of Sluice, and the other way round.
import { createPrivateKey, createPublicKey, type KeyObject } from "node:crypto"
import { calculateJwkThumbprint, exportJWK, SignJWT } from "jose"
import type { Millis } from "../../src/core/clock.ts"
import { limits } from "../../src/core/limits.ts"
import type { Host, Session } from "../../src/gateway/contract.ts"

export interface SignedIdentity {
  readonly jwt: string
  /** When a new one should be signed; what an application has got is good for as long again. */
  readonly fresh_until: Millis
}

interface SigningKey {
  readonly key: KeyObject
  readonly kid: string
  readonly jwks: string
}

export class IdentitySigner {
  readonly #host: Host
  #key: Promise<SigningKey> | undefined

  constructor(host: Host) {
    this.#host = host
  }

  /**
   * Claims: `iss` https://<gateway>, `sub` the user's, `groups` those that the session's rules go by, `aud` the target's public origin without its port,
   * `sid` the Sluice session, `iat` and `exp` seconds.
   */
  async sign(session: Session): Promise<SignedIdentity> {
    const { name, domain, clock } = this.#host
    const { key, kid } = await this.#signingKey()
    const now = clock.now()
    const iat = Math.floor(now / 1000)
    // An application that keeps it must not take it for longer than the grant lasts; one that was extended is signed anew in time.
    const ends_at = Math.min(now + limits.http_identity_ms, session.grant.ends_at)
    const jwt = await new SignJWT({ groups: [...session.groups], sid: session.id })
      .setProtectedHeader({ alg: "ES256", typ: "JWT", kid })
      .setIssuer(`https://${name}`)
      .setSubject(session.identity.subject)
      .setAudience(`https://${session.target.name}.${domain}`)
      .setIssuedAt(iat)
      .setExpirationTime(Math.ceil(ends_at / 1000))
      .sign(key)
    return { jwt, fresh_until: now + (ends_at - now) / 2 }
  }

  /** The JSON of the public keys that verify it. */
  async jwks(): Promise<string> {
    return (await this.#signingKey()).jwks
  }

  #signingKey(): Promise<SigningKey> {
    this.#key ??= this.#load().catch((failure: unknown) => {
      this.#key = undefined
      throw failure
    })
    return this.#key
  }

  async #load(): Promise<SigningKey> {
    const pem = await this.#host.keys.private("http_identity", "p256")
    const key = createPrivateKey(pem.reveal())
    const jwk = await exportJWK(createPublicKey(key))
    const kid = await calculateJwkThumbprint(jwk)
    return { key, kid, jwks: JSON.stringify({ keys: [{ ...jwk, kid, alg: "ES256", use: "sig" }] }) }
  }
}
