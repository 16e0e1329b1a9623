// Gateways with names and keys of their own: each is believed about itself alone, and not any more once its name is taken away.
import assert from "node:assert/strict"
import test from "node:test"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import type { NamedGateway } from "../../../src/config/config.ts"
import { passed_on } from "../../../src/api/passed_on.ts"
import { contentOfCall, contentPassedOn, queryOf } from "../../../src/api/signed_call.ts"
import { limits } from "../../../src/core/limits.ts"
import type { Secret } from "../../../src/core/secret.ts"
import { gatewayPublicKey, gatewaySigner } from "../../../src/identity/gateway_assertion.ts"
import { eventually } from "../../support/wait.ts"
import { gatewayKey, type Reply, type Service, startService } from "./service.ts"

const keys = { one: generateOpensshKey("one").private, two: generateOpensshKey("two").private }
const named = (name: string, key?: Secret): NamedGateway => ({ name, key: key && gatewayPublicKey(key) })
const list = [named("one.gw", keys.one), named("two.gw", keys.two)]

/** A service that knows these gateways alone; the list may be changed while it runs. */
async function startListed(t: test.TestContext, gateways: readonly NamedGateway[] | undefined): Promise<Service> {
  const service = await startService(t)
  await service.restart({ approvals: { ...service.config.approvals, gateways } })
  return service
}

const assertion = async (service: Service, as: { name: string; key: Secret }, line: string, content?: string): Promise<string> => {
  const [method = "", path = ""] = line.split(" ")
  const signer = gatewaySigner({ name: as.name, privateKey: as.key, clock: service.clock })
  return (await signer({ method, path: path.split("?")[0] ?? "", content: content ?? contentOfCall(queryOf(path), "") })).reveal()
}
const calls = async (service: Service, as: { name: string; key: Secret }, line: string, body?: object): Promise<Reply> => {
  const content = contentOfCall(queryOf(line), body ? JSON.stringify(body) : "")
  const authorization = `Bearer ${await assertion(service, as, line, content)}`
  return service.call(undefined, line, body, { headers: { authorization, "content-type": "application/json" } })
}
const one = { name: "one.gw", key: keys.one }
const reportLine = "POST /v1/gateway/sessions"
const refusals = async (service: Service) =>
  (await service.query("select by_name, detail from events where kind = 'gateway.refused'")).map(({ by_name, detail }) => [by_name, detail])

test("gateways: one with a key of its own speaks for itself and its processes, and for nobody else, on record", async (t) => {
  const service = await startListed(t, list)
  for (const gateway of ["one.gw", "one.gw/0", "one.gw/3"])
    assert.equal((await calls(service, one, reportLine, { gateway, reports: [] })).status, 200, gateway)
  for (const gateway of ["two.gw", "two.gw/0", "one.gw.evil", "one.gw/", "one.gw/x", "one.gw/0/1", "/one.gw"])
    assert.equal((await calls(service, one, reportLine, { gateway, reports: [] })).status, 403, gateway)
  assert.deepEqual(await refusals(service), [["one.gw", '{"claimed":"two.gw"}']], "a minute has one line")
  service.clock.advance(limits.gateway_refused_ms)
  const begin = await calls(service, one, "POST /v1/gateway/grants/g_0000000000000000/begin", { gateway: "two.gw" })
  const use = await calls(service, one, "POST /v1/gateway/grants/g_0000000000000000/use", {
    gateway: "two.gw",
    session: "s_0000000000000000",
  })
  assert.deepEqual([begin.status, use.status], [403, 403])
  assert.equal((await refusals(service)).length, 2)
  assert.equal((await calls(service, one, "POST /v1/gateway/grants/g_0000000000000000/begin", { gateway: "one.gw" })).status, 404)
})

test("gateways: where all have keys of their own, the shared key opens nothing", async (t) => {
  const service = await startListed(t, list)
  assert.equal((await service.call("gateway", reportLine, { gateway: "one.gw", reports: [] })).status, 401)
  assert.equal((await service.call("gateway", "GET /v1/gateway/people?subject=alice%40example.com")).status, 401)
})

test("gateways: one without a key of its own speaks with the shared one, and that one for no other", async (t) => {
  const service = await startListed(t, [...list, named("three.gw")])
  const report = async (gateway: string) => (await service.call("gateway", reportLine, { gateway, reports: [] })).status
  assert.deepEqual([await report("three.gw"), await report("one.gw"), await report("four.gw")], [200, 403, 403])
})

test("gateways: without a list the shared key is good for any name", async (t) => {
  const service = await startListed(t, undefined)
  for (const gateway of ["any.gw", "other.gw/1"])
    assert.equal((await service.call("gateway", reportLine, { gateway, reports: [] })).status, 200)
})

test("gateways: a key that is not listed, a name without its key, and an assertion for another call are nobody's", async (t) => {
  const service = await startListed(t, list)
  const body = { gateway: "one.gw", reports: [] }
  assert.equal((await calls(service, { name: "one.gw", key: keys.two }, reportLine, body)).status, 401)
  assert.equal((await calls(service, { name: "four.gw", key: generateOpensshKey("four").private }, reportLine, body)).status, 401)
  const other = await assertion(service, one, "GET /v1/gateway/people?subject=alice%40example.com")
  const headers = { authorization: `Bearer ${other}`, "content-type": "application/json" }
  assert.equal((await service.call(undefined, reportLine, body, { headers })).status, 401)
  assert.equal((await service.call(undefined, "GET /v1/gateway/people?subject=alice%40example.com", undefined, { headers })).status, 200)
  const replayed = (await service.call(undefined, "GET /v1/gateway/people?subject=alice%40example.com", undefined, { headers })).status
  assert.equal(replayed, 401, "it was shown before")
  const late = {
    ...headers,
    authorization: `Bearer ${await assertion(service, one, "GET /v1/gateway/people?subject=alice%40example.com")}`,
  }
  service.clock.advance(limits.gateway_assertion_ms + limits.token_clock_skew_ms_max + 1000)
  assert.equal(
    (await service.call(undefined, "GET /v1/gateway/people?subject=alice%40example.com", undefined, { headers: late })).status,
    401,
  )
  const said = (words: string): number => service.log.filter((line) => line.includes('"level":"warn"') && line.includes(words)).length
  assert.equal(said("what a gateway signed was not accepted"), 2, "of many in one minute, one is told")
  assert.equal(said("a gateway that is not listed was refused"), 1)
  assert(!service.log.join("").includes(other))
})

test("gateways: what a named gateway says about whom it passes on counts, and a stranger's word does not", async (t) => {
  const service = await startListed(t, list)
  const token = await service.token("alice")
  const ask = async (key: string, target: string) => {
    const headers = {
      authorization: `Bearer ${token}`,
      "content-type": "application/json",
      [passed_on.key]: key,
      [passed_on.client]: "198.51.100.9:4000",
    }
    const { status } = await service.call(undefined, "POST /v1/requests", { target, duration_ms: 3_600_000, reason: "why" }, { headers })
    assert.equal(status, 200, target)
    return (await service.query("select from_address from events where kind = 'request.asked' order by sequence desc"))[0]?.["from_address"]
  }
  const passing = (line: string, client = "198.51.100.9:4000") => assertion(service, one, line, contentPassedOn(client))
  assert.equal(await ask(await passing("POST /v1/requests"), "prod-host"), "198.51.100.9:4000")
  assert.match(String(await ask(await passing("GET /v1/requests"), "two-keys")), /^127\.0\.0\.1:/)
  assert.match(String(await ask(await passing("POST /v1/requests", "192.0.2.1:4000"), "deploy-only")), /^127\.0\.0\.1:/)
  assert.match(String(await ask(gatewayKey, "grafana")), /^127\.0\.0\.1:/)
})

test("gateways: one that is taken from the list is heard no more, and its feed ends", async (t) => {
  const gateways = [...list]
  const service = await startListed(t, gateways)
  const headers = { authorization: `Bearer ${await assertion(service, one, "GET /v1/gateway/feed")}` }
  const feed = await fetch(`${service.url}/v1/gateway/feed`, { headers })
  assert.equal(feed.status, 200)
  let ended = false
  const read = (async () => {
    for await (const _ of feed.body ?? []);
  })().then(
    () => (ended = true),
    () => (ended = true),
  )
  gateways.shift()
  await eventually("the feed to end", () => {
    service.clock.advance(limits.heartbeat_ms)
    return ended
  })
  await read
  assert.equal((await calls(service, one, reportLine, { gateway: "one.gw", reports: [] })).status, 401)
})
