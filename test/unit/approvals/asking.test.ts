// What a gateway asks for on behalf of somebody who stands before it, and what is left when they leave.
import assert from "node:assert/strict"
import { suite, test, type TestContext } from "node:test"
import type { RequestView } from "../../../src/api/schema.ts"
import { limits } from "../../../src/core/limits.ts"
import { parsePattern } from "../../../src/core/pattern.ts"
import { by, hour, type Reply, type Service, startService, testConfig } from "./service.ts"

let waiters = 0
const newWaiter = (): string => `w_${String(++waiters).padStart(16, "0")}`

interface Wait {
  readonly waiter: string
  readonly reply: Reply
  leave(more?: object): Promise<Reply>
}

const asker = { gateway: "gw", subject: "alice@example.com", client: "203.0.113.7:52044" }

async function askHere(service: Service, more: object = {}): Promise<Wait> {
  const waiter = newWaiter()
  const body = { ...asker, waiter, protocol: "ssh", until: service.clock.now() + 600_000, target: "prod-host", as: ["root"] }
  const reply = await service.call("gateway", "POST /v1/gateway/requests", { ...body, duration_ms: hour, reason: "INC-7", ...more })
  return {
    waiter,
    reply,
    leave: (other = {}) => service.call("gateway", `POST /v1/gateway/requests/${reply.body.id}/leave`, { ...asker, waiter, ...other }),
  }
}

async function offer(service: Service, query: string): Promise<unknown> {
  const { status, body } = await service.call("gateway", `GET /v1/gateway/offer?${query}`)
  assert.equal(status, 200)
  return (body as unknown as { offer: unknown }).offer
}

const statusOf = async (service: Service, id: string | number): Promise<string> =>
  (await service.call("alice", `GET /v1/requests/${id}`)).body.status

async function events(
  service: Service,
  request: unknown,
): Promise<readonly { kind: string; by: string; from: string; detail: { asked_in?: object } }[]> {
  const { body } = await service.call("gina", "GET /v1/audit?limit=100")
  const { events: all } = body as unknown as {
    events: { request: unknown; kind: string; by: string; from: string; detail: { asked_in?: object } }[]
  }
  return all.filter((event) => event.request === request)
}

suite("asking from within a tool, at the service", () => {
  test("what may be asked for is said in the rule's words; of what cannot be, and of what is not there, nothing is", async (t) => {
    const service = await startService(t)
    const alice = "subject=alice@example.com"
    assert.deepEqual(await offer(service, `${alice}&target=prod-host&as=root`), {
      max_ms: 4 * hour,
      at_once: false,
      by: ["oncall"],
      count: 1,
      reason_required: true,
      ticket: null,
    })
    assert.deepEqual(await offer(service, `${alice}&target=grafana`), {
      max_ms: 400 * 24 * hour,
      at_once: true,
      by: [],
      count: 0,
      reason_required: false,
      ticket: null,
    })
    for (const query of [
      `${alice}&target=nobody-may`,
      `${alice}&target=no-such-thing`,
      `${alice}&target=prod-host&as=nobody-here`,
      `${alice}&target=deploy-only&as=root`,
      "subject=frank@example.com&target=prod-host",
      "subject=nobody@example.com&target=prod-host",
    ])
      assert.equal(await offer(service, query), null, query)
  })

  test("what waits already is theirs too, though it asks for another time", async (t) => {
    const service = await startService(t)
    const asked = await service.call("alice", "POST /v1/requests", {
      target: "prod-host",
      as: ["root"],
      duration_ms: 2 * hour,
      reason: "INC-7",
    })
    const { reply } = await askHere(service)
    assert.deepEqual([reply.status, reply.body.id], [200, asked.body.id])
  })

  test("what a rule gives only with a fresh login, or by breaking the glass, is not offered, and not given either", async (t) => {
    const { policy } = testConfig("/")
    const rule = { ...policy.access[1]!, targets: { names: ["prod-host"] } }
    const service = await startService(t, { policy: { ...policy, access: [{ ...rule, login: { max_age_ms: hour } }] } })
    assert.equal(await offer(service, "subject=alice@example.com&target=prod-host"), null)
    assert.deepEqual((await askHere(service)).reply.body.code, "login_needed")
    const glass = { review: ["oncall"], within_ms: hour }
    await service.restart({ policy: { ...policy, access: [{ ...rule, approve: glass }] } })
    assert.equal(await offer(service, "subject=alice@example.com&target=prod-host"), null)
    assert.deepEqual((await askHere(service)).reply.body.code, "not_askable")
  })

  test("the rules are those of everybody who asks: a reason, its ticket, the longest time, the accounts", async (t) => {
    const { policy } = testConfig("/")
    const [, prod] = policy.access
    const access = [{ ...prod!, ticket: parsePattern("INC-[0-9]+") }]
    const service = await startService(t, { policy: { ...policy, access } })
    for (const [more, code] of [
      [{ reason: "" }, "invalid"],
      [{ reason: "no ticket" }, "invalid"],
      [{ reason: "INC-7 \u202e" }, "invalid"],
      [{ duration_ms: 5 * hour }, "too_long"],
      [{ as: ["nobody-here"] }, "not_askable"],
      [{ target: "nobody-may" }, "not_askable"],
      [{ target: "no-such-thing" }, "not_askable"],
      [{ subject: "nobody@example.com" }, "not_found"],
      [{ login: "l_0000000000000000" }, "login_over"],
    ] as const)
      assert.equal((await askHere(service, more)).reply.body.code, code, JSON.stringify(more))
    assert.equal((await service.call("dana", "GET /v1/requests")).body.requests.length, 0)
  })

  test("the audit log says through which gateway, in what, and from which address it was asked", async (t) => {
    const service = await startService(t)
    const { reply } = await askHere(service)
    const [asked] = await events(service, reply.body.id)
    assert.deepEqual([asked?.kind, asked?.by, asked?.from], ["request.asked", "alice@example.com", "203.0.113.7:52044"])
    assert.deepEqual(asked?.detail.asked_in, { gateway: "gw", protocol: "ssh" })
  })

  test("who leaves takes it back, once; what somebody has decided stays decided", async (t) => {
    const service = await startService(t)
    const wait = await askHere(service)
    assert.equal(await statusOf(service, wait.reply.body.id), "pending")
    assert.equal((await wait.leave()).body.status, "withdrawn")
    assert.equal((await wait.leave()).body.status, "withdrawn")
    const kinds = (await events(service, wait.reply.body.id)).map(({ kind }) => kind)
    assert.deepEqual(kinds, ["request.withdrawn", "request.asked"])

    const other = await askHere(service)
    await service.call("bob", `POST /v1/requests/${other.reply.body.id}/approve`, {})
    assert.equal((await other.leave()).body.status, "approved")
  })

  test("one approval of two has been given: it stays when the one who asked leaves", async (t) => {
    const { policy } = testConfig("/")
    const access = [{ ...policy.access[1]!, approve: by(["oncall"], 2) }]
    const service = await startService(t, { policy: { ...policy, access } })
    const wait = await askHere(service)
    await service.call("bob", `POST /v1/requests/${wait.reply.body.id}/approve`, {})
    assert.equal((await wait.leave()).body.status, "pending")
  })

  test("twenty tools that ask the same wait for one request, which is taken back with the last of them", async (t) => {
    const service = await startService(t)
    const waits = await Promise.all(Array.from({ length: 20 }, () => askHere(service)))
    const ids = new Set(waits.map(({ reply }) => reply.body.id))
    assert.equal(ids.size, 1)
    const last = waits.pop()
    for (const wait of waits) assert.equal((await wait.leave()).body.status, "pending")
    assert.equal((await last?.leave())?.body.status, "withdrawn")
  })

  test("a tool that was not heard of again, as when its gateway dies, holds nothing after its time", async (t) => {
    const service = await startService(t)
    await askHere(service)
    const other = await askHere(service, { until: service.clock.now() + 900_000 })
    service.clock.advance(600_000)
    assert.equal((await other.leave()).body.status, "withdrawn")
  })

  test("no tool waits longer than the bound, whatever a gateway says", async (t) => {
    const service = await startService(t)
    await askHere(service, { until: service.clock.now() + 10 * limits.ask_wait_ms_max })
    const [{ until } = {}] = await service.query("select until from waits")
    assert.equal(Number(until), service.clock.now() + limits.ask_wait_ms_max)
  })

  test("what was asked for by itself is found, and not taken back when a tool that waited for it leaves", async (t) => {
    const service = await startService(t)
    const { body } = await service.ask({ as: ["root"] })
    const wait = await askHere(service)
    assert.equal(wait.reply.body.id, body.id)
    assert.equal((await wait.leave()).body.status, "pending")
  })

  test("nobody leaves what is another's", async (t) => {
    const service = await startService(t)
    const wait = await askHere(service)
    assert.equal((await wait.leave({ subject: "carol@example.com" })).status, 404)
    assert.equal(await statusOf(service, wait.reply.body.id), "pending")
  })

  test("a rule that gives it by itself has given it with the answer", async (t) => {
    const service = await startService(t)
    const { reply } = await askHere(service, { target: "grafana", as: undefined, reason: "" })
    assert.deepEqual([reply.body.status, reply.body.grant?.status], ["approved", "active"])
  })

  test("gateways hear what became of it, with the words, also those who come back after it", async (t) => {
    const service = await startService(t)
    const { reply } = await askHere(service)
    const id = reply.body.id as unknown as RequestView["id"]
    await service.call("bob", `POST /v1/requests/${id}/deny`, { reason: "not today" })
    const lines = await feedAfter(t, service, 0)
    assert.deepEqual(
      lines.filter(({ kind }) => kind === "request").map(({ sequence: _sequence, ...line }) => line),
      [{ kind: "request", request: id, status: "denied", by: "bob@example.com", reason: "not today" }],
    )
  })
})

/** What the feed says up to its first beat. */
async function feedAfter(t: TestContext, service: Service, after: number): Promise<{ kind: string; sequence: number }[]> {
  const stop = new AbortController()
  t.after(() => stop.abort())
  const headers = { authorization: "Bearer a-gateway-key-of-the-tests" }
  const response = await fetch(`${service.url}/v1/gateway/feed?after=${after}`, { headers, signal: stop.signal })
  let text = ""
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    text += Buffer.from(chunk).toString()
    if (text.includes('"kind":"beat"')) break
  }
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as { kind: string; sequence: number })
}
