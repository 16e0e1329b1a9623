// An OpenID Connect provider that says what the test wants it to say, signed as the test wants it: for the tokens that a real one
// does not give.
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { createServer as createSecureServer } from "node:https"
import type { AddressInfo } from "node:net"
import { exportJWK, generateKeyPair, SignJWT, UnsecuredJWT, type CryptoKey, type JWTPayload } from "jose"

export interface ForgingIssuer {
  readonly issuer: string
  /** Of the key that is published. */
  readonly privateKey: CryptoKey
  /** What the token endpoint gives as the ID token, from sound claims. */
  idToken: (claims: JWTPayload) => Promise<string>
  /** In place of the discovery document's own. */
  metadata: Readonly<Record<string, unknown>>
  /** How often the keys were asked for. */
  readonly keysAsked: number
  /** Answered by the token endpoint in place of 200. */
  tokenStatus: number
  /** Publishes another key in place of the one before; answers its private half. */
  rotate(): Promise<CryptoKey>
  /** A sound token with the published key. */
  sign(claims: JWTPayload, header?: { readonly alg?: string; readonly kid?: string; readonly typ?: string }): Promise<string>
  /** The nonce that the next token repeats. */
  nonce: string
  stop(): Promise<void>
}

export const unsigned = (claims: JWTPayload): string => new UnsecuredJWT(claims).encode()

/** `tls`: a certificate for 127.0.0.1 and its key; without one it speaks in clear. */
export async function startForgingIssuer(
  client_id: string,
  now: () => number,
  tls?: { readonly cert: string; readonly key: string },
): Promise<ForgingIssuer> {
  let kid = 0
  let key = await generateKeyPair("RS256", { extractable: true })
  let keysAsked = 0
  const serve = (request: IncomingMessage, response: ServerResponse): void => void answer(request, response).catch(() => response.destroy())
  const server = tls ? createSecureServer(tls, serve) : createServer(serve)
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const issuer = `${tls ? "https" : "http"}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const made: ForgingIssuer = {
    issuer,
    get privateKey() {
      return key.privateKey
    },
    idToken: (claims) => made.sign(claims),
    metadata: {},
    get keysAsked() {
      return keysAsked
    },
    tokenStatus: 200,
    async rotate() {
      const before = key.privateKey
      key = await generateKeyPair("RS256", { extractable: true })
      kid++
      return before
    },
    sign: (claims, header = {}) =>
      new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: String(kid), ...header }).sign(key.privateKey),
    nonce: "",
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, "close")
    },
  }
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const reply = (value: object, status = 200): void => {
      response.writeHead(status, { "content-type": "application/json" })
      response.end(JSON.stringify(value))
    }
    request.resume()
    switch (new URL(request.url ?? "", issuer).pathname) {
      case "/.well-known/openid-configuration":
        return reply({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`,
          response_types_supported: ["code"],
          subject_types_supported: ["public"],
          id_token_signing_alg_values_supported: ["RS256", "none", "HS256"],
          ...made.metadata,
        })
      case "/jwks":
        keysAsked++
        return reply({ keys: [{ ...(await exportJWK(key.publicKey)), kid: String(kid), alg: "RS256", use: "sig" }] })
      case "/token": {
        if (made.tokenStatus !== 200) return reply({ error: "server_error" }, made.tokenStatus)
        const seconds = Math.floor(now() / 1000)
        const claims = {
          iss: issuer,
          sub: "sub-1",
          aud: client_id,
          iat: seconds,
          exp: seconds + 300,
          nonce: made.nonce,
          email: "x@corp.example",
        }
        return reply({ access_token: "x", token_type: "Bearer", id_token: await made.idToken(claims) })
      }
      default:
        return reply({ error: "not_found" }, 404)
    }
  }
  return made
}
