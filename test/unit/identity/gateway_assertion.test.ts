// What a gateway signs: good for one call, for a minute, with its own key.
import assert from "node:assert/strict"
import { createPrivateKey, generateKeyPairSync } from "node:crypto"
import test from "node:test"
import { decodeJwt, SignJWT } from "jose"
import ssh2 from "ssh2"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { newServiceId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"
import {
  AnotherService,
  claimedName,
  gatewayPublicKey,
  gatewaySigner,
  verifyAssertion,
  type VerifyOptions,
} from "../../../src/identity/gateway_assertion.ts"
import { FakeClock } from "../../support/fake_clock.ts"

const { private: privateKey } = generateOpensshKey("gateway")
const key = gatewayPublicKey(privateKey)
const call = { method: "POST", path: "/v1/gateway/sessions" }
const content = "what goes with it"
const [service, other] = [newServiceId(), newServiceId()]

/** Why it is refused; undefined: it is not. */
const refusesAssertion = (assertion: string, options: Omit<VerifyOptions, "service">): Promise<string | undefined> =>
  verifyAssertion(assertion, { service, ...options }).then(
    () => undefined,
    (failure: Error) => failure.message,
  )

async function signed(clock: FakeClock): Promise<string> {
  return (await gatewaySigner({ name: "gw", privateKey, clock })({ ...call, content })).reveal()
}

test("gateway assertion: says whose it is, and is good for its call alone", async () => {
  const clock = new FakeClock()
  const assertion = await signed(clock)
  assert.equal(claimedName(assertion), "gw")
  assert.equal(await refusesAssertion(assertion, { key, call, clock }), undefined)
  for (const other of [
    { ...call, method: "GET" },
    { ...call, path: "/v1/gateway/token" },
  ])
    assert.equal(await refusesAssertion(assertion, { key, call: other, clock }), "it was signed for another call")
  const stranger = gatewayPublicKey(generateOpensshKey("another").private)
  assert.match((await refusesAssertion(assertion, { key: stranger, call, clock })) ?? "", /signature/)
})

test("gateway assertion: is over after its minute, and is not taken from a clock that is far ahead", async () => {
  const clock = new FakeClock()
  const assertion = await signed(clock)
  clock.advance(limits.gateway_assertion_ms + limits.token_clock_skew_ms_max - 1000)
  assert.equal(await refusesAssertion(assertion, { key, call, clock }), undefined)
  clock.advance(2000)
  assert.match((await refusesAssertion(assertion, { key, call, clock })) ?? "", /"exp"/)
  const ahead = new FakeClock(clock.now() + limits.token_clock_skew_ms_max + 1000)
  assert.match((await refusesAssertion(await signed(ahead), { key, call, clock })) ?? "", /"iat"|future/)
})

test("gateway assertion: another algorithm, type, audience or a longer life is refused, whoever signed", async () => {
  const clock = new FakeClock()
  const iat = clock.now() / 1000
  const parsed = ssh2.utils.parseKey(privateKey.reveal())
  assert(!(parsed instanceof Error))
  const own = createPrivateKey(parsed.getPrivatePEM())
  const asked = { htm: call.method, htu: call.path, jti: "one", content: Buffer.alloc(32).toString("base64url") }
  const good = { sub: "gw", aud: "sluice approval service", iat, exp: iat + 60, ...asked }
  const header = { alg: "EdDSA", typ: "sluice-gateway+jwt" }
  const make = (claims: object, change: object = {}, by: Parameters<SignJWT["sign"]>[0] = own) =>
    new SignJWT({ ...claims }).setProtectedHeader({ ...header, ...change }).sign(by)
  const refusal = async (assertion: string) => refusesAssertion(assertion, { key, call, clock })
  assert.equal(await refusal(await make(good)), undefined)
  const { exp: _exp, ...endless } = good
  const { jti: _jti, ...nameless } = good
  const old = { ...good, iat: iat - 120 }
  for (const bad of [
    await make(good, { typ: "sluice+jwt" }),
    await make({ ...good, aud: "api" }),
    await make({ ...good, aud: [good.aud, "api"] }),
    await make({ ...good, aud: undefined }),
    await make({ ...good, content: undefined }),
    await make({ ...good, content: "AAAA" }),
    await make({ ...good, content: [good.content] }),
    await make(endless),
    await make(nameless),
    await make({ ...good, jti: "x".repeat(37) }),
    await make(old),
    await make(good, { alg: "HS256" }, key.blob),
    await make(good, { alg: "ES256" }, generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey),
    `${Buffer.from('{"alg":"none","typ":"sluice-gateway+jwt"}').toString("base64url")}.${Buffer.from(JSON.stringify(good)).toString("base64url")}.`,
    "",
    "a.b.c",
  ])
    assert.notEqual(await refusal(bad), undefined, bad)
})

test("gateway assertion: covers the content it was signed with, to the byte, and nothing else", async () => {
  const clock = new FakeClock()
  const { covers } = await verifyAssertion(await signed(clock), { key, call, service, clock })
  assert.equal(covers(content), true)
  for (const changed of ["", `${content} `, content.toUpperCase()]) assert.equal(covers(changed), false, changed)
})

/** One who signs, and what they sign for now: "any" or a service. */
function signing() {
  const clock = new FakeClock()
  const signer = gatewaySigner({ name: "gw", privateKey, clock })
  const recipient = async (shown: Secret): Promise<string> => {
    const aud = String(decodeJwt(shown.reveal()).aud)
    return aud === "sluice approval service" ? "any" : aud
  }
  const sign = (more: { readonly once?: true } = {}) => signer({ ...call, content, ...more })
  return { clock, signer, sign, now: async () => recipient(await sign()), recipient }
}

test("gateway assertion: is for any service until one has answered, then for that one, which alone takes it", async () => {
  const { clock, signer, sign, now, recipient } = signing()
  const first = await sign()
  assert.equal(await recipient(first), "any")
  assert.equal((await verifyAssertion(first.reveal(), { key, call, service, clock })).anywhere, true)
  assert.equal(signer.answered(first, { service, refused: false }), false)
  assert.equal(await now(), service)
  const second = (await sign()).reveal()
  assert.equal((await verifyAssertion(second, { key, call, service, clock })).anywhere, false)
  await assert.rejects(verifyAssertion(second, { key, call, service: other, clock }), AnotherService)
  assert.equal(await recipient(await sign({ once: true })), "any")
})

test("gateway assertion: when another service refuses it, it is made anew for that; when that is refused too, for any, for a while", async () => {
  const { clock, signer, sign, now } = signing()
  signer.answered(await sign(), { service, refused: false })
  const early = [await sign(), await sign()]
  assert.equal(signer.answered(early[0]!, { service: other, refused: true }), true, "the service was started anew")
  assert.equal(await now(), other)
  assert.equal(signer.answered(await sign(), { service, refused: true }), true, "two behind one address")
  assert.equal(await now(), "any")
  assert.equal(signer.answered(early[1]!, { service: other, refused: true }), true, "on its way since then")
  assert.equal(signer.answered(await sign(), { service, refused: true }), false, "refused for something else")
  clock.advance(limits.gateway_unaddressed_ms)
  assert.equal(await now(), other)
  assert.equal(signer.answered(await sign(), { service: other, refused: true }), false, "the one it is for refuses it")
})

test("gateway assertion: who answers without the name of a service, or with something else, teaches nothing", async () => {
  const { signer, sign, now } = signing()
  for (const wrong of [undefined, "", "api", "sluice approval service", ["x"], "a_", `${service}x`])
    for (const refused of [true, false]) assert.equal(signer.answered(await sign(), { service: wrong, refused }), false)
  assert.equal(await now(), "any")
})

test("gateway assertion: a key of another kind is told to the operator and not repeated", () => {
  const pem = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "sec1", format: "pem" }).toString()
  assert.throws(() => gatewayPublicKey(new Secret(pem)), /a gateway's key is an Ed25519 key/)
})
