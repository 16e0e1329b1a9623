// What a provider may not say, or say it so: each is a login that fails, with the reason in the log and no words of the provider's
// for the person.
import assert from "node:assert/strict"
import test, { suite, type TestContext } from "node:test"
import { generateKeyPair, type JWTPayload, SignJWT } from "jose"
import type { OidcConfig } from "../../../src/config/config.ts"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"
import { createCompanyLogin, type LoginFlow } from "../../../src/identity/oidc.ts"
import { selfSigned } from "../../support/certificate.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { type ForgingIssuer, startForgingIssuer, unsigned } from "../../support/forging_issuer.ts"
import { needs } from "../../support/tools.ts"

const client_id = "sluice"
const client_secret = "a client secret of at least 32 characters"
const redirect_uri = "http://127.0.0.1:1/sign-in/callback"

async function setting(t: TestContext, change: Partial<OidcConfig> = {}, tls?: { cert: string; key: string }) {
  const clock = new FakeClock(Date.now())
  const forger = await startForgingIssuer(client_id, () => clock.now(), tls)
  const config: OidcConfig = {
    issuer: forger.issuer,
    client_id,
    client_secret: new Secret(client_secret),
    groups_claim: "groups",
    name_claim: "email",
    scopes: ["openid"],
    login_for_ms: 3_600_000,
    ca: undefined,
    ...change,
  }
  const company = createCompanyLogin({ config, clock })
  t.after(async () => {
    await company.close()
    await forger.stop()
  })
  /** There and back. */
  const logIn = async (back: Readonly<Record<string, string>> = {}, changeFlow: Partial<LoginFlow> = {}) => {
    const { flow } = await company.begin({ redirect_uri })
    forger.nonce = flow.nonce
    const callback = new URL(redirect_uri)
    for (const [name, value] of Object.entries({ code: "a code", state: flow.state, ...back })) callback.searchParams.set(name, value)
    return company.finish(callback, { ...flow, ...changeFlow })
  }
  return { clock, forger, company, logIn }
}

test("oidc: a sound token is a person", async (t) => {
  const { logIn, forger } = await setting(t)
  const person = await logIn()
  assert.deepEqual([person.iss, person.sub, person.claims["email"], person.auth_time], [forger.issuer, "sub-1", "x@corp.example", null])
})

test("oidc: the URL asks for a code with PKCE, a state and a nonce, and holds no secret", async (t) => {
  const { company } = await setting(t)
  const { url, flow } = await company.begin({ redirect_uri, max_age_s: 0, acr: "urn:mfa" })
  const asked = Object.fromEntries(url.searchParams)
  assert.deepEqual(
    [
      asked["response_type"],
      asked["code_challenge_method"],
      asked["state"],
      asked["nonce"],
      asked["max_age"],
      asked["prompt"],
      asked["acr_values"],
    ],
    ["code", "S256", flow.state, flow.nonce, "0", "login", "urn:mfa"],
  )
  assert(!url.href.includes(flow.verifier) && !url.href.includes(encodeURIComponent(client_secret)))
})

const now_s = (claims: JWTPayload): number => claims.iat ?? 0
const wrong: Readonly<Record<string, (claims: JWTPayload, forger: ForgingIssuer) => Promise<string> | string>> = {
  "unsigned (alg none)": (claims) => unsigned(claims),
  "signed with the client's secret (HS256)": (claims) =>
    new SignJWT(claims).setProtectedHeader({ alg: "HS256" }).sign(new TextEncoder().encode(client_secret)),
  "signed with a key that is not published": async (claims) =>
    new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "0" }).sign((await generateKeyPair("RS256")).privateKey),
  "of another algorithm than its key's": async (claims, forger) =>
    (await forger.sign(claims)).replace(/^[^.]+/, btoa('{"alg":"PS256","kid":"0"}').replace(/=+$/, "")),
  "with a changed claim": async (claims, forger) => {
    const [head, , signature] = (await forger.sign(claims)).split(".")
    return `${head}.${Buffer.from(JSON.stringify({ ...claims, sub: "somebody else" })).toString("base64url")}.${signature}`
  },
  "from another issuer": (claims, forger) => forger.sign({ ...claims, iss: "https://evil.example" }),
  "from the issuer with a slash more": (claims, forger) => forger.sign({ ...claims, iss: `${forger.issuer}/` }),
  "for another audience": (claims, forger) => forger.sign({ ...claims, aud: "another client" }),
  "for us and others, issued to another": (claims, forger) => forger.sign({ ...claims, aud: [client_id, "other"], azp: "other" }),
  "for us and others, issued to nobody": (claims, forger) => forger.sign({ ...claims, aud: [client_id, "other"] }),
  "issued to another client": (claims, forger) => forger.sign({ ...claims, azp: "other" }),
  "with another nonce": (claims, forger) => forger.sign({ ...claims, nonce: "another" }),
  "without a nonce": ({ nonce: _nonce, ...claims }, forger) => forger.sign(claims),
  "that has expired": (claims, forger) => forger.sign({ ...claims, iat: now_s(claims) - 600, exp: now_s(claims) - 60 }),
  "from the future": (claims, forger) => forger.sign({ ...claims, iat: now_s(claims) + 120, exp: now_s(claims) + 400 }),
  "not good yet": (claims, forger) => forger.sign({ ...claims, nbf: now_s(claims) + 120 }),
  "good for a year": (claims, forger) => forger.sign({ ...claims, exp: now_s(claims) + 365 * 86_400 }),
  "without an end": ({ exp: _exp, ...claims }, forger) => forger.sign(claims),
  "without a sub": ({ sub: _sub, ...claims }, forger) => forger.sign(claims),
  "with an empty sub": (claims, forger) => forger.sign({ ...claims, sub: "" }),
  "that is no token": () => "e30.e30.e30",
}

for (const [what, idToken] of Object.entries(wrong))
  test(`oidc: a token ${what} is no login`, async (t) => {
    const { forger, logIn } = await setting(t)
    forger.idToken = async (claims) => idToken(claims, forger)
    await assert.rejects(logIn(), { code: "login_failed", message: "this login cannot be accepted; start again" })
  })

test("oidc: another state, or none, is no login", async (t) => {
  const { logIn } = await setting(t)
  await assert.rejects(logIn({ state: "another" }), { code: "login_failed" })
  await assert.rejects(logIn({ state: "" }), { code: "login_failed" })
})

test("oidc: an answer that names another issuer is no login (mix-up)", async (t) => {
  const { logIn } = await setting(t)
  await assert.rejects(logIn({ iss: "https://evil.example" }), { code: "login_failed" })
})

test("oidc: a fresh proof that was asked for must be proven fresh", async (t) => {
  const { logIn, forger, clock } = await setting(t)
  await assert.rejects(logIn({}, { max_age_s: 60 }), { code: "login_failed" })
  const at = (seconds_ago: number) => (claims: JWTPayload) =>
    forger.sign({ ...claims, auth_time: now_s(claims) - seconds_ago, acr: "urn:mfa" })
  forger.idToken = at(600)
  await assert.rejects(logIn({}, { max_age_s: 60 }), { code: "login_failed" })
  forger.idToken = at(10)
  const person = await logIn({}, { max_age_s: 60 })
  assert.deepEqual([person.auth_time, person.acr], [Math.floor(clock.now() / 1000) * 1000 - 10_000, "urn:mfa"])
})

test("oidc: clocks may differ by the bound, and not by more", async (t) => {
  const { logIn, forger, clock } = await setting(t)
  const skew = limits.oidc_clock_skew_ms_max / 1000
  forger.idToken = (claims) => forger.sign({ ...claims, iat: now_s(claims) - 300, exp: now_s(claims) - skew + 5 })
  await logIn()
  clock.advance(10_000)
  forger.idToken = (claims) => forger.sign({ ...claims, iat: now_s(claims) - 300, exp: now_s(claims) - skew - 5 })
  await assert.rejects(logIn(), { code: "login_failed" })
})

test("oidc: a new key of the provider is found, and a made-up one does not make us ask again and again", async (t) => {
  const { logIn, forger, clock } = await setting(t)
  await logIn()
  assert.equal(forger.keysAsked, 1)
  clock.advance(limits.oidc_keys_again_ms)
  forger.idToken = (claims) => forger.sign(claims, { kid: "made up" })
  for (let tries = 0; tries < 3; tries++) await assert.rejects(logIn(), { code: "login_failed" })
  assert.equal(forger.keysAsked, 2)
  clock.advance(limits.oidc_keys_again_ms)
  const old = await forger.rotate()
  forger.idToken = (claims) => forger.sign(claims)
  await logIn()
  assert.equal(forger.keysAsked, 3)
  forger.idToken = (claims) => new SignJWT(claims).setProtectedHeader({ alg: "RS256", kid: "0" }).sign(old)
  await assert.rejects(logIn(), { code: "login_failed" }, "the one before is worth nothing")
})

test("oidc: a provider that fails is away, one that calls itself otherwise too, and both are asked again later", async (t) => {
  const { logIn, forger, company, clock } = await setting(t)
  forger.metadata = { issuer: "https://evil.example" }
  await assert.rejects(company.begin({ redirect_uri }), { code: "provider_away" })
  forger.metadata = {}
  await assert.rejects(company.begin({ redirect_uri }), { code: "provider_away" }, "left alone for a moment")
  clock.advance(limits.oidc_retry_ms)
  await logIn()
  forger.tokenStatus = 503
  await assert.rejects(logIn(), { code: "provider_away" })
  forger.tokenStatus = 400
  await assert.rejects(logIn(), { code: "login_failed" })
  forger.tokenStatus = 200
  await logIn()
})

test("oidc: an answer that is too large is not read", async (t) => {
  const { forger, company } = await setting(t)
  forger.metadata = { padding: "x".repeat(limits.oidc_answer_bytes_max) }
  await assert.rejects(company.begin({ redirect_uri }), { code: "provider_away" })
})

test("oidc: keys that come in clear are nobody's, where everything else comes over TLS", { skip: needs("openssl") }, async (t) => {
  const tls = await selfSigned(["127.0.0.1"])
  const { forger, company, logIn, clock } = await setting(t, { ca: tls.cert }, tls)
  forger.metadata = { jwks_uri: `${forger.issuer.replace("https:", "http:")}/jwks` }
  await assert.rejects(company.begin({ redirect_uri }), { code: "provider_away" })
  forger.metadata = {}
  clock.advance(limits.oidc_retry_ms)
  assert.equal((await logIn()).sub, "sub-1")
})

suite("oidc: a logout that the provider tells of", () => {
  const event = "http://schemas.openid.net/event/backchannel-logout"
  const claims = (forger: ForgingIssuer, now: number, change: object = {}): JWTPayload => {
    const iat = Math.floor(now / 1000)
    return { iss: forger.issuer, aud: client_id, sub: "sub-1", iat, exp: iat + 120, jti: "j", events: { [event]: {} }, ...change }
  }

  test("is somebody's, whether or not the token says its type", async (t) => {
    const { company, forger, clock } = await setting(t)
    const at = Math.floor(clock.now() / 1000) * 1000
    for (const typ of [undefined, "JWT", "logout+jwt"]) {
      const token = await forger.sign(claims(forger, clock.now()), typ === undefined ? {} : { typ })
      assert.deepEqual(await company.loggedOut(token), { iss: forger.issuer, sub: "sub-1", at })
    }
  })

  const now_s = Math.floor(Date.now() / 1000)
  const wrong: Readonly<Record<string, object>> = {
    "an ID token": { nonce: "n", events: undefined },
    "one with a nonce": { nonce: "n" },
    "another event": { events: { "https://example.com/else": {} } },
    "an event that says nothing": { events: { [event]: "yes" } },
    "events in a list": { events: [event] },
    "one for another client": { aud: "another" },
    "one of another issuer": { iss: "https://login.example.com" },
    "one without a sub": { sub: undefined, sid: "s" },
    "one with a long sub": { sub: "s".repeat(256) },
    "one without a jti": { jti: undefined },
    "one that has ended": { exp: now_s - 60 },
    "one of an hour ago": { iat: now_s - 3600, exp: now_s + 60 },
    "one of the future": { iat: now_s + 3600, exp: now_s + 7200 },
  }
  for (const [what, change] of Object.entries(wrong))
    test(`${what} is refused`, async (t) => {
      const { company, forger, clock } = await setting(t)
      const token = await forger.sign(claims(forger, clock.now(), change))
      await assert.rejects(company.loggedOut(token), { code: "login_failed" })
    })

  test("by anybody else's signature, or none, is refused", async (t) => {
    const { company, forger, clock } = await setting(t)
    const sound = claims(forger, clock.now())
    const { privateKey } = await generateKeyPair("RS256")
    const secret = new TextEncoder().encode(client_secret)
    const forged = [
      await new SignJWT(sound).setProtectedHeader({ alg: "RS256", kid: "0" }).sign(privateKey),
      await new SignJWT(sound).setProtectedHeader({ alg: "HS256", kid: "0" }).sign(secret),
      await forger.sign(sound, { typ: "at+jwt" }),
      unsigned(sound),
      "",
      "a.b.c",
    ]
    for (const token of forged) await assert.rejects(company.loggedOut(token), { code: "login_failed" })
  })
})
