import assert from "node:assert/strict"
import { test } from "node:test"
import { GatewayError } from "../../../src/core/errors.ts"
import { limits } from "../../../src/core/limits.ts"
import { rememberTokens } from "../../../src/identity/remembered_tokens.ts"
import type { TokenUse, TokenVerifier } from "../../../src/identity/tokens.ts"
import { FakeClock } from "../../support/fake_clock.ts"

/** A verifier that counts, believes what is not "bad", and whose keys are changed by `turn`. */
function setting() {
  const clock = new FakeClock()
  const checked: string[] = []
  const at = { keys: {} as object | undefined }
  const verifier: TokenVerifier = {
    trusts: () => true,
    async verify(token, { use }) {
      checked.push(`${use} ${token}`)
      if (token === "bad") throw new GatewayError("unauthenticated")
      return { subject: token, via: "a test", expires_at: clock.now() + limits.api_token_ms, login: undefined, key: "k" }
    },
  }
  return { clock, checked, at, verifier: rememberTokens({ verifier, keys: () => at.keys, clock }) }
}

const api: TokenUse = { use: "api" }

test("remembered tokens: the same token is checked once, until it ends", async () => {
  const { clock, checked, verifier } = setting()
  const first = await verifier.verify("alice", api)
  assert.equal(await verifier.verify("alice", api), first)
  assert.deepEqual(checked, ["api alice"])
  clock.advance(limits.api_token_ms)
  await verifier.verify("alice", api)
  assert.deepEqual(checked, ["api alice", "api alice"])
})

test("remembered tokens: one that is good for one use is checked for another", async () => {
  const { checked, verifier } = setting()
  for (const use of [api, { use: "target", target: "a" }, { use: "target", target: "b" }, { use: "cookie", target: "a" }] as const)
    await verifier.verify("alice", use)
  assert.deepEqual(checked, ["api alice", "target alice", "target alice", "cookie alice"])
})

test("remembered tokens: what was refused is checked each time", async () => {
  const { checked, verifier } = setting()
  for (const _time of [1, 2]) await assert.rejects(verifier.verify("bad", api), { code: "unauthenticated" })
  assert.deepEqual(checked, ["api bad", "api bad"])
})

test("remembered tokens: with other keys, or keys that are not known, everything is checked anew", async () => {
  const { at, checked, verifier } = setting()
  await verifier.verify("alice", api)
  at.keys = {}
  await verifier.verify("alice", api)
  at.keys = undefined
  await verifier.verify("alice", api)
  await verifier.verify("alice", api)
  assert.equal(checked.length, 4)
})

test("remembered tokens: nothing is remembered of a check that keys have changed during", async () => {
  const { at, clock, checked } = setting()
  const turning: TokenVerifier = {
    trusts: () => true,
    async verify(token) {
      checked.push(token)
      at.keys = {}
      return { subject: token, via: "a test", expires_at: clock.now() + 1, login: undefined, key: "k" }
    },
  }
  const verifier = rememberTokens({ verifier: turning, keys: () => at.keys, clock })
  for (const _time of [1, 2]) await verifier.verify("alice", api)
  assert.deepEqual(checked, ["alice", "alice"])
})

test("remembered tokens: when the clock has gone back, a beginning is looked at again", async () => {
  const { clock, checked, verifier } = setting()
  await verifier.verify("alice", api)
  clock.jump(-1)
  await verifier.verify("alice", api)
  assert.equal(checked.length, 2)
})
