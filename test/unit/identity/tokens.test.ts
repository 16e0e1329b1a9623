import assert from "node:assert/strict"
import { createPublicKey, generateKeyPairSync } from "node:crypto"
import { once } from "node:events"
import http from "node:http"
import type { AddressInfo } from "node:net"
import { test } from "node:test"
import { createLocalJWKSet, SignJWT, UnsecuredJWT } from "jose"
import type { LoginId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"
import { createTokenIssuer, createTokenVerifier, jwksKeys } from "../../../src/identity/tokens.ts"
import { FakeClock } from "../../support/fake_clock.ts"

const newKey = (): { pem: Secret; key: ReturnType<typeof generateKeyPairSync>["privateKey"] } => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  return { key: privateKey, pem: new Secret(privateKey.export({ type: "pkcs8", format: "pem" }) as string) }
}

async function setting() {
  const clock = new FakeClock()
  const { key, pem } = newKey()
  const issuer = await createTokenIssuer({ privateKey: pem, clock })
  const verifier = createTokenVerifier({ keys: createLocalJWKSet(issuer.jwks), clock })
  const kid = issuer.jwks.keys[0]!.kid!
  const seconds = Math.floor(clock.now() / 1000)
  /** A token with the right key, and one thing wrong. */
  const forge = (claims: object, header: object = {}): Promise<string> =>
    new SignJWT({
      iss: "sluice",
      sub: "alice",
      aud: "sluice:api",
      via: "test",
      iat: seconds,
      exp: seconds + 60,
      jti: "1",
      ...claims,
    })
      .setProtectedHeader({ alg: "ES256", typ: "sluice+jwt", kid, ...header })
      .sign(key)
  return { clock, issuer, verifier, forge, seconds }
}

const alice = { subject: "alice@example.com", via: "ssh-key SHA256:abc" }
const unauthenticated = { code: "unauthenticated" }

test("tokens: what was issued is what is verified", async () => {
  const { clock, issuer, verifier } = await setting()
  const { token, expires_at } = await issuer.issue({ ...alice, use: "api" })
  assert.equal(expires_at, clock.now() + limits.api_token_ms)
  assert.deepEqual(await verifier.verify(token, { use: "api" }), { ...alice, expires_at, login: undefined, key: issuer.kid })
  const login = { id: "l_0123456789abcdef" as LoginId, expires_at: clock.now() + 60_000 }
  const bound = await issuer.issue({ ...alice, use: "api", login })
  assert.equal(bound.expires_at, login.expires_at, "it ends with its login")
  assert.equal((await verifier.verify(bound.token, { use: "api" })).login, login.id)
  assert.ok(!JSON.stringify(issuer.jwks).includes('"d"'), "the private half is not published")
})

test("tokens: each is good for its own use alone", async () => {
  const { issuer, verifier } = await setting()
  const api = await issuer.issue({ ...alice, use: "api" })
  const targets = await issuer.issue({ ...alice, use: "targets" })
  const orders = await issuer.issue({ ...alice, use: "target", target: "orders" })
  const atOrders = { use: "target", target: "orders" } as const
  const atGrafana = { use: "target", target: "grafana" } as const
  await verifier.verify(targets.token, atOrders)
  await verifier.verify(targets.token, atGrafana)
  await verifier.verify(orders.token, atOrders)
  await assert.rejects(verifier.verify(orders.token, atGrafana), unauthenticated)
  await assert.rejects(verifier.verify(orders.token, { use: "api" }), unauthenticated)
  await assert.rejects(verifier.verify(targets.token, { use: "api" }), unauthenticated)
  await assert.rejects(verifier.verify(api.token, atOrders), unauthenticated)
  await assert.rejects(issuer.issue({ ...alice, use: "target" }), { code: "invalid" })
})

test("tokens: over at their end by our clock, not by the machine's", async () => {
  const { clock, issuer, verifier } = await setting()
  const { token } = await issuer.issue({ ...alice, use: "targets" })
  clock.advance(limits.token_ms - 1000)
  await verifier.verify(token, { use: "target", target: "orders" })
  clock.advance(1000)
  await assert.rejects(verifier.verify(token, { use: "target", target: "orders" }), unauthenticated)
})

test("tokens: another key, algorithm, type, issuer, audience or life does not pass", async () => {
  const { verifier, forge, issuer, seconds } = await setting()
  const api = { use: "api" } as const
  await verifier.verify(await forge({}), api)
  const stranger = await createTokenIssuer({ privateKey: newKey().pem, clock: new FakeClock() })
  const { token } = await issuer.issue({ ...alice, use: "api" })
  const [head, body, signature] = token.split(".") as [string, string, string]
  const bad: Record<string, string> = {
    "another key": (await stranger.issue({ ...alice, use: "api" })).token,
    unsigned: new UnsecuredJWT({ iss: "sluice", sub: "alice", aud: "sluice:api", via: "x", jti: "1" }).encode(),
    "HMAC with the public key": await new SignJWT({ iss: "sluice", sub: "alice", aud: "sluice:api" })
      .setProtectedHeader({ alg: "HS256", typ: "sluice+jwt" })
      .sign(Buffer.from(JSON.stringify(issuer.jwks.keys[0]))),
    "plain JWT type": await forge({}, { typ: "JWT" }),
    issuer: await forge({ iss: "else" }),
    audience: await forge({ aud: "sluice:everything" }),
    "no subject": await forge({ sub: "" }),
    "a subject that is no string": await forge({ sub: 7 as unknown as string }),
    "via that is no string": await forge({ via: {} }),
    "from the future": await forge({ iat: seconds + 60, exp: seconds + 120 }),
    "too long a life": await forge({ exp: seconds + 366 * 86_400 }),
    "no end": await forge({ exp: undefined }),
    "changed body": [head, Buffer.from(body, "base64url").toString().replace("alice@", "bobby@"), signature].join("."),
    "too long": `${"a".repeat(limits.token_bytes_max)}.b.c`,
    "no token": "",
    garbage: "\0\ud800..",
  }
  for (const [name, forged] of Object.entries(bad)) await assert.rejects(verifier.verify(forged, api), unauthenticated, name)
})

test("tokens: what a header claims about keys, algorithms and types is not believed", async () => {
  const { verifier, forge, issuer } = await setting()
  const api = { use: "api" } as const
  const [head, body, signature] = (await forge({})).split(".") as [string, string, string]
  const kid = issuer.jwks.keys[0]!.kid!
  const { key: stranger } = newKey()
  const claims = JSON.parse(Buffer.from(body, "base64url").toString()) as Record<string, unknown>
  const signedBy = (key: Parameters<SignJWT["sign"]>[0], header: object): Promise<string> =>
    new SignJWT(claims).setProtectedHeader({ alg: "ES256", typ: "sluice+jwt", kid, ...header }).sign(key)
  const header = (fields: object): string => Buffer.from(JSON.stringify({ typ: "sluice+jwt", kid, ...fields })).toString("base64url")
  const publicKey = createPublicKey(stranger)
  const ours = issuer.jwks.keys[0]!
  const ourPem = createPublicKey({ key: { ...ours }, format: "jwk" }).export({ type: "spki", format: "pem" })
  const bad: Record<string, string> = {
    "alg none": `${header({ alg: "none" })}.${body}.`,
    "alg nOnE with a signature": `${header({ alg: "nOnE" })}.${body}.${signature}`,
    "HMAC with the public key as PEM": await signedBy(Buffer.from(ourPem), { alg: "HS256" }),
    "its own key in the header": await signedBy(stranger, { jwk: publicKey.export({ format: "jwk" }) }),
    "a place to fetch its key from": await signedBy(stranger, { jku: "http://127.0.0.1:1/keys" }),
    "another key under our key's id": await signedBy(stranger, {}),
    "an id that is a path": await forge({}, { kid: "../../dev/null" }),
    "an id of an object's own": await forge({}, { kid: "__proto__" }),
    "no type": await forge({}, { typ: undefined }),
    "an empty signature": `${head}.${body}.`,
    "a signature of zeros": `${head}.${body}.${Buffer.alloc(64).toString("base64url")}`,
    "a critical extension": `${header({ alg: "ES256", crit: ["exp"], exp: 1 })}.${body}.${signature}`,
  }
  for (const [name, forged] of Object.entries(bad)) await assert.rejects(verifier.verify(forged, api), unauthenticated, name)
})

test("tokens: one use and a real life, even when our own key signed otherwise", async () => {
  const { verifier, forge, seconds } = await setting()
  const bad: Record<string, Promise<string>> = {
    "two audiences": forge({ aud: ["sluice:api", "sluice:target:orders"] }),
    "a list of one audience": forge({ aud: ["sluice:api"] }),
    "over before it began": forge({ iat: seconds + 5, exp: seconds + 1 }),
    "not yet": forge({ nbf: seconds + 100 }),
    "an end in words": forge({ exp: String(seconds + 60) }),
  }
  for (const [name, token] of Object.entries(bad)) await assert.rejects(verifier.verify(await token, { use: "api" }), unauthenticated, name)
})

test("tokens: a client that names no target is told what everybody is told", async () => {
  const { verifier, issuer } = await setting()
  const { token } = await issuer.issue({ ...alice, use: "target", target: "orders" })
  await assert.rejects(verifier.verify(token, { use: "target", target: "" }), unauthenticated)
  await assert.rejects(verifier.verify("garbage", { use: "target", target: "" }), unauthenticated)
})

test("tokens: a verifier that cannot have the keys says so, and does not blame the token", async () => {
  const { issuer, clock } = await setting()
  const verifier = createTokenVerifier({ keys: () => Promise.reject(new Error("connect ECONNREFUSED")), clock })
  const { token } = await issuer.issue({ ...alice, use: "api" })
  await assert.rejects(verifier.verify(token, { use: "api" }), { code: "stale" })
})

test("tokens: the service's keys, once had, outlast an hour of its silence", async (t) => {
  const { clock, issuer } = await setting()
  const server = http.createServer(
    (_, response) => void response.setHeader("content-type", "application/json").end(JSON.stringify(issuer.jwks)),
  )
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const verifier = createTokenVerifier({ keys: jwksKeys(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), clock })
  const verify = async () => verifier.verify((await issuer.issue({ subject: "alice", via: "test", use: "api" })).token, { use: "api" })
  await verify()
  server.closeAllConnections()
  server.close()
  await once(server, "close")
  t.mock.timers.enable({ apis: ["Date"], now: Date.now() + 3_600_000 })
  assert.equal((await verify()).subject, "alice")
})
