import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import type { AuthorityView } from "../../../src/api/schema.ts"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { limits } from "../../../src/core/limits.ts"
import { Authorities } from "../../../src/gateway/control_plane/authorities.ts"
import { createLog } from "../../../src/observe/log.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { blobOf } from "../../support/ssh_certificates.ts"

const ca = (not_after: number | null): AuthorityView => {
  const shown = generateOpensshKey("ca").public
  return {
    id: shown.slice(20, 40),
    kind: "ssh-user",
    public: shown,
    not_before: 0,
    not_after,
    status: not_after === null ? "signing" : "retired",
  }
}

async function setting(t: TestContext, first: AuthorityView[] | Error) {
  const clock = new FakeClock()
  const service = { answer: first, asked: 0 }
  const call = async (): Promise<never> => {
    service.asked++
    if (service.answer instanceof Error) throw service.answer
    return { authorities: service.answer } as never
  }
  const authorities = new Authorities({ api: { call }, clock, log: createLog("silent") })
  t.after(() => authorities.close())
  await authorities.start()
  return { clock, service, authorities }
}

/** Lets what was begun go on until it waits for the clock. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test("authorities: a retired one is known to its end and not a moment longer, also while the service is away", async (t) => {
  const clock = new FakeClock()
  const retired = ca(clock.now() + 60_000)
  const { authorities, service, clock: now } = await setting(t, [retired, ca(null)])
  service.answer = new Error("away")
  assert.ok(await authorities.ssh(blobOf(retired.public)))
  now.advance(59_999)
  assert.ok(await authorities.ssh(blobOf(retired.public)))
  now.advance(1)
  const asking = authorities.ssh(blobOf(retired.public))
  await settle()
  now.advance(limits.authorities_unknown_ms)
  assert.equal(await asking, undefined)
})

test("authorities: one that was made a moment ago is asked for, once for all who wait and at most once a second", async (t) => {
  const { authorities, service, clock } = await setting(t, [ca(null)])
  const made = ca(null)
  service.answer = [made]
  const asking = Array.from({ length: 50 }, () => authorities.ssh(blobOf(made.public)))
  await settle()
  assert.equal(service.asked, 1, "the service was asked a moment ago")
  clock.advance(limits.authorities_unknown_ms)
  for (const found of await Promise.all(asking)) assert.ok(found)
  assert.equal(service.asked, 2)
})

test("authorities: one that is distrusted is forgotten within the bound, and a service that is away is asked again soon", async (t) => {
  const { authorities, service, clock } = await setting(t, new Error("away"))
  const trusted = ca(null)
  service.answer = [trusted]
  clock.advance(limits.feed_retry_ms_max)
  await settle()
  assert.ok(await authorities.ssh(blobOf(trusted.public)))
  service.answer = [ca(null)]
  for (let waited = 0; waited < limits.authorities_refresh_ms; waited += 1000) {
    clock.advance(1000)
    await settle()
  }
  const asking = authorities.ssh(blobOf(trusted.public))
  await settle()
  clock.advance(limits.authorities_unknown_ms)
  assert.equal(await asking, undefined)
})
