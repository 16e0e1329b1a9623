// Which gateways there are, and what becomes of the sessions of one that is not heard any more.
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import type { GatewaysAnswer, GatewayView, Presence, PresenceAnswer } from "../../../src/api/schema.ts"
import { newInstanceId, newSessionId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import { version } from "../../../src/observe/version.ts"
import { onPostgres } from "../../support/store.ts"
import { eventually } from "../../support/wait.ts"
import { hour, type Service, startService } from "./service.ts"

interface Speaker {
  readonly instance: string
  say(more?: Partial<Presence>, at?: Service): Promise<PresenceAnswer>
  report(reports: object[], more?: object): Promise<unknown>
}

/** A gateway as the service hears it. */
function gateway(service: Service, name = "gw"): Speaker {
  const instance = newInstanceId()
  const started_at = service.clock.now()
  return {
    instance,
    async say(more = {}, at = service) {
      const word = { gateway: name, instance, version, started_at, listening: { ssh: "0.0.0.0:2222" }, ...more }
      const { status, body } = await at.call("gateway", "POST /v1/gateway/presence", word)
      assert.equal(status, 200, body.message)
      return body as unknown as PresenceAnswer
    },
    async report(reports, more = {}) {
      assert.equal((await service.call("gateway", "POST /v1/gateway/sessions", { gateway: name, reports, ...more })).status, 200)
    },
  }
}

const list = async (service: Service): Promise<readonly GatewayView[]> =>
  ((await service.call("gina", "GET /v1/gateways")).body as unknown as GatewaysAnswer).gateways
const statuses = async (service: Service) => (await list(service)).map(({ name, status }) => `${name} ${status}`)
const events = async (service: Service, family = "gateway") =>
  (await service.query(`select kind from events where kind like '${family}.%' order by sequence`)).map(({ kind }) => kind)
const session = (service: Service, grant: string, of = "gw") => ({
  event: "started",
  session: {
    id: newSessionId(),
    gateway: of,
    protocol: "ssh",
    subject: "alice@example.com",
    target: "prod-host",
    as: "root",
    grant,
    client: "203.0.113.7:52044",
    started_at: service.clock.now(),
  },
})
async function grantOf(service: Service): Promise<string> {
  const { body } = await service.ask()
  const { body: approved } = await service.call("bob", `POST /v1/requests/${body.id}/approve`, {})
  assert(approved.grant)
  return approved.grant.id
}
const catalogue = async (service: Service) =>
  Object.fromEntries((await service.call("dana", "GET /v1/sessions")).body.sessions.map(({ id, ended_why }) => [id, ended_why ?? "live"]))

/** Time passes in small steps, as it does; `meanwhile` at each. Settles when `condition` holds. */
async function pass(service: Service, what: string, condition: () => Promise<boolean>, meanwhile?: () => Promise<unknown>): Promise<void> {
  await eventually(what, async () => {
    service.clock.advance(limits.sweep_ms / 2)
    await meanwhile?.()
    return condition()
  })
}
const passFor = (service: Service, ms: number, meanwhile?: () => Promise<unknown>): Promise<void> => {
  const until = service.clock.now() + ms
  return pass(service, "time", async () => service.clock.now() >= until, meanwhile)
}
const isLost = (service: Service) => async () => (await statuses(service)).includes("gw lost")

async function withSession(t: TestContext): Promise<{ service: Service; gw: Speaker; start: ReturnType<typeof session>; id: string }> {
  const service = await startService(t)
  const gw = gateway(service)
  await gw.say()
  const start = session(service, await grantOf(service))
  await gw.report([start])
  return { service, gw, start, id: start.session.id }
}

test("gateways: listed with their version, what they listen on, how many sessions they have, and which service hears them", async (t) => {
  const { service, gw } = await withSession(t)
  assert.deepEqual((await gateway(service, "other").say({ version: "0.0.1" })).announce, true)
  assert.equal((await gw.say()).announce, false, "it is known")
  const [one, other] = await list(service)
  assert(one && other)
  const { from, service: hears, started_at, seen_at, ...rest } = one
  assert.deepEqual(rest, {
    name: "gw",
    instance: gw.instance,
    version,
    other_version: false,
    listening: { ssh: "0.0.0.0:2222" },
    status: "live",
    lost_at: null,
    sessions: 1,
  })
  assert.match(from, /^127\.0\.0\.1:\d+$/)
  assert.match(hears, new RegExp(`:${new URL(service.url).port}$`))
  assert.deepEqual([started_at, seen_at], [service.clock.now(), service.clock.now()])
  assert.deepEqual([other.version, other.other_version, other.sessions], ["0.0.1", true, 0])
  assert.deepEqual(await events(service), ["gateway.joined", "gateway.joined"])
})

test("gateways: one that speaks stays, for as long as it does", async (t) => {
  const { service, gw, id } = await withSession(t)
  await passFor(service, 3 * limits.gateway_lost_ms, () => gw.say())
  assert.deepEqual(await statuses(service), ["gw live"])
  assert.equal((await catalogue(service))[id], "live")
  assert.deepEqual(await events(service), ["gateway.joined"])
})

test("gateways: one that is silent is said to be, then given up with its sessions, once, within the bound", async (t) => {
  const { service, gw, id } = await withSession(t)
  const other = gateway(service, "other")
  await other.say()
  const kept = session(service, "g_0000000000000000", "other")
  await other.report([kept])
  const last = service.clock.now()
  await gw.say()
  await passFor(service, limits.gateway_silent_ms + 1000, () => other.say())
  assert.deepEqual(await statuses(service), ["gw silent", "other live"])
  assert.equal((await catalogue(service))[id], "live")
  await pass(service, "it to be given up", isLost(service), () => other.say())
  await pass(service, "its session to be", async () => (await catalogue(service))[id] === "gateway_lost")
  const [lost] = await service.query("select at, by_name from events where kind = 'gateway.lost'")
  const late = Number(lost?.["at"]) - last
  assert(late >= limits.gateway_lost_ms && late <= limits.gateway_lost_ms + 2 * limits.sweep_ms, String(late))
  assert.equal(lost?.["by_name"], "gw")
  await passFor(service, limits.gateway_lost_ms / 2, () => other.say())
  assert.deepEqual(await events(service), ["gateway.joined", "gateway.joined", "gateway.lost"])
  assert.equal((await catalogue(service))[kept.session.id], "live", "another's goes on")
})

test("gateways: one that was only cut off is back, says what it holds, and its sessions are live again, or have their true end", async (t) => {
  const { service, gw, start, id } = await withSession(t)
  const ended = session(service, "g_0000000000000000")
  await gw.report([ended])
  await pass(service, "it to be given up", isLost(service))
  const end = { event: "ended", id: ended.session.id, ended_at: service.clock.now() - 7000, ended_why: "expired" }
  assert.equal((await gw.say()).announce, true)
  assert.equal((await gw.say()).announce, false)
  await gw.report([start, end])
  await gw.report([], { live: [id] })
  assert.deepEqual(await catalogue(service), { [id]: "live", [ended.session.id]: "expired" })
  assert.deepEqual(await statuses(service), ["gw live"])
  const [row] = await service.query(`select ended_at from sessions where id = '${ended.session.id}'`)
  assert.equal(row?.["ended_at"], end.ended_at)
  assert.deepEqual(await events(service), ["gateway.joined", "gateway.lost", "gateway.returned"])
  assert.deepEqual((await events(service, "session")).slice(-2), ["session.returned", "session.ended"])
  await gw.report([{ event: "ended", id, ended_at: service.clock.now(), ended_why: "closed" }])
  assert.equal((await catalogue(service))[id], "closed")
  await gw.report([start])
  assert.equal((await catalogue(service))[id], "closed", "what has its true end does not come back")
})

test("gateways: a session that was given up can be killed still: its gateway hears of it when it is back", async (t) => {
  const { service, gw, id } = await withSession(t)
  await pass(service, "it to be given up", async () => (await catalogue(service))[id] === "gateway_lost")
  assert.equal((await service.call("dana", `POST /v1/sessions/${id}/kill`, { reason: "stolen" })).status, 200)
  await gw.report([{ event: "ended", id, ended_at: service.clock.now(), ended_why: "killed" }])
  assert.equal((await service.call("dana", `POST /v1/sessions/${id}/kill`, { reason: "again" })).status, 409)
})

test("gateways: one that was started anew takes its name's place, and its former sessions end at once", async (t) => {
  const { service, gw, id } = await withSession(t)
  service.clock.advance(1000)
  const anew = gateway(service)
  assert.deepEqual([(await anew.say()).announce, (await anew.say()).announce], [true, false])
  await anew.report([], { live: [] })
  assert.equal((await catalogue(service))[id], "interrupted")
  assert.deepEqual(
    (await list(service)).map(({ instance }) => instance),
    [anew.instance],
  )
  const late = await gw.say()
  assert.deepEqual([late.superseded, late.announce], [true, false], "two gateways of one name: the former is told")
  assert.deepEqual(await events(service), ["gateway.joined", "gateway.joined"])
})

test("gateways: one that says goodbye is listed no more, and is not lost", async (t) => {
  const service = await startService(t)
  const gw = gateway(service)
  await gw.say()
  await gateway(service, "gw").say({ leaving: true }) // a stranger to the list
  assert.deepEqual(await statuses(service), ["gw live"])
  await gw.say({ leaving: true })
  assert.deepEqual(await statuses(service), [])
  await passFor(service, 2 * limits.gateway_lost_ms)
  assert.deepEqual(await events(service), ["gateway.joined", "gateway.left"])
})

test("gateways: a service that was down, or slept, gives nobody up before it could have heard them", async (t) => {
  const { service, gw, id } = await withSession(t)
  await service.restart()
  service.clock.advance(hour)
  await service.restart()
  await passFor(service, limits.gateway_lost_ms - limits.sweep_ms)
  assert.equal((await catalogue(service))[id], "live")
  assert.equal((await gw.say()).announce, false, "nothing was lost")
  service.clock.jump(hour)
  await passFor(service, limits.gateway_lost_ms - limits.sweep_ms)
  assert.equal((await catalogue(service))[id], "live")
  await pass(service, "it to be given up, now that it was not heard", async () => (await catalogue(service))[id] === "gateway_lost")
})

test("gateways: fewer processes than before: those that are not any more are listed no more, and not lost", async (t) => {
  const service = await startService(t)
  for (const name of ["gw/0", "gw/1", "gw/2", "other/2"]) await gateway(service, name).say()
  await gateway(service, "gw/0").say({ workers: 2 })
  assert.deepEqual(await statuses(service), ["gw/0 live", "gw/1 live", "other/2 live"])
})

test("gateways: there can be so many and no more, and a lost one is forgotten in time", async (t) => {
  const { service, gw, id } = await withSession(t)
  await pass(service, "it to be given up", async () => (await catalogue(service))[id] === "gateway_lost")
  const values = Array.from({ length: limits.gateways_max - 1 }, (_, n) => `('n${n}', 'i_0000000000000000', '1', 1, '{}', 's', 'f', 1, 1)`)
  await service.query(`insert into gateways values ${values.join(", ")}`)
  const word = { gateway: "one-more", instance: newInstanceId(), version, started_at: 1, listening: {} }
  assert.equal((await service.call("gateway", "POST /v1/gateway/presence", word)).status, 429)
  await gw.say()
  await pass(
    service,
    "those lost long ago to be forgotten",
    async () => (await list(service)).length === 1,
    () => gw.say(),
  )
  assert.equal((await service.call("gateway", "POST /v1/gateway/presence", word)).status, 200)
})

// A SQLite file has one service.
if (onPostgres)
  test("gateways: of several services on one store, one gives a gateway up, and any hears it", async (t) => {
    const { service, gw, id } = await withSession(t)
    const second = await startService(t, { approvals: service.config.approvals }, service.clock)
    const third = await startService(t, { approvals: service.config.approvals }, service.clock)
    await passFor(service, 2 * limits.gateway_lost_ms, () => gw.say())
    assert.deepEqual(await statuses(second), ["gw live"], "what one service hears, all know")
    await pass(service, "it to be given up", async () => (await catalogue(third))[id] === "gateway_lost")
    await passFor(service, 3 * limits.sweep_ms)
    assert.deepEqual(await events(service), ["gateway.joined", "gateway.lost"])
    assert.deepEqual((await events(service, "session")).filter((kind) => kind === "session.ended").length, 1)
    assert.equal((await gw.say({}, second)).announce, true)
    const heardBy = async () => (await list(third))[0]?.service
    assert.match((await heardBy()) ?? "", new RegExp(`:${new URL(second.url).port}$`))
    assert.deepEqual(await events(service), ["gateway.joined", "gateway.lost", "gateway.returned"])
  })
