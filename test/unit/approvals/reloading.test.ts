// Another config in a running service: who is somebody, who may decide, and what becomes of what they began.
import assert from "node:assert/strict"
import test, { type TestContext } from "node:test"
import type { AuditEvent } from "../../../src/api/schema.ts"
import type { AccessRule, Config, User } from "../../../src/config/config.ts"
import { generateOpensshKey, parsePublicKey } from "../../../src/config/openssh_key.ts"
import type { Weekday } from "../../../src/core/schedule.ts"
import { Secret } from "../../../src/core/secret.ts"
import { viaKey } from "../../../src/identity/proof_key.ts"
import { startReceiver } from "../../support/receiver.ts"
import { eventually } from "../../support/wait.ts"
import { apiAs, logInProgram, olga, startCompany } from "./company.ts"
import { by, hour, type Service, startService } from "./service.ts"

const gone = "the config does not have them any more"

/** The config's identity with other users. */
const identity = ({ config }: Service, users: (users: readonly User[]) => readonly User[]): Pick<Config, "identity"> => ({
  identity: { ...config.identity, users: users(config.identity.users) },
})
const without = (service: Service, name: string) =>
  identity(service, (users) => users.filter((user) => user.name !== `${name}@example.com`))
const withGroups = (service: Service, name: string, groups: readonly string[]) =>
  identity(service, (users) => users.map((user) => (user.name === `${name}@example.com` ? { ...user, groups } : user)))
/** The rules with another one in the place of that for `prod`, which is the second. */
const prodRule = ({ config }: Service, change: Partial<AccessRule>): Pick<Config, "policy"> => ({
  policy: { ...config.policy, access: config.policy.access.map((rule, index) => (index === 1 ? { ...rule, ...change } : rule)) },
})
const events = async (service: Service, kind: string): Promise<readonly AuditEvent[]> =>
  ((await service.call("dana", `GET /v1/audit?kind=${kind}`)).body as unknown as { events: readonly AuditEvent[] }).events
const approve = (service: Service, who: string, id: unknown) => service.call(who, `POST /v1/requests/${String(id)}/approve`, {})

test("reload: somebody new is known at once, and asks under the new rules", async (t) => {
  const service = await startService(t)
  assert.equal((await service.call("hugo", "GET /v1/whoami")).status, 401)
  await service.reload(identity(service, (users) => [...users, { name: "hugo@example.com", groups: ["engineers"], ssh_keys: [] }]))
  assert.equal((await service.call("hugo", "GET /v1/whoami")).status, 200)
  assert.equal((await service.ask({}, "hugo")).status, 200)
})

test("reload: who is not in the config any more is nobody; what waits is taken back, what they hold is revoked, on record", async (t) => {
  const service = await startService(t)
  const [held, waits] = [await service.ask({ as: ["root"] }), await service.ask()]
  const grant = (await approve(service, "bob", held.body.id)).body.grant?.id
  await service.reload(without(service, "alice"))
  assert.equal((await service.call("alice", "GET /v1/whoami")).status, 401)
  const token = await service.call("gateway", "POST /v1/gateway/token", { subject: "alice@example.com", use: "targets", via: "x" })
  assert.equal(token.status, 404)
  const { requests } = (await service.call("dana", "GET /v1/requests")).body
  assert.equal(requests.find(({ id }) => id === waits.body.id)?.status, "withdrawn")
  const { grants } = (await service.call("dana", "GET /v1/grants?all=true")).body
  assert.deepEqual(
    grants.map(({ id, status, ended_by, ended_reason }) => ({ id, status, ended_by, ended_reason })),
    [{ id: grant, status: "revoked", ended_by: "sluice", ended_reason: gone }],
  )
  const [person] = await events(service, "person.changed")
  assert.deepEqual([person?.by, person?.reason], ["sluice", gone])
  const [reloaded] = await events(service, "config.reloaded")
  assert.deepEqual([reloaded?.actor, reloaded?.by, reloaded?.reason], ["policy", "sluice", "a change of the test's"])
  // And back again: nothing of it returns.
  const back = { name: "alice@example.com", groups: ["engineers"], ssh_keys: [] }
  await service.reload(identity(service, (users) => [...users, back]))
  assert.equal((await service.call("alice", "GET /v1/whoami")).status, 200)
  assert.equal((await service.call("alice", "GET /v1/grants")).body.grants.length, 0)
})

test("reload: gateways hear on their feed who is not there any more, who is there again, and whose groups are others", async (t) => {
  const service = await startService(t)
  const stop = new AbortController()
  t.after(() => stop.abort())
  const headers = { authorization: "Bearer a-gateway-key-of-the-tests" }
  const feed = await fetch(`${service.url}/v1/gateway/feed?after=0`, { headers, signal: stop.signal })
  const { identity: before } = service.config
  await service.reload(withGroups(service, "alice", ["interns"]))
  await service.reload(without(service, "alice"))
  await service.reload({ identity: before })
  const heard: { subject: string; groups: string[]; disabled: boolean; revision: number }[] = []
  for await (const chunk of feed.body!.pipeThrough(new TextDecoderStream())) {
    for (const line of chunk.split("\n").filter((text) => text.includes('"person"'))) heard.push(JSON.parse(line).person)
    if (heard.length >= 3) break
  }
  assert.deepEqual(
    heard.map(({ groups, disabled }) => ({ groups, disabled })),
    [
      { groups: ["interns"], disabled: false },
      { groups: [], disabled: true },
      { groups: ["engineers"], disabled: false },
    ],
  )
  const revisions = heard.map(({ revision }) => revision)
  assert.deepEqual(
    revisions,
    [...new Set(revisions)].toSorted((a, b) => a - b),
    "each is newer than the one before",
  )
})

test("reload: a company login by the name of a user who is removed goes on, and what they hold stays", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const linked: User = { name: "olga@corp.example", groups: ["engineers"], ssh_keys: [], oidc_sub: olga.sub }
  await service.reload(identity(service, (users) => [...users, linked]))
  const { access_token } = await logInProgram(company, company.browser(), olga)
  const asked = await apiAs(service, access_token, "POST /v1/requests", { target: "prod-host", duration_ms: hour, reason: "why" })
  await approve(service, "bob", asked.body["id"])
  await service.reload(without(service, "nobody"))
  await service.reload(identity(service, (users) => users.filter(({ name }) => name !== linked.name)))
  assert.equal((await apiAs(service, access_token, "GET /v1/whoami")).status, 200)
  const { grants } = (await service.call("dana", "GET /v1/grants")).body
  assert.deepEqual(
    grants.map(({ subject, status }) => ({ subject, status })),
    [{ subject: linked.name, status: "active" }],
  )
})

/** alice with two keys, and a browser's login made with each. */
async function withKeys(t: TestContext) {
  const service = await startService(t)
  const keys = ["one", "two"].map((name) => parsePublicKey(generateOpensshKey(name).public))
  const own = (some: typeof keys) =>
    identity(service, (users) => users.map((user) => (user.name === "alice@example.com" ? { ...user, ssh_keys: some } : user)))
  await service.reload(own(keys))
  return { service, keys, own }
}

test("reload: a login made with a key ends with the key, and one made with another goes on", async (t) => {
  const { service, keys, own } = await withKeys(t)
  const cookies: string[] = []
  for (const { blob } of keys) {
    const made = await service.call("gateway", "POST /v1/gateway/link", { subject: "alice@example.com", via: viaKey(blob) })
    const { url } = made.body as unknown as { url: string }
    const code = new URL(url).searchParams.get("code") ?? ""
    const answer = await fetch(`${service.url}/sign-in/link`, { method: "POST", body: new URLSearchParams({ code }), redirect: "manual" })
    cookies.push((answer.headers.getSetCookie().find((line) => line.startsWith("sluice-session=")) ?? "").split(";")[0] ?? "")
  }
  const status = async (cookie: string): Promise<number> =>
    (await fetch(`${service.url}/requests`, { headers: { cookie }, redirect: "manual" })).status
  assert.deepEqual(await Promise.all(cookies.map(status)), [200, 200])
  await service.reload(own(keys.slice(1)))
  assert.deepEqual(await Promise.all(cookies.map(status)), [303, 200])
  const [ended] = await events(service, "login.ended")
  assert.equal(ended?.reason, "the config does not have what it was proven with any more")
})

test("reload: nobody can ask or decide with what is left of a call that began before", async (t) => {
  const service = await startService(t)
  const { body } = await service.ask()
  // The change that puts the config in place and these calls race; whichever comes first, no removed person's word counts after it.
  const [, asked, approved] = await Promise.all([
    service.reload(identity(service, (users) => users.filter(({ name }) => !/^(carol|bob)@/.test(name)))),
    service.ask({}, "carol"),
    approve(service, "bob", body.id),
  ])
  const rows = await service.query("select kind, by_name from events order by sequence")
  const at = rows.findIndex(({ kind }) => kind === "config.reloaded")
  const after = rows.slice(at).map(({ by_name }) => by_name)
  assert.ok(!after.includes("carol@example.com") && !after.includes("bob@example.com"), JSON.stringify({ asked, approved, rows }))
})

test("reload: an approval counts no more when the rule does not name its giver any more", async (t) => {
  const service = await startService(t)
  const { body } = await service.ask({ target: "two-keys" })
  assert.equal((await approve(service, "bob", body.id)).body.status, "pending")
  await service.reload(withGroups(service, "bob", ["engineers"]))
  assert.equal((await approve(service, "erin", body.id)).body.status, "pending", "erin is the only one who counts")
  const { status, grant } = (await approve(service, "dana", body.id)).body
  assert.deepEqual([status, grant?.subject], ["approved", "alice@example.com"])
})

test("reload: an approval of somebody who was removed or disabled counts no more", async (t) => {
  for (const leave of ["removed", "disabled"]) {
    const service = await startService(t)
    const { body } = await service.ask({ target: "two-keys" })
    await approve(service, "bob", body.id)
    if (leave === "removed") await service.reload(without(service, "bob"))
    else await service.call("dana", "POST /v1/people/disable", { subject: "bob@example.com", reason: "left" })
    assert.equal((await approve(service, "erin", body.id)).body.status, "pending", leave)
    assert.equal((await approve(service, "dana", body.id)).body.status, "approved", leave)
  }
})

test("reload: who is named again approves again, and who was only disabled meanwhile counts as before", async (t) => {
  const service = await startService(t)
  const { body } = await service.ask({ target: "two-keys" })
  await approve(service, "bob", body.id)
  await service.reload(withGroups(service, "bob", []))
  await eventually("his approval to be taken away", async () => (await events(service, "request.unapproved")).length > 0)
  const seen = (await service.call("alice", `GET /v1/requests/${String(body.id)}`)).body
  assert.deepEqual([seen.status, seen.decisions], ["pending", []])
  assert.equal((await approve(service, "bob", body.id)).status, 404)
  await service.reload(withGroups(service, "bob", ["oncall"]))
  assert.equal((await approve(service, "bob", body.id)).body.status, "pending")
  const disabled = { subject: "bob@example.com", reason: "on leave" }
  await service.call("dana", "POST /v1/people/disable", disabled)
  assert.equal((await approve(service, "erin", body.id)).body.status, "pending")
  await service.call("dana", "POST /v1/people/enable", disabled)
  assert.equal((await approve(service, "erin", body.id)).body.status, "approved")
})

const weekdays: readonly Weekday[] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

/** Settles with the reason for which the request has lapsed. */
const lapsed = (service: Service, id: unknown): Promise<string> =>
  eventually("it to lapse", async () => (await events(service, "request.lapsed")).find(({ request }) => request === id)?.reason)

test("reload: a request that nobody could ask for any more lapses, and says why; the others wait on", async (t) => {
  const service = await startService(t)
  const [rule, target, shorter] = [
    await service.ask(),
    await service.ask({ target: "two-keys" }),
    await service.ask({ as: ["root"], duration_ms: 3 * hour }),
  ]
  const one = await service.ask({ target: "deploy-only" })
  await service.reload({
    ...prodRule(service, { max_ms: 2 * hour }),
    targets: service.config.targets.filter(({ name }) => name !== "two-keys"),
  })
  const words = "no rule lets it be asked for any more"
  assert.deepEqual([await lapsed(service, target.body.id), await lapsed(service, shorter.body.id)], [words, words])
  const status = async ({ body }: { body: { id: unknown } }) =>
    (await service.call("alice", `GET /v1/requests/${String(body.id)}`)).body.status
  assert.deepEqual(await Promise.all([rule, target, shorter, one].map(status)), ["pending", "lapsed", "lapsed", "pending"])
  assert.equal((await approve(service, "bob", target.body.id)).body.code, "over")
  assert.equal((await approve(service, "bob", one.body.id)).body.status, "approved")
})

test("reload: a request that waits for people whom its rule does not name any more lapses, and can be asked anew", async (t) => {
  const service = await startService(t)
  const { body } = await service.ask()
  await service.reload(prodRule(service, { approve: by(["admins"]) }))
  assert.equal(await lapsed(service, body.id), "its rule names other people now: ask again")
  const again = await service.ask()
  assert.notEqual(again.body.id, body.id)
  assert.equal((await approve(service, "dana", again.body.id)).body.status, "approved")
})

test("reload: the hours of a rule are no reason to let a request lapse: they come again", async (t) => {
  const service = await startService(t)
  const { body } = await service.ask()
  const today = new Date(service.clock.now()).getUTCDay()
  const days = new Set([weekdays[(today + 3) % 7] ?? "mon"])
  const schedule = [{ days, from: 0, to: 24 * 60, zone: "UTC" }]
  const marker = await service.ask({ target: "two-keys" })
  await service.reload({
    ...prodRule(service, { schedule }),
    targets: service.config.targets.filter(({ name }) => name !== "two-keys"),
  })
  await lapsed(service, marker.body.id) // it has the higher number: all were looked at
  assert.equal((await service.call("alice", `GET /v1/requests/${String(body.id)}`)).body.status, "pending")
  assert.equal((await approve(service, "bob", body.id)).body.code, "not_now")
})

test("reload: an earlier step is open again for another when the one who took it has gone", async (t) => {
  const service = await startService(t)
  const steps = {
    plan: {
      order: "sequence" as const,
      steps: [
        { by: ["oncall"], count: 1 },
        { by: ["admins"], count: 1 },
      ],
    },
  }
  await service.reload(prodRule(service, { approve: steps }))
  const { body } = await service.ask()
  await approve(service, "bob", body.id)
  await service.reload(without(service, "bob"))
  assert.equal((await approve(service, "dana", body.id)).body.code, "not_your_turn")
  assert.equal((await approve(service, "erin", body.id)).body.status, "pending")
  assert.equal((await approve(service, "dana", body.id)).body.status, "approved")
})

test("reload: a rule that wants more, or others, is held to before a grant is made", async (t) => {
  const service = await startService(t)
  const { body } = await service.ask()
  await service.reload(prodRule(service, { approve: by(["oncall"], 2) }))
  assert.equal((await approve(service, "bob", body.id)).body.status, "pending")
  assert.equal((await approve(service, "erin", body.id)).body.status, "approved")
})

test("reload: channels change, and who is told for the first time is not told of the past", async (t) => {
  const service = await startService(t)
  const hook = await startReceiver()
  t.after(() => hook.stop())
  await service.ask()
  const url = new URL(`${hook.url}/in`)
  await service.reload({ notify: [{ name: "hook", way: "webhook", on: ["request.asked"], url, secret: new Secret("x".repeat(32)) }] })
  await eventually("it to be known what is past", async () => (await service.query("select * from outbox")).length > 0)
  const { body } = await service.ask({ as: ["root"] })
  await eventually("the new channel to be told", () => hook.received.length > 0)
  assert.deepEqual(
    hook.received.map(({ body: text }) => (JSON.parse(text) as { request: { id: number } }).request.id),
    [body.id],
  )
})
