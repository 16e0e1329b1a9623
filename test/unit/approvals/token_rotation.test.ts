// Another key signs tokens: at once, in every service of the store, and what the one before has signed is good for as long as it says,
// or no longer at all.
import assert from "node:assert/strict"
import { generateKeyPairSync } from "node:crypto"
import test, { type TestContext } from "node:test"
import { decodeProtectedHeader } from "jose"
import type { AuditEvent, AuthorityView } from "../../../src/api/schema.ts"
import { startApprovals } from "../../../src/approvals/approvals.ts"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import type { Keys } from "../../../src/core/keys.ts"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"
import { createLog } from "../../../src/observe/log.ts"
import { onPostgres } from "../../support/store.ts"
import { eventually } from "../../support/wait.ts"
import { apiAs, logInProgram, olga, startCompany } from "./company.ts"
import { gatewayKey, type Service, startService } from "./service.ts"

const rotate = async (service: Service, body: object = {}, who = "dana") =>
  service.call(who, "POST /v1/authorities/token/rotate", { reason: "a habit", ...body })
const views = (answer: { body: unknown }): readonly AuthorityView[] =>
  (answer.body as { authorities: readonly AuthorityView[] }).authorities

/** A token for the API as a gateway fetches it, from the service at `url`. */
async function fetched(url: string, name = "alice"): Promise<string> {
  const response = await fetch(`${url}/v1/gateway/token`, {
    method: "POST",
    headers: { authorization: `Bearer ${gatewayKey}`, "content-type": "application/json" },
    body: JSON.stringify({ subject: `${name}@example.com`, use: "api", via: "test" }),
  })
  assert.equal(response.status, 200)
  return ((await response.json()) as { token: string }).token
}
/** Whether it is believed: 200 or 401. Any other answer is a failure of its own, and says why. */
async function status(url: string, token: string): Promise<number> {
  const response = await fetch(`${url}/v1/whoami`, { headers: { authorization: `Bearer ${token}` } })
  const said = await response.text()
  assert.ok([200, 401].includes(response.status), `${response.status} ${said}`)
  return response.status
}
const signer = (token: string): string => decodeProtectedHeader(token).kid ?? ""
async function published(url: string): Promise<string[]> {
  const { keys } = (await (await fetch(`${url}/.well-known/jwks.json`)).json()) as { keys: { kid: string }[] }
  return keys.map(({ kid }) => kid)
}

test("rotation: a new key signs at once, and what the old one signed is good until its end", async (t) => {
  const service = await startService(t)
  const old = await fetched(service.url)
  const answer = await rotate(service)
  assert.equal(answer.status, 200)
  const [retired] = views(answer).filter((key) => key.status === "retired")
  assert.deepEqual([retired?.id, retired?.not_after], [signer(old), service.clock.now() + limits.token_ms])
  const next = await fetched(service.url)
  assert.notEqual(signer(next), signer(old))
  assert.deepEqual(await Promise.all([status(service.url, old), status(service.url, next)]), [200, 200])
  assert.deepEqual((await published(service.url)).toSorted(), [signer(old), signer(next)].toSorted())
  service.clock.advance(limits.token_ms)
  assert.deepEqual(await published(service.url), [signer(next)])
})

test("rotation: the old key is trusted for as long as the longest login may still show a token of it", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const { login_expires_at, access_token } = await logInProgram(company, company.browser(), olga)
  const [retired] = views(await rotate(service)).filter((key) => key.status === "retired")
  assert.equal(retired?.not_after, login_expires_at)
  assert.equal((await apiAs(service, access_token, "GET /v1/whoami")).status, 200)
  service.clock.advance(login_expires_at - service.clock.now() - 1)
  assert.equal((await published(service.url)).length, 2)
  service.clock.advance(1)
  assert.equal((await published(service.url)).length, 1)
})

test("rotation: what a distrusted key signed is refused at once, a key that was retired before too", async (t) => {
  const service = await startService(t)
  const first = await fetched(service.url)
  await rotate(service)
  const second = await fetched(service.url)
  assert.deepEqual(await Promise.all([status(service.url, first), status(service.url, second)]), [200, 200])
  const keys = views(await rotate(service, { distrust: true, reason: "the folder was copied" }))
  assert.deepEqual(
    keys.map((key) => key.status),
    ["signing"],
  )
  assert.deepEqual(await Promise.all([status(service.url, first), status(service.url, second)]), [401, 401])
  const third = await fetched(service.url)
  assert.deepEqual([signer(third), await status(service.url, third)], [keys[0]?.id, 200])
})

test("rotation: it is on record, and the key is the same after a restart", async (t) => {
  const service = await startService(t)
  const old = await fetched(service.url)
  await rotate(service)
  const next = await fetched(service.url)
  await service.restart()
  assert.equal(signer(await fetched(service.url)), signer(next))
  assert.deepEqual(await Promise.all([status(service.url, old), status(service.url, next)]), [200, 200])
  const headers = { authorization: `Bearer ${await fetched(service.url, "dana")}` }
  const { events } = (await (await fetch(`${service.url}/v1/audit?kind=authority.*`, { headers })).json()) as { events: AuditEvent[] }
  const ofTokens = events.filter(({ detail }) => (detail as AuthorityView).kind === "token")
  assert.deepEqual(
    ofTokens.map(({ kind, by, reason, detail }) => [kind, by, reason, (detail as AuthorityView).id]),
    [
      ["authority.made", "sluice", "", signer(next)],
      ["authority.retired", "dana@example.com", "a habit", signer(old)],
    ],
  )
  assert.ok(!JSON.stringify(ofTokens).includes('"d"'), "no private half is on record")
})

test("rotation: an administrator's alone", async (t) => {
  const service = await startService(t)
  for (const who of ["alice", "bob", "gina"]) assert.equal((await rotate(service, {}, who)).status, 403)
  assert.equal((await published(service.url)).length, 1)
})

/** Another service on the same store, with a state folder, and so keys, of its own. */
async function another(t: TestContext, { config, clock }: Service): Promise<string> {
  const made = new Map<string, Secret>()
  const keys: Keys = {
    async private(name) {
      const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
      if (name === "gateway" || name.startsWith("ssh_user")) return generateOpensshKey(name).private
      if (!made.has(name)) made.set(name, new Secret(privateKey.export({ type: "pkcs8", format: "pem" }).toString()))
      return made.get(name)!
    },
  }
  const service = await startApprovals({ config, keys, gatewayKey: new Secret(gatewayKey), clock, log: createLog("silent") })
  t.after(() => service.close())
  return `http://${service.address.host}:${service.address.port}`
}

async function twoServices(t: TestContext): Promise<void> {
  const one = await startService(t)
  const other = await another(t, one)
  const before = [await fetched(one.url), await fetched(other)] as const
  assert.notEqual(signer(before[0]), signer(before[1]))
  for (const url of [one.url, other]) assert.deepEqual(await Promise.all(before.map((token) => status(url, token))), [200, 200])
  await rotate(one)
  await eventually("the other to sign with another key", async () => signer(await fetched(other)) !== signer(before[1]))
  const after = [await fetched(one.url), await fetched(other)] as const
  for (const url of [one.url, other])
    assert.deepEqual(await Promise.all([...before, ...after].map((token) => status(url, token))), [200, 200, 200, 200])
  // The test's own tokens are of the first key; dana's must be of the key that signs.
  const headers = { authorization: `Bearer ${await fetched(one.url, "dana")}`, "content-type": "application/json" }
  const body = JSON.stringify({ reason: "both were copied", distrust: true })
  assert.equal((await fetch(`${other}/v1/authorities/token/rotate`, { method: "POST", headers, body })).status, 200)
  await eventually("the first to believe none of them", async () => {
    const all = await Promise.all([one.url, other].flatMap((url) => [...before, ...after].map((token) => status(url, token))))
    return all.every((code) => code === 401)
  })
  await eventually("both to sign with keys that both believe", async () => {
    const tokens = [await fetched(one.url), await fetched(other)]
    const all = await Promise.all([one.url, other].flatMap((url) => tokens.map((token) => status(url, token))))
    return all.every((code) => code === 200)
  })
}

// A SQLite file is one service's.
if (onPostgres)
  test("rotation: every service of the store signs with another key, and believes no distrusted one of the others", twoServices)
