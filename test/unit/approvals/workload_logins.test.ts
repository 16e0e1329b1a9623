import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import type { WorkloadLogin } from "../../../src/api/schema.ts"
import type { AccessRule, Workload } from "../../../src/config/config.ts"
import { limits } from "../../../src/core/limits.ts"
import { startWorkloadIssuer } from "../../support/workload_issuer.ts"
import { by, hour, startService, type Reply } from "./service.ts"

const name = "ci:acme/shop"

/** The usual service, where the shop's pipeline may have prod-host for ten minutes by itself, and is in a group that approves. */
async function scene(t: TestContext) {
  const service = await startService(t)
  const platform = await startWorkloadIssuer(() => service.clock.now())
  t.after(() => platform.stop())
  const workload: Workload = {
    name,
    groups: ["ci", "robots"],
    issuer: platform.issuer,
    audience: "sluice",
    match: { repository: ["acme/shop"] },
    jwks: undefined,
    ca: undefined,
    max_age_ms: hour,
    login_ms: 2 * hour,
  }
  const [usual] = service.config.policy.access
  assert(usual)
  const rule = { ...usual, targets: { names: ["prod-host"] } }
  const access: AccessRule[] = [
    { ...rule, who: ["ci"], max_ms: 10 * 60_000, approve: "auto", reason_required: true },
    { ...rule, who: ["engineers"], approve: by(["robots", "oncall"]) },
  ]
  await service.restart({
    identity: { ...service.config.identity, workloads: [workload] },
    policy: { ...service.config.policy, access, admins: ["admins", "robots"] },
  })
  const login = async (token?: string): Promise<WorkloadLogin> => {
    const { status, body } = await service.call(undefined, "POST /v1/workloads/token", { token: token ?? (await platform.token()) })
    assert.equal(status, 200, JSON.stringify(body))
    return body as unknown as WorkloadLogin
  }
  const as = async (token: string, line: string, body?: object): Promise<Reply> => {
    const [method = "", path = ""] = line.split(" ")
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
    const response = await fetch(service.url + path, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
    return { status: response.status, body: (await response.json()) as Reply["body"] }
  }
  return { service, platform, login, as }
}

test("workloads: a job's token becomes a short login, whose requests a rule answers by itself", async (t) => {
  const { service, login, as } = await scene(t)
  const job = await login()
  assert.deepEqual([job.subject, job.login_expires_at], [name, service.clock.now() + 2 * hour])
  assert.equal(job.expires_at, service.clock.now() + limits.api_token_ms)
  const asked = await as(job.token, "POST /v1/requests", { target: "prod-host", duration_ms: 600_000, reason: "deploy 7" })
  assert.equal(asked.body.status, "approved", JSON.stringify(asked.body))
  assert.equal(asked.body.grant?.subject, name)
  const longer = await as(job.token, "POST /v1/requests", { target: "prod-host", duration_ms: 660_000, reason: "deploy 7" })
  assert.equal(longer.body.code, "too_long")
  assert.equal((await as(job.token, "POST /v1/requests", { target: "grafana", duration_ms: 60_000, reason: "x" })).body.code, "not_askable")
})

test("workloads: its certificates and tokens end with its login", async (t) => {
  const { service, login, as } = await scene(t)
  const job = await login()
  const { body } = await as(job.token, "POST /v1/certificates", {
    ssh_public_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDt/auWOQuy5DHZsB5/xjmCISyGBv7EztA+w4x2Zva3x",
  })
  assert.equal((body as unknown as { expires_at: number }).expires_at, job.login_expires_at)
  service.clock.advance(2 * hour)
  assert.equal((await as(job.token, "GET /v1/whoami")).status, 401)
})

test("workloads: a machine decides nothing, whatever group it is in, and ends nothing of others'", async (t) => {
  const { service, login, as } = await scene(t)
  const { body: request } = await service.ask()
  const { token } = await login()
  assert.equal((await as(token, `POST /v1/requests/${request.id}/approve`, {})).status, 404)
  assert.equal((await as(token, `POST /v1/requests/${request.id}/deny`, { reason: "no" })).status, 404)
  const { body: approved } = await service.call("bob", `POST /v1/requests/${request.id}/approve`, {})
  assert.equal((await as(token, `POST /v1/grants/${approved.grant?.id}/revoke`, { reason: "no" })).status, 404)
  assert.equal((await as(token, "POST /v1/authorities/client/rotate", {})).status, 403)
  assert.deepEqual((await as(token, "GET /v1/requests")).body.requests, [])
})

test("workloads: what is no token of theirs is refused with one answer, and the log says why", async (t) => {
  const { service, platform } = await scene(t)
  const bad = [
    await platform.token({ aud: "vault" }),
    await platform.token({ repository: "acme/other" }),
    "x.y.z",
    await service.token("alice"),
  ]
  for (const token of bad) {
    const { status, body } = await service.call(undefined, "POST /v1/workloads/token", { token })
    assert.deepEqual([status, body.code, body.message], [401, "unauthenticated", "authentication failed"])
  }
  const log = service.log.join("")
  assert.match(log, /match 0 workloads of the config/)
  for (const token of bad.slice(0, 2)) assert.ok(!log.includes(token), "a token is a secret")
})

test("workloads: one that left the config is nobody at once", async (t) => {
  const { service, login, as } = await scene(t)
  const { token } = await login()
  assert.equal((await as(token, "GET /v1/whoami")).body.message, undefined)
  await service.restart({ identity: { ...service.config.identity, workloads: [] } })
  assert.equal((await as(token, "GET /v1/whoami")).status, 401)
})

test("workloads: many jobs of one pipeline are logged in side by side", async (t) => {
  const { login, as, platform } = await scene(t)
  const token = await platform.token()
  const jobs = await Promise.all(Array.from({ length: limits.logins_per_subject_max + 5 }, () => login(token)))
  for (const job of [jobs[0], jobs.at(-1)]) assert.equal((await as(job?.token ?? "", "GET /v1/whoami")).status, 200)
})

test("workloads: an issuer that does not answer is said to be away", async (t) => {
  const { service, platform } = await scene(t)
  const token = await platform.token()
  platform.broken = { keys: 503 }
  const { status, body } = await service.call(undefined, "POST /v1/workloads/token", { token })
  assert.deepEqual([status, body.code], [503, "provider_away"])
})
