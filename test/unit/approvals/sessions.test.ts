// The catalogue of sessions: what gateways report, who sees it, and kill.
import assert from "node:assert/strict"
import test from "node:test"
import { newSessionId } from "../../../src/core/ids.ts"
import { hour, type Reply, type Service, startService } from "./service.ts"

const codeOf = ({ status, body }: Reply): [number, string] => [status, body.code]

async function granted(service: Service): Promise<string> {
  const { body } = await service.ask()
  const { body: approved } = await service.call("bob", `POST /v1/requests/${body.id}/approve`, {})
  assert(approved.grant)
  return approved.grant.id
}

const started = (service: Service, grant: string, { id = newSessionId(), gateway = "gw" } = {}) => ({
  event: "started",
  session: {
    id,
    gateway,
    protocol: "ssh",
    subject: "alice@example.com",
    target: "prod-host",
    as: "root",
    grant,
    client: "203.0.113.7:52044",
    started_at: service.clock.now(),
  },
})
const report = (service: Service, reports: object[], rest: object = {}) =>
  service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw", reports, ...rest })
const live = async (service: Service, who = "dana") =>
  (await service.call(who, "GET /v1/sessions?live=true")).body.sessions.map(({ id }) => id)
const all = async (service: Service) => (await service.call("dana", "GET /v1/sessions")).body.sessions

test("sessions: reported, seen by those who may, and ended", async (t) => {
  const service = await startService(t)
  const start = started(service, await granted(service))
  const { id } = start.session
  assert.deepEqual(await report(service, [start]), { status: 200, body: {} })
  assert.deepEqual(await Promise.all(["alice", "bob", "dana", "carol", "frank"].map((who) => live(service, who))), [
    [id],
    [id],
    [id],
    [],
    [],
  ])
  service.clock.advance(1000)
  await report(service, [{ event: "ended", id, ended_at: service.clock.now(), ended_why: "closed" }])
  assert.deepEqual(await live(service), [])
  assert.deepEqual(await all(service), [{ ...start.session, ended_at: service.clock.now(), ended_why: "closed", may_end: false }])
})

test("sessions: reports that are sent again change nothing", async (t) => {
  const service = await startService(t)
  const start = started(service, await granted(service))
  const end = { event: "ended", id: start.session.id, ended_at: service.clock.now() + 5, ended_why: "revoked" }
  await report(service, [start, end])
  const before = await all(service)
  await report(service, [
    start,
    { ...end, ended_why: "closed", ended_at: 1 },
    { event: "ended", id: newSessionId(), ended_at: 1, ended_why: "closed" },
  ])
  await report(service, [{ ...start, session: { ...start.session, subject: "carol@example.com" } }])
  assert.deepEqual(await all(service), before)
})

test("sessions: a gateway that restarted leaves interrupted what it does not know, and no other gateway's", async (t) => {
  const service = await startService(t)
  const grant = await granted(service)
  const [kept, lost, fresh] = [started(service, grant), started(service, grant), started(service, grant)]
  const other = started(service, grant, { gateway: "gw2" })
  await report(service, [kept, lost])
  await service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw2", reports: [other] })
  await report(service, [fresh], { live: [kept.session.id] })
  await report(service, [{ event: "ended", id: other.session.id, ended_at: service.clock.now(), ended_why: "closed" }])
  assert.deepEqual((await live(service)).sort(), [kept, fresh, other].map(({ session }) => session.id).sort())
  assert.deepEqual((await all(service)).find(({ id }) => id === lost.session.id)?.ended_why, "interrupted")
})

test("sessions: a gateway speaks for itself alone, and a report that is not sound changes nothing", async (t) => {
  const service = await startService(t)
  const grant = await granted(service)
  const own = started(service, grant)
  assert.deepEqual(codeOf(await report(service, [own, started(service, grant, { gateway: "gw2" })])), [400, "invalid"])
  assert.deepEqual(codeOf(await report(service, [own, { ...own, extra: 1 }])), [400, "invalid"])
  assert.deepEqual(codeOf(await report(service, [{ ...own, session: { ...own.session, id: "../../etc/passwd" } }])), [400, "invalid"])
  assert.deepEqual(await all(service), [])
})

test("sessions: a session of a grant this store does not know is kept, for its subject and administrators", async (t) => {
  const service = await startService(t)
  const start = started(service, "g_0000000000000000")
  await report(service, [start])
  assert.deepEqual(await Promise.all(["alice", "dana", "bob"].map((who) => live(service, who))), [
    [start.session.id],
    [start.session.id],
    [],
  ])
})

test("sessions: kill is for those who may end the grant; the grant stays, the session ends when its gateway says so", async (t) => {
  const service = await startService(t)
  const grant = await granted(service)
  const start = started(service, grant)
  const { id } = start.session
  await report(service, [start])
  const kill = (who: string) => service.call(who, `POST /v1/sessions/${id}/kill`, { reason: "wrong host" })
  assert.deepEqual(codeOf(await kill("alice")), [403, "forbidden"])
  assert.deepEqual(codeOf(await kill("carol")), [404, "not_found"])
  assert.equal((await kill("bob")).status, 200)
  assert.equal((await kill("dana")).status, 200)
  assert.deepEqual(await live(service), [id])
  await report(service, [{ event: "ended", id, ended_at: service.clock.now(), ended_why: "killed" }])
  assert.deepEqual(codeOf(await kill("bob")), [409, "over"])
  const { body } = await service.call("alice", "GET /v1/grants")
  assert.deepEqual(
    body.grants.map(({ id, status, ends_at }) => [id, status, ends_at]),
    [[grant, "active", service.clock.now() + hour]],
  )
})
