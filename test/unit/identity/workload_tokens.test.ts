import assert from "node:assert/strict"
import { generateKeyPair } from "jose"
import { after, before, describe, test } from "node:test"
import type { Workload } from "../../../src/config/config.ts"
import { limits } from "../../../src/core/limits.ts"
import { matchesClaims } from "../../../src/identity/workload_match.ts"
import { createWorkloadVerifier, type WorkloadVerifier } from "../../../src/identity/workload_tokens.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { startWorkloadIssuer, type WorkloadIssuer } from "../../support/workload_issuer.ts"

const hour = 3_600_000
const skew = limits.oidc_clock_skew_ms_max

describe("tokens of workloads", () => {
  const clock = new FakeClock()
  let platform: WorkloadIssuer
  let other: WorkloadIssuer
  let verifier: WorkloadVerifier
  const verifiers: WorkloadVerifier[] = []

  const shop = (change: Partial<Workload> = {}): Workload => ({
    name: "ci:acme/shop",
    groups: ["ci"],
    issuer: platform.issuer,
    audience: "sluice",
    match: { repository: ["acme/shop"] },
    jwks: undefined,
    ca: undefined,
    max_age_ms: hour,
    login_ms: hour,
    ...change,
  })
  const verifierOf = (...workloads: Workload[]): WorkloadVerifier => {
    const made = createWorkloadVerifier({ workloads, clock })
    verifiers.push(made)
    return made
  }
  const refused = (token: string, why: RegExp, by = verifier): Promise<void> =>
    assert.rejects(by.verify(token), (error: Error & { code?: string }) => {
      assert.equal(error.code, "unauthenticated", String(error.cause))
      assert.match((error.cause as Error).message, why)
      return true
    })

  before(async () => {
    platform = await startWorkloadIssuer(() => clock.now())
    other = await startWorkloadIssuer(() => clock.now())
    verifier = verifierOf(shop(), shop({ name: "ci:acme/blog", match: { repository: ["acme/blog"] } }))
  })
  after(async () => {
    for (const each of verifiers) await each.close()
    await Promise.all([platform.stop(), other.stop()])
  })

  test("one that matches is its workload, and the keys are asked for once", async () => {
    const { workload, sub } = await verifier.verify(await platform.token())
    assert.deepEqual([workload.name, sub], ["ci:acme/shop", "repo:acme/shop:ref:refs/heads/main"])
    await Promise.all(Array.from({ length: 20 }, async () => verifier.verify(await platform.token())))
    assert.deepEqual(platform.asked, { discovery: 1, keys: 1 })
  })

  test("signed by nobody, by a secret, by another key or by another issuer's", async () => {
    const good = await platform.token()
    const [, payload] = good.split(".") as [string, string]
    const none = Buffer.from(JSON.stringify({ alg: "none", typ: "JWT" })).toString("base64url")
    await refused(`${none}.${payload}.`, /alg/)
    await refused(
      await platform.token({}, { alg: "HS256" }, new Uint8Array(32).fill(7)),
      /"alg" \(Algorithm\) Header Parameter value not allowed/,
    )
    const stranger = await generateKeyPair("ES256")
    await refused(await platform.token({}, {}, stranger.privateKey), /signature verification failed/)
    await refused(await other.token(), /issuer is not one of the config/)
    await refused(await other.token({ iss: platform.issuer }), /no applicable key|signature verification failed/)
    await refused(`${good.slice(0, -6)}AAAAAA`, /signature verification failed/)
  })

  test("a key in its own header is not believed", async () => {
    const asked = { ...other.asked }
    const header = { jku: `${other.issuer}/keys`, x5u: `${other.issuer}/keys` }
    const stranger = await generateKeyPair("ES256")
    await refused(await platform.token({}, header, stranger.privateKey), /signature verification failed/)
    assert.deepEqual(other.asked, asked)
  })

  test("for others, for several, of another type, or that is no token at all", async () => {
    await refused(await platform.token({ aud: "vault" }), /"aud"/)
    await refused(await platform.token({ aud: undefined }), /"aud"/)
    await refused(await platform.token({ aud: ["sluice", "vault"] }), /several audiences/)
    assert.ok(await verifier.verify(await platform.token({ aud: ["sluice"] })))
    await refused(await platform.token({}, { typ: "at+jwt" }), /of another type/)
    await refused(await platform.token({}, { typ: "sluice+jwt" }), /of another type/)
    for (const text of ["x", "a.b.c", "", "x".repeat(limits.workload_token_chars_max + 1)]) {
      await assert.rejects(verifier.verify(text), { code: "unauthenticated" })
    }
  })

  test("ended, not begun, from the future, too old, or good for days", async () => {
    const iat = Math.floor(clock.now() / 1000)
    await refused(await platform.token({ iat: iat - 600, exp: iat - skew / 1000 - 1 }), /"exp"/)
    await refused(await platform.token({ nbf: iat + skew / 1000 + 1 }), /"nbf"/)
    await refused(await platform.token({ iat: iat + skew / 1000 + 1, exp: iat + 300 }), /from the future/)
    await refused(await platform.token({ iat: iat - 2 * 3600, exp: iat + 3600 }), /issued too long ago/)
    await refused(await platform.token({ exp: iat + 25 * 3600 }), /good for too long/)
    for (const claim of ["exp", "iat", "sub"]) await refused(await platform.token({ [claim]: undefined }), new RegExp(`"${claim}"`))
    await refused(await platform.token({ exp: "soon" }), /"exp"/)
    assert.ok(await verifier.verify(await platform.token({ nbf: iat + 1, iat: iat + 1 })), "clocks differ a little")
  })

  test("an issuer that differs by a slash, by case or by a look-alike is another", async () => {
    for (const iss of [
      `${platform.issuer}/`,
      platform.issuer.toUpperCase(),
      platform.issuer.replace("127", "１27"),
      [platform.issuer],
      7,
    ]) {
      await assert.rejects(verifier.verify(await platform.token({ iss })), { code: "unauthenticated" })
    }
  })

  test("claims that are missing, lists, objects, other letters or parts of it match nothing", async () => {
    for (const repository of [
      undefined,
      ["acme/shop"],
      { name: "acme/shop" },
      "acme/shop2",
      "evil/acme/shop",
      "Acme/shop",
      "acme/shор", // Cyrillic о and р
      "acme/shop\u200b",
      " acme/shop",
      "",
      null,
      true,
    ]) {
      await refused(await platform.token({ repository }), /match 0 workloads/)
    }
  })

  test("one that two workloads claim is neither", async () => {
    const both = verifierOf(shop(), shop({ name: "ci:main", match: { ref: ["refs/heads/main"] } }))
    await refused(await platform.token(), /match 2 workloads/, both)
    assert.equal((await both.verify(await platform.token({ ref: "refs/heads/x" }))).workload.name, "ci:acme/shop")
  })

  test("a new key is taken once the issuer publishes it; the old one is not any more", async () => {
    const fresh = verifierOf(shop())
    const before = await platform.token()
    assert.ok(await fresh.verify(before))
    await platform.rotate()
    const again = verifierOf(shop())
    assert.ok(await again.verify(await platform.token()))
    await refused(before, /no applicable key/, again)
  })

  test("an issuer that does not answer, answers wrongly or without end is no fault of the token's", async () => {
    const away = async (broken: WorkloadIssuer["broken"]): Promise<void> => {
      const fresh = verifierOf(shop())
      platform.broken = broken
      await assert.rejects(fresh.verify(await platform.token()), { code: "provider_away" })
      platform.broken = undefined
      clock.advance(limits.oidc_retry_ms)
      assert.ok(await fresh.verify(await platform.token()), "and once it answers, all is well")
    }
    await away({ discovery: { issuer: "https://other.example", jwks_uri: `${platform.issuer}/keys` } })
    await away({ discovery: { issuer: platform.issuer, jwks_uri: "file:///etc/passwd" } })
    await away({ discovery: { issuer: platform.issuer } })
    const lost = await startWorkloadIssuer(() => clock.now())
    const token = await lost.token()
    await lost.stop()
    await assert.rejects(verifierOf(shop({ issuer: lost.issuer })).verify(token), { code: "provider_away" })
  })

  test("keys that cannot be had are the issuer's fault, and are asked for where the config says", async () => {
    platform.broken = { keys: 500 }
    await assert.rejects(verifierOf(shop()).verify(await platform.token()), { code: "provider_away" })
    platform.broken = { discovery: {} }
    assert.ok(await verifierOf(shop({ jwks: `${platform.issuer}/keys` })).verify(await platform.token()))
    platform.broken = undefined
  })
})

test("a star stands for printable ASCII, and everything else for itself", () => {
  const matches = (pattern: string, claim: unknown): boolean => matchesClaims({ ref: [pattern] }, { ref: claim })
  for (const [pattern, claim] of [
    ["refs/heads/*", "refs/heads/main"],
    ["refs/heads/*", "refs/heads/"],
    ["*/main", "refs/heads/main"],
    ["refs/*/v*", "refs/tags/v1.2"],
    ["a*b*c", "abc"],
    ["a.c*", "a.c"],
  ] as const) {
    assert.ok(matches(pattern, claim), `${pattern} ${claim}`)
  }
  for (const [pattern, claim] of [
    ["refs/heads/*", "refs/tags/heads/"],
    ["refs/heads/*", "x/refs/heads/main"],
    ["a.c*", "abc"],
    ["ab*ba", "aba"],
    ["a*b*c", "acb"],
    ["refs/heads/*", "refs/heads/ma\nin"],
    ["refs/heads/*", "refs/heads/mаin"], // a Cyrillic а
    ["refs/heads/*", ["refs/heads/main"]],
    ["7*", 7],
  ] as const) {
    assert.ok(!matches(pattern, claim), `${pattern} ${String(claim)}`)
  }
  const long = "a".repeat(100_000)
  assert.ok(!matches(`${"a*".repeat(1_000)}b`, long), "and no pattern is slow")
  assert.ok(!matchesClaims({}, { ref: "x" }), "no claims are no match")
  assert.ok(!matchesClaims({ constructor: ["x"] }, {}))
  assert.ok(matchesClaims({ protected: [true], run: [7, 8] }, { protected: true, run: 8 }))
  assert.ok(!matchesClaims({ protected: [true] }, { protected: "true" }))
})
