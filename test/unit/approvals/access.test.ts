// The door: every endpoint and every role, and what a stranger or a clumsy client may send.
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import test from "node:test"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { type Route, type RouteName, routes } from "../../../src/api/routes.ts"
import { limits } from "../../../src/core/limits.ts"
import { newSessionId } from "../../../src/core/ids.ts"
import { scratch } from "../../support/scratch.ts"
import { eventually } from "../../support/wait.ts"
import { gatewayKey, hour, type Service, startService } from "./service.ts"

const roles = ["anonymous", "plain", "owner", "approver", "admin", "gateway", "auditor"] as const
const people = {
  anonymous: undefined,
  plain: "frank",
  owner: "alice",
  approver: "bob",
  admin: "dana",
  gateway: "gateway",
  auditor: "gina",
} as const

// One row an endpoint: what each role is answered about alice's request for prod-host, her grant and her session.
const table: Record<RouteName, readonly number[]> = {
  //           anonymous plain owner approver admin gateway auditor
  whoami: [401, 200, 200, 200, 200, 401, 200],
  logout: [401, 400, 400, 400, 400, 401, 400],
  mint: [401, 403, 403, 403, 403, 401, 403],
  people: [401, 403, 403, 403, 200, 401, 403],
  disable: [401, 403, 403, 403, 200, 401, 403],
  enable: [401, 403, 403, 403, 200, 401, 403],
  targets: [401, 200, 200, 200, 200, 401, 200],
  requests: [401, 200, 200, 200, 200, 401, 200],
  ask: [401, 403, 200, 200, 403, 401, 403],
  request: [401, 404, 200, 200, 200, 401, 200],
  approve: [401, 404, 403, 200, 403, 401, 403],
  deny: [401, 404, 403, 200, 403, 401, 403],
  estimate: [401, 404, 403, 400, 403, 401, 403],
  review: [401, 404, 403, 403, 403, 401, 403],
  audit: [401, 403, 403, 403, 200, 401, 200],
  withdraw: [401, 404, 200, 403, 403, 401, 403],
  grants: [401, 200, 200, 200, 200, 401, 200],
  extend: [401, 404, 200, 403, 403, 401, 403],
  revoke: [401, 404, 403, 200, 200, 401, 403],
  drop: [401, 404, 200, 403, 403, 401, 403],
  sessions: [401, 200, 200, 200, 200, 401, 200],
  kill: [401, 404, 403, 200, 200, 401, 403],
  token: [401, 401, 401, 401, 401, 200, 401],
  lookup: [401, 401, 401, 401, 401, 200, 401],
  begin: [401, 401, 401, 401, 401, 200, 401],
  use: [401, 401, 401, 401, 401, 200, 401],
  offer: [401, 401, 401, 401, 401, 200, 401],
  ask_here: [401, 401, 401, 401, 401, 200, 401],
  leave_here: [401, 401, 401, 401, 401, 200, 401],
  certify: [401, 401, 401, 401, 401, 200, 401],
  hold: [401, 401, 401, 401, 401, 409, 401],
  redeemHold: [401, 401, 401, 401, 401, 404, 401],
  withdrawHold: [401, 401, 401, 401, 401, 404, 401],
  estimated: [401, 401, 401, 401, 401, 404, 401],
  link: [401, 401, 401, 401, 401, 200, 401],
  redeem: [401, 401, 401, 401, 401, 401, 401],
  leave: [401, 401, 401, 401, 401, 200, 401],
  person: [401, 401, 401, 401, 401, 200, 401],
  login: [401, 401, 401, 401, 401, 404, 401],
  report: [401, 401, 401, 401, 401, 200, 401],
  presence: [401, 401, 401, 401, 401, 200, 401],
  gateways: [401, 403, 403, 403, 200, 401, 200],
  feed: [401, 401, 401, 401, 401, 200, 401],
  certificates: [401, 200, 200, 200, 200, 401, 200],
  workload: [401, 401, 401, 401, 401, 401, 401],
  authorities: [200, 200, 200, 200, 200, 200, 200],
  rotate: [401, 403, 403, 403, 200, 401, 403],
  jwks: [200, 200, 200, 200, 200, 200, 200],
}

const queries: Partial<Record<RouteName, string>> = {
  lookup: "?subject=alice%40example.com&target=prod-host",
  person: "?subject=alice%40example.com",
  offer: "?subject=alice%40example.com&target=prod-host",
  login: "?id=l_0000000000000000",
}
const here = { gateway: "gw", waiter: "w_0000000000000000", subject: "alice@example.com", client: "203.0.113.7:1" }
const digest = `sha256:${"0".repeat(64)}`
const bodies: Partial<Record<RouteName, object>> = {
  ask: { target: "prod-host", duration_ms: hour, reason: "why" },
  extend: { duration_ms: hour, reason: "why" },
  begin: { gateway: "gw" },
  certificates: { ssh_public_key: generateOpensshKey("somebody").public },
  rotate: {},
  workload: { token: "not one" },
  use: { gateway: "gw", session: "s_0000000000000000" },
  certify: { gateway: "gw", session: "s_0000000000000000", login: "root", public_key: generateOpensshKey("a login").public },
  hold: {
    gateway: "gw",
    action: {
      session: "s_0000000000000000",
      grant: "g_0000000000000000",
      protocol: "ssh",
      digest,
      text: "reboot",
      values: [],
      action_kind: null,
      tables: [],
      calls: [],
      notes: [],
      recent: [],
    },
    rule: { index: 0, digest: "" },
    binding: "session",
  },
  redeemHold: { gateway: "gw", session: "s_0000000000000000", digest },
  estimated: { gateway: "gw", session: "s_0000000000000000", digest, estimate: { rows: 1, cost: 1, why: null } },
  withdrawHold: { gateway: "gw", session: "s_0000000000000000", digest },
  disable: { subject: "frank@example.com", reason: "left" },
  enable: { subject: "frank@example.com" },
  link: { subject: "alice@example.com", via: "test" },
  redeem: { code: "x", host: "grafana.gw.test", state: "x" },
  leave: { login: "l_0000000000000000" },
  token: { subject: "alice@example.com", use: "api", via: "test" },
  report: { gateway: "gw", reports: [] },
  presence: { gateway: "gw", instance: "i_0000000000000000", version: "1", started_at: 1, listening: {} },
  ask_here: { ...here, protocol: "ssh", until: 1, target: "prod-host", as: ["deploy"], duration_ms: hour, reason: "why" },
  leave_here: here,
}

/** A pending request, a grant and a live session of alice's, all new. */
async function scene(service: Service): Promise<{ request: string; grant: string; session: string }> {
  const { body: first } = await service.ask({ as: ["root"], uses: 9 })
  const { body: approved } = await service.call("bob", `POST /v1/requests/${first.id}/approve`, {})
  const { body: pending } = await service.ask()
  assert(approved.grant)
  const session = {
    id: newSessionId(),
    gateway: "gw",
    protocol: "ssh",
    subject: "alice@example.com",
    target: "prod-host",
    as: "root",
    grant: approved.grant.id,
    client: "203.0.113.7:1",
    started_at: service.clock.now(),
  }
  await service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw", reports: [{ event: "started", session }] })
  return { request: String(pending.id), grant: approved.grant.id, session: session.id }
}

function pathOf(name: RouteName, ids: { request: string; grant: string; session: string }): string {
  const { path }: Route = routes[name]
  const id = path.includes("/grants/") ? ids.grant : path.includes("/sessions/") ? ids.session : ids.request
  if (name === "rotate") return path.replace(":id", "client")
  return path.replace(":id", id) + (queries[name] ?? "")
}

for (const name of Object.keys(table) as RouteName[])
  test(`access: ${name} answers each role as it should`, async (t) => {
    const service = await startService(t)
    for (const [index, role] of roles.entries()) {
      const line = `${routes[name].method} ${pathOf(name, await scene(service))}`
      const body = routes[name].method === "POST" ? (bodies[name] ?? {}) : undefined
      const status = name === "feed" ? await feedStatus(service, role) : (await service.call(people[role], line, body)).status
      assert.equal(status, table[name][index], `${name} as ${role}`)
    }
  })

async function feedStatus(service: Service, role: (typeof roles)[number]): Promise<number> {
  const who = people[role]
  const credential = who === "gateway" ? gatewayKey : who && (await service.token(who))
  const stop = new AbortController()
  const headers = credential ? { authorization: `Bearer ${credential}` } : {}
  const { status } = await fetch(`${service.url}/v1/gateway/feed`, { headers, signal: stop.signal })
  stop.abort()
  return status
}

test("access: a token counts in the Authorization header and nowhere else", async (t) => {
  const service = await startService(t)
  const token = await service.token("alice")
  const refused = { code: "unauthenticated", message: "authentication failed" }
  const tries: [string, Record<string, string>][] = [
    [`/v1/whoami?access_token=${token}`, {}],
    [`/v1/whoami?token=${token}`, {}],
    ["/v1/whoami", { cookie: `token=${token}; authorization=Bearer ${token}` }],
    ["/v1/whoami", { authorization: `Basic ${Buffer.from(`alice:${token}`).toString("base64")}` }],
    ["/v1/whoami", { authorization: `Bearer ${token} ${token}` }],
    ["/v1/whoami", { authorization: `Bearer ${token.slice(0, -4)}AAAA` }],
    ["/v1/whoami", { authorization: `Bearer ${"a".repeat(limits.token_bytes_max + 17)}` }],
    ["/v1/whoami", { "x-forwarded-user": "alice@example.com", "x-auth-user": "alice@example.com" }],
  ]
  for (const [path, headers] of tries) {
    const response = await fetch(service.url + path, { headers })
    assert.equal(response.status, 401, JSON.stringify(headers))
    assert.equal(response.headers.get("www-authenticate"), "Bearer")
    assert.deepEqual(await response.json(), refused)
  }
  assert(!service.log.join("").includes(token))
})

test("access: a token for targets does not open the API, an old one neither, nor one whose user is gone", async (t) => {
  const service = await startService(t)
  const { body } = await service.call("gateway", "POST /v1/gateway/token", { subject: "alice@example.com", use: "targets", via: "test" })
  const whoami = async (token: string) =>
    (await fetch(`${service.url}/v1/whoami`, { headers: { authorization: `Bearer ${token}` } })).status
  assert.equal(await whoami(body.token), 401)
  const token = await service.token("alice")
  assert.equal(await whoami(token), 200)
  await service.restart({
    identity: { ...service.config.identity, users: service.config.identity.users.filter(({ name }) => name !== "alice@example.com") },
  })
  assert.equal(await whoami(token), 401)
  await service.restart({
    identity: { ...service.config.identity, users: [{ name: "alice@example.com", groups: ["oncall"], ssh_keys: [] }] },
  })
  assert.equal(await whoami(token), 200)
  service.clock.advance(limits.api_token_ms + 1000)
  assert.equal(await whoami(token), 401)
})

test("access: groups are the config's now, not the token's of then", async (t) => {
  const service = await startService(t)
  await service.ask()
  const token = await service.token("bob")
  const users = service.config.identity.users.map((user) => (user.name === "bob@example.com" ? { ...user, groups: [] } : user))
  await service.restart({ identity: { ...service.config.identity, users } })
  const response = await fetch(`${service.url}/v1/requests/1/approve`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: "{}",
  })
  assert.equal(response.status, 404)
})

test("access: tokens are issued for configured users, and for a target only with its name", async (t) => {
  const service = await startService(t)
  const issue = async (body: object) => (await service.call("gateway", "POST /v1/gateway/token", { via: "test", ...body })).status
  assert.equal(await issue({ subject: "mallory@example.com", use: "api" }), 404)
  assert.equal(await issue({ subject: "alice@example.com", use: "target" }), 400)
  assert.equal(await issue({ subject: "alice@example.com", use: "api", target: "prod-host" }), 400)
  assert.equal(await issue({ subject: "alice@example.com", use: "target", target: "prod-host" }), 200)
})

test("access: a change of state must be application/json, so that a page elsewhere cannot send one", async (t) => {
  const service = await startService(t)
  const authorization = `Bearer ${await service.token("alice")}`
  const body = JSON.stringify({ target: "prod-host", duration_ms: hour, reason: "why" })
  for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", ""]) {
    const response = await fetch(`${service.url}/v1/requests`, { method: "POST", headers: { authorization, "content-type": type }, body })
    assert.equal(response.status, 415, type)
  }
  const charset = { authorization, "content-type": "application/json; charset=utf-8" }
  assert.equal((await fetch(`${service.url}/v1/requests`, { method: "POST", headers: charset, body })).status, 200)
})

test("access: a body that is too large, broken or not what the route takes is refused without repeating it", async (t) => {
  const service = await startService(t)
  const ask = async (body: unknown) => {
    const answer = await service.call("alice", "POST /v1/requests", body)
    assert(!answer.body.message.includes("poison"), answer.body.message)
    return [answer.status, answer.body.code]
  }
  const good = { target: "prod-host", duration_ms: hour, reason: "why" }
  assert.deepEqual(await ask({ ...good, reason: "x".repeat(limits.control_body_bytes_max) }), [413, "too_large"])
  for (const body of [
    "{poison",
    '"poison"',
    "[]",
    "null",
    { ...good, poison: 1 },
    { ...good, target: "poison".repeat(50) },
    { ...good, as: [] },
    { ...good, as: "poison" },
    { ...good, reason: "x".repeat(limits.reason_chars_max + 1) },
    `{"__proto__":{"poison":1},"target":"prod-host","duration_ms":3600000}`,
    { duration_ms: hour },
  ])
    assert.deepEqual(await ask(body), [400, "invalid"], JSON.stringify(body).slice(0, 80))
})

test("access: words that forge what an approver reads are refused: control, bidi, zero-width and line separators", async (t) => {
  const service = await startService(t)
  for (const forged of [
    "a\nb",
    "a\r",
    "a\u001b[2J",
    "a\u0000b",
    "a\u202eb",
    "a\u2066b",
    "a\u200bb",
    "a\u2028b",
    "a\u2029b",
    "a\u0085b",
    "a\ufeffb",
  ]) {
    const code = JSON.stringify(forged)
    assert.equal((await service.ask({ reason: `x${forged}y` })).status, 400, code)
    await service.ask()
    assert.equal((await service.call("bob", "POST /v1/requests/1/deny", { reason: `x${forged}y` })).status, 400, code)
  }
  assert.equal((await service.ask({ reason: "Ünïcödé, 日本語, 'quotes' & <b>" })).status, 200)
})

test("access: queries and ids are checked; what is unknown is not ignored", async (t) => {
  const service = await startService(t)
  for (const path of [
    "/v1/requests?status=approved",
    "/v1/requests?status=pending&status=pending",
    "/v1/requests?who=alice",
    "/v1/grants?all=1",
    "/v1/sessions?live=yes",
    "/v1/requests/1?wait_ms=-1",
    "/v1/requests/0x1",
    "/v1/requests/0",
    "/v1/requests/99999999999999999999",
    "/v1/requests/1e3",
    "/v1/whoami?x=1",
  ])
    assert.equal((await service.call("alice", `GET ${path}`)).status, 400, path)
  for (const id of ["g_short", "..%2f..%2fetc", "s_0000000000000000"])
    assert.equal((await service.call("alice", `POST /v1/grants/${id}/drop`, {})).status, 400, id)
  for (const after of ["-1", "x", "1.5"])
    assert.equal((await service.call("gateway", `GET /v1/gateway/feed?after=${after}`)).status, 400, after)
})

test("access: no such path, method or form of URL is answered as missing or not valid, in our own words", async (t) => {
  const service = await startService(t)
  for (const line of ["GET /v2", "GET /v1/unknown", "PUT /v1/requests", "DELETE /v1/grants/g_0000000000000000", "HEAD /v1/whoami"]) {
    const [method = "", path = ""] = line.split(" ")
    assert.equal((await fetch(service.url + path, { method })).status, 404, line)
  }
  const bad = await fetch(`${service.url}/v1/%zz`)
  assert.deepEqual([bad.status, await bad.json()], [400, { code: "invalid", message: "the request is not well-formed" }])
})

test("access: what a header claims about the address is not believed", async (t) => {
  const service = await startService(t)
  const token = await service.token("alice")
  const headers = {
    authorization: `Bearer ${token}`,
    "content-type": "application/json",
    "x-forwarded-for": "198.51.100.9",
    forwarded: "for=198.51.100.9",
  }
  const body = JSON.stringify({ target: "prod-host", duration_ms: hour, reason: "why" })
  await fetch(`${service.url}/v1/requests`, { method: "POST", headers, body })
  const line = await eventually("the event in the log", () => service.log.find((line) => line.includes("request.asked")))
  assert.match(line, /"from":"127\.0\.0\.1:\d+"/)
  assert(!service.log.join("").includes("198.51.100.9"))
})

test("access: alive and ready are for anybody", async (t) => {
  const service = await startService(t)
  for (const path of ["/healthz", "/readyz"])
    assert.deepEqual(await service.call(undefined, `GET ${path}`), { status: 200, body: { status: "ok" } })
})

test("access: a port that is in use and a store that cannot be opened are told to the operator with their place", async (t) => {
  const service = await startService(t)
  const { approvals } = service.config
  const folder = scratch("access")
  const start = (change: object) => startService(t, { approvals: { ...approvals, ...change } })
  const port = Number(new URL(service.url).port)
  await assert.rejects(
    start({ listen: { host: "127.0.0.1", port }, store: { kind: "sqlite", path: `${folder}/other.db` } }),
    /cannot listen on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
  )
  writeFileSync(`${folder}/file`, "")
  await assert.rejects(
    start({ store: { kind: "sqlite", path: `${folder}/file/sluice.db` } }),
    /file\/sluice\.db: the store cannot be opened: /,
  )
})
