// What a gateway signs: good for one call, for a minute, with its own key.
import assert from "node:assert/strict"
import { createPrivateKey, generateKeyPairSync } from "node:crypto"
import test from "node:test"
import { SignJWT } from "jose"
import ssh2 from "ssh2"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"
import { claimedName, gatewayPublicKey, gatewaySigner, verifyAssertion } from "../../../src/identity/gateway_assertion.ts"
import { FakeClock } from "../../support/fake_clock.ts"

const { private: privateKey } = generateOpensshKey("gateway")
const key = gatewayPublicKey(privateKey)
const call = { method: "POST", path: "/v1/gateway/sessions" }

/** Why it is refused; undefined: it is not. */
const refusesAssertion = (assertion: string, options: Parameters<typeof verifyAssertion>[1]): Promise<string | undefined> =>
  verifyAssertion(assertion, options).then(
    () => undefined,
    (failure: Error) => failure.message,
  )

async function signed(clock: FakeClock): Promise<string> {
  return (await gatewaySigner({ name: "gw", privateKey, clock })(call)).reveal()
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
  const good = { sub: "gw", aud: "sluice approval service", iat, exp: iat + 60, htm: call.method, htu: call.path, jti: "one" }
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

test("gateway assertion: a key of another kind is told to the operator and not repeated", () => {
  const pem = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "sec1", format: "pem" }).toString()
  assert.throws(() => gatewayPublicKey(new Secret(pem)), /a gateway's key is an Ed25519 key/)
})
