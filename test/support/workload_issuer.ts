// A CI platform that gives its jobs OpenID Connect tokens: discovery, keys and really signed tokens, over loopback HTTP.
import { once } from "node:events"
import { createServer } from "node:http"
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose"

export interface WorkloadIssuer {
  /** "http://127.0.0.1:52044" */
  readonly issuer: string
  /** How often its keys were asked for. */
  readonly asked: { discovery: number; keys: number }
  /** What the next answers are instead of the right ones; undefined again: the right ones. */
  broken: { discovery?: object; keys?: object | number } | undefined
  /** A token with these claims over the usual ones; `undefined` leaves a claim out. */
  token(
    claims?: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
    key?: CryptoKey | Uint8Array,
  ): Promise<string>
  /** From now on it signs with another key, and publishes that one alone. */
  rotate(): Promise<void>
  stop(): Promise<void>
}

/** `now`: in milliseconds, for `iat` and `exp`. */
export async function startWorkloadIssuer(now: () => number): Promise<WorkloadIssuer> {
  let count = 0
  const newKey = async () => ({ kid: `key-${++count}`, ...(await generateKeyPair("ES256", { extractable: true })) })
  let key = await newKey()
  const asked = { discovery: 0, keys: 0 }
  const server = createServer((request, response) => {
    const answer = (body: object): void => void response.setHeader("content-type", "application/json").end(JSON.stringify(body))
    if (request.url === "/.well-known/openid-configuration") {
      asked.discovery++
      return answer(made.broken?.discovery ?? { issuer: made.issuer, jwks_uri: `${made.issuer}/keys` })
    }
    asked.keys++
    const wrong = made.broken?.keys
    if (typeof wrong === "number") return void response.writeHead(wrong).end()
    if (wrong) return answer(wrong)
    void exportJWK(key.publicKey).then((jwk) => answer({ keys: [{ ...jwk, kid: key.kid, alg: "ES256", use: "sig" }] }))
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const bound = server.address()
  if (bound === null || typeof bound === "string") throw new Error("no port")
  const made: WorkloadIssuer = {
    issuer: `http://127.0.0.1:${bound.port}`,
    asked,
    broken: undefined,
    async token(claims = {}, header = {}, by) {
      const iat = Math.floor(now() / 1000)
      const usual = {
        iss: made.issuer,
        aud: "sluice",
        sub: "repo:acme/shop:ref:refs/heads/main",
        iat,
        exp: iat + 300,
        jti: `job-${++count}`,
      }
      const payload = Object.fromEntries(
        Object.entries({ ...usual, repository: "acme/shop", ref: "refs/heads/main", ...claims }).filter(([, value]) => value !== undefined),
      )
      return new SignJWT(payload).setProtectedHeader({ alg: "ES256", typ: "JWT", kid: key.kid, ...header }).sign(by ?? key.privateKey)
    },
    async rotate() {
      key = await newKey()
    },
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, "close")
    },
  }
  return made
}
