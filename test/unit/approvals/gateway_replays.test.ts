// What a gateway signed and somebody else caught on its way: at which of two services of one store it is good for what; and that
// gateways themselves get through wherever their calls land. Real HTTP; the round robin is a front of the test's own.
import assert from "node:assert/strict"
import { once } from "node:events"
import http from "node:http"
import type { AddressInfo } from "node:net"
import test, { type TestContext } from "node:test"
import { type ApiClient, createApiClient } from "../../../src/api/client.ts"
import { contentOfCall, contentPassedOn, queryOf } from "../../../src/api/signed_call.ts"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { limits } from "../../../src/core/limits.ts"
import { gatewayPublicKey, gatewaySigner } from "../../../src/identity/gateway_assertion.ts"
import type { FakeClock } from "../../support/fake_clock.ts"
import { onPostgres } from "../../support/store.ts"
import { type Reply, type Service, startService } from "./service.ts"

const { private: privateKey } = generateOpensshKey("gw")
const report = "POST /v1/gateway/sessions"
const said = JSON.stringify({ gateway: "gw", reports: [] })
const people = "GET /v1/gateway/people?subject=alice%40example.com"

async function startOne(t: TestContext): Promise<Service> {
  const one = await startService(t)
  const gateways = [{ name: "gw", key: gatewayPublicKey(privateKey) }]
  await one.restart({ approvals: { ...one.config.approvals, gateways } })
  return one
}

async function startTwo(t: TestContext): Promise<readonly [Service, Service]> {
  const one = await startOne(t)
  return [one, await startService(t, { approvals: one.config.approvals }, one.clock)]
}

/** A SQLite file has one service. */
function testOfTwo(name: string, work: (t: TestContext) => Promise<void>): void {
  if (onPostgres) void test(name, work)
}

const signerAt = (clock: FakeClock) => gatewaySigner({ name: "gw", privateKey, clock })
type Signer = ReturnType<typeof signerAt>

/** What `signer` would send now, caught. */
async function caught(signer: Signer, line: string, body = ""): Promise<string> {
  const [method = "", url = ""] = line.split(" ")
  return (await signer({ method, path: url.split("?")[0] ?? "", content: contentOfCall(queryOf(url), body) })).reveal()
}
const show = (service: Service, assertion: string, line: string, body?: string): Promise<Reply> => {
  const headers = { authorization: `Bearer ${assertion}`, ...(body === undefined ? {} : { "content-type": "application/json" }) }
  return service.call(undefined, line, body, { headers })
}
const remembered = async (service: Service): Promise<number> =>
  (await service.query("select digest from codes where kind = 'assertion'")).length

/** One who has been answered by `service`, and so signs for it. */
async function settledAt(service: Service): Promise<{ readonly signer: Signer; readonly api: ApiClient }> {
  const signer = signerAt(service.clock)
  const api = createApiClient({ url: service.url, credential: signer })
  await api.call("report", { body: { gateway: "gw", reports: [] } })
  return { signer, api }
}

testOfTwo("replays: what is signed for one service is refused by the other, before and after, and costs no write", async (t) => {
  const [one, two] = await startTwo(t)
  const { signer, api } = await settledAt(one)
  t.after(() => api.close())
  const before = await remembered(one)
  for (const line of [report, people, "GET /v1/gateway/feed"]) {
    const body = line === report ? said : undefined
    const assertion = await caught(signer, line, body)
    assert.equal((await show(two, assertion, line, body)).status, 401, `${line}, first at the other`)
    if (line.endsWith("feed")) continue
    assert.equal((await show(one, assertion, line, body)).status, 200, line)
    for (const again of [one, two]) assert.equal((await show(again, assertion, line, body)).status, 401, `${line}, again`)
  }
  assert.equal(await remembered(one), before)
})

testOfTwo("replays: what is signed for any service is taken by one of them, once, also when both are shown it at once", async (t) => {
  const [one, two] = await startTwo(t)
  for (const [first, second] of [
    [one, two],
    [two, one],
  ] as const) {
    const assertion = await caught(signerAt(one.clock), report, said)
    assert.equal((await show(first, assertion, report, said)).status, 200)
    for (const again of [second, first]) assert.equal((await show(again, assertion, report, said)).status, 401)
  }
  const assertion = await caught(signerAt(one.clock), report, said)
  const answers = await Promise.all([one, two, one, two].map((at) => show(at, assertion, report, said)))
  const statuses = answers.map(({ status }) => status)
  assert.deepEqual(
    statuses.toSorted((a, b) => a - b),
    [200, 401, 401, 401],
  )
})

test("replays: with another body, another query, or for a call that is passed on, it is nobody's, and nothing is done", async (t) => {
  const one = await startOne(t)
  const session = { event: "started", session: { id: "s_0123456789abcdef" } }
  for (const body of [`${said} `, said.replace("[]", JSON.stringify([session])), "{}"])
    assert.equal((await show(one, await caught(signerAt(one.clock), report, said), report, body)).status, 401, body)
  const bob = people.replace("alice", "bob")
  for (const line of [bob, people.replace("?", "?x=1&"), people.replace(/\?.*/, "")])
    assert.equal((await show(one, await caught(signerAt(one.clock), people), line)).status, 401, line)
  const [method = "", path = ""] = report.split(" ")
  const passed = await signerAt(one.clock)({ method, path, content: contentPassedOn("192.0.2.1:5"), once: true })
  assert.equal((await show(one, passed.reveal(), report, said)).status, 401)
  assert.equal((await one.call("dana", "GET /v1/sessions")).body.sessions.length, 0)
  assert.equal((await show(one, await caught(signerAt(one.clock), people), people)).status, 200, "unchanged it is good")
})

test("replays: a service that was started anew takes nothing that was meant for it before, and its gateways get through at once", async (t) => {
  const one = await startOne(t)
  const { signer, api: former } = await settledAt(one)
  t.after(() => former.close())
  const assertion = await caught(signer, report, said)
  const anywhere = await caught(signerAt(one.clock), report, said)
  assert.equal((await show(one, assertion, report, said)).status, 200)
  assert.equal((await show(one, anywhere, report, said)).status, 200)
  await one.restart()
  for (const old of [assertion, anywhere]) assert.equal((await show(one, old, report, said)).status, 401)
  const api = createApiClient({ url: one.url, credential: signer })
  t.after(() => api.close())
  const calls = Array.from({ length: 5 }, () => api.call("report", { body: { gateway: "gw", reports: [] } }))
  assert.equal((await Promise.all(calls)).length, 5)
})

testOfTwo("replays: behind one address that leads to this service and to that one, every call gets through", async (t) => {
  const services = await startTwo(t)
  const [{ clock }] = services
  let asked = 0
  const front = http.createServer((request, response) => {
    const { port } = new URL(services[asked++ % 2]!.url)
    const { method, url: path, headers } = request
    const onward = http.request({ host: "127.0.0.1", port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers)
      answer.pipe(response)
    })
    request.pipe(onward)
  })
  front.listen(0, "127.0.0.1")
  await once(front, "listening")
  const api = createApiClient({ url: `http://127.0.0.1:${(front.address() as AddressInfo).port}`, credential: signerAt(clock) })
  t.after(async () => {
    await api.close()
    front.closeAllConnections()
    front.close()
  })
  for (let minute = 0; minute < 3; minute++) {
    asked = 0
    for (let call = 0; call < 10; call++) {
      await api.call("report", { body: { gateway: "gw", reports: [] } })
      assert.equal((await api.call("person", { query: { subject: "alice@example.com" } })).disabled, false)
    }
    assert(asked <= 20 + 2 * limits.gateway_tries_max, `few are sent twice, not ${asked - 20} of 20`)
    clock.advance(limits.gateway_unaddressed_ms + 1)
  }
})

test("replays: what the store has no room to remember is not taken, until what is over has made room", async (t) => {
  const one = await startOne(t)
  const { clock } = one
  const until = clock.now() + 1000
  await one.query(
    `insert into codes with recursive many(n) as (select 1 union all select n + 1 from many where n < ${limits.gateway_assertions_shared_max})
     select 'digest ' || n, 'assertion', null, ${until}, '{}' from many`,
  )
  const assertion = await caught(signerAt(clock), report, said)
  assert.equal((await show(one, assertion, report, said)).status, 429)
  clock.advance(2001)
  assert.equal((await show(one, await caught(signerAt(clock), report, said), report, said)).status, 200)
  assert.equal(await remembered(one), 1)
})
