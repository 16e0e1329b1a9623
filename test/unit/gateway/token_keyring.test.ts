// What a gateway knows of the keys that verify tokens, while they come and go and the service does.
import assert from "node:assert/strict"
import { generateKeyPairSync } from "node:crypto"
import { once } from "node:events"
import http from "node:http"
import type { AddressInfo } from "node:net"
import test, { type TestContext } from "node:test"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"
import { TokenKeyring } from "../../../src/gateway/control_plane/token_keyring.ts"
import { createTokenIssuer, createTokenVerifier, type TokenSigner } from "../../../src/identity/tokens.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { LineSink } from "../../support/line_sink.ts"
import { eventually } from "../../support/wait.ts"

const clock = new FakeClock()
async function newSigner(): Promise<TokenSigner> {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  return createTokenIssuer({ privateKey: new Secret(privateKey.export({ type: "pkcs8", format: "pem" }).toString()), clock })
}

/** A service that shows the keys of `shown`; none: it does not answer. */
async function setUp(t: TestContext) {
  const [old, next] = [await newSigner(), await newSigner()]
  const service = { shown: [old] as TokenSigner[] | undefined, asked: 0 }
  const server = http.createServer((_, response) => {
    service.asked++
    if (!service.shown) return void response.destroy()
    const keys = service.shown.flatMap(({ jwks }) => jwks.keys)
    response.setHeader("content-type", "application/json").end(JSON.stringify({ keys }))
  })
  await once(server.listen(0, "127.0.0.1"), "listening")
  const sink = new LineSink()
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const keyring = new TokenKeyring({ url, clock, log: createLog("warn", sink) })
  t.after(() => {
    keyring.close()
    server.close()
  })
  keyring.start()
  const verifier = createTokenVerifier({ keys: keyring.find, trusts: (key) => keyring.trusts(key), clock })
  const verify = async (signer: TokenSigner): Promise<string> => {
    const { token } = await signer.issue({ subject: "alice", via: "a test", use: "targets" })
    return (await verifier.verify(token, { use: "target", target: "orders" })).key
  }
  /** The time has come to ask again, and it was answered, or not. */
  const later = async (): Promise<void> => {
    const asked = service.asked
    clock.advance(limits.authorities_refresh_ms)
    await eventually("the service to be asked", () => service.asked > asked)
  }
  /** Settles as `work` does, while time passes. */
  const passing = async <T>(work: Promise<T>): Promise<T> => {
    const state = { over: false }
    const whole = work.finally(() => (state.over = true))
    whole.catch(() => {}) // whoever waits below hears of it
    while (!state.over) {
      clock.advance(limits.token_keys_ms_min / 100)
      await new Promise(setImmediate)
    }
    return whole
  }
  return { old, next, service, keyring, verify, later, passing, log: () => sink.text }
}

test("keyring: a key that the service does not show any more is forgotten, without anybody showing a token", async (t) => {
  const { old, next, service, keyring, verify, later, passing } = await setUp(t)
  assert.equal(await verify(old), old.kid)
  assert.ok(keyring.trusts(old.kid))
  service.shown = [next]
  await later()
  await eventually("the old one to be forgotten", () => !keyring.trusts(old.kid))
  assert.ok(keyring.trusts(next.kid))
  await passing(assert.rejects(verify(old), { code: "unauthenticated" }))
  assert.equal(await verify(next), next.kid)
})

test("keyring: while the service is away what was known goes on, and is asked for again until it answers", async (t) => {
  const { old, next, service, keyring, verify, later, log } = await setUp(t)
  assert.equal(await verify(old), old.kid)
  service.shown = undefined
  await later()
  await eventually("it to be told", () => log().includes("does not say which keys verify tokens"))
  assert.equal(await verify(old), old.kid)
  assert.ok(keyring.trusts(old.kid))
  service.shown = [next]
  await later()
  await eventually("the old one to be forgotten", () => !keyring.trusts(old.kid))
})

test("keyring: a key that has begun to sign is known at once, and a moment after the last question at the latest", async (t) => {
  const { old, next, service, verify, passing } = await setUp(t)
  assert.equal(await verify(old), old.kid)
  service.shown = [old, next]
  assert.equal(await verify(next), next.kid, "nobody has asked for a while")
  const third = await newSigner()
  service.shown = [old, next, third]
  const asked = service.asked
  const keys = await passing(Promise.all(Array.from({ length: 10 }, () => verify(third))))
  assert.deepEqual(new Set(keys), new Set([third.kid]))
  assert.ok(service.asked - asked <= 2, "ten who wait are one question, or a second one for who came late")
})
