// Company login with a real provider: the way there and back, who somebody is afterwards, and everything on the way that is not what
// it should be.
import assert from "node:assert/strict"
import test from "node:test"
import { limits } from "../../../src/core/limits.ts"
import { apiAs, logInProgram, olga, pavel, startCompany } from "./company.ts"
import { hour } from "./service.ts"

test("company login: somebody signs in, has a name and the provider's groups, and comes back to where they were going", async (t) => {
  const company = await startCompany(t)
  const browser = company.browser()
  const visit = await company.signIn(browser, olga, "/device?user_code=BCDF-GHJK")
  assert.equal(visit.url.pathname + visit.url.search, "/device?user_code=BCDF-GHJK")
  assert.equal(visit.status, 200)
  const tokens = await logInProgram(company, browser, olga)
  const me = await apiAs(company.service, tokens.access_token, "GET /v1/whoami")
  assert.deepEqual([me.body["subject"], me.body["groups"], me.body["admin"]], ["olga@corp.example", ["engineers", "oncall"], false])
  assert.equal((me.body["login"] as { kind: string }).kind, "cli")
  // The cookie is a session of ours and nothing else: out of reach of scripts, and not sent from other sites.
  assert.match(browser.cookie(company.service.url, "sluice-session")?.line ?? "", /; Path=\/; HttpOnly; SameSite=Lax; Max-Age=\d+$/)
  assert.equal([...(browser.jar.get(company.service.url)?.keys() ?? [])].filter((name) => name.startsWith("sluice-login")).length, 0)
})

test("company login: what the ID token has not got is asked of the provider's user info", async (t) => {
  const company = await startCompany(t, { claimsInUserInfo: true })
  const tokens = await logInProgram(company, company.browser(), olga)
  const me = await apiAs(company.service, tokens.access_token, "GET /v1/whoami")
  assert.deepEqual([me.body["subject"], me.body["groups"]], ["olga@corp.example", ["engineers", "oncall"]])
})

test("company login: two people of the company ask and approve under the same rules as those in the config", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const [asks, decides] = [await logInProgram(company, company.browser(), olga), await logInProgram(company, company.browser(), pavel)]
  const question = { target: "prod-host", duration_ms: hour, reason: "INC-7" }
  const asked = await apiAs(service, asks.access_token, "POST /v1/requests", question)
  assert.equal(asked.status, 200)
  const own = await apiAs(service, asks.access_token, `POST /v1/requests/${String(asked.body["id"])}/approve`, {})
  assert.equal(own.body["code"], "own_request")
  const approved = await apiAs(service, decides.access_token, `POST /v1/requests/${String(asked.body["id"])}/approve`, {})
  assert.equal(approved.body["status"], "approved")
})

test("company login: groups are the provider's word at the last login; somebody who left a group approves no more", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const tokens = await logInProgram(company, company.browser(), pavel)
  await service.ask()
  await logInProgram(company, company.browser(), { ...pavel, claims: { ...pavel.claims, groups: [] } })
  const refused = await apiAs(service, tokens.access_token, "POST /v1/requests/1/approve", {})
  assert.equal(refused.status, 404)
  const me = await apiAs(service, tokens.access_token, "GET /v1/whoami")
  assert.deepEqual(me.body["groups"], [])
})

test("company login: the name stays when the e-mail address changes, and another login cannot have it", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  await logInProgram(company, company.browser(), olga)
  const renamed = { ...olga, claims: { ...olga.claims, email: "olga.new@corp.example" } }
  const tokens = await logInProgram(company, company.browser(), renamed)
  assert.equal((await apiAs(service, tokens.access_token, "GET /v1/whoami")).body["subject"], "olga@corp.example")
  const taken = await company.signIn(company.browser(), { sub: "another", claims: { email: "OLGA@corp.example" } })
  assert.equal(taken.status, 401)
  assert.match(taken.text, /is the name of another login here/)
})

for (const [what, account, words] of [
  ["a configured user's name", { sub: "x", claims: { email: "Bob@example.com" } }, /is a user in the config/],
  [
    "an address that the provider has not verified",
    { sub: "x", claims: { email: "x@corp.example", email_verified: false } },
    /has not verified/,
  ],
  ["the same, said in a word", { sub: "x", claims: { email: "x@corp.example", email_verified: "false" } }, /has not verified/],
  ["no name at all", { sub: "x", claims: {} }, /says no email/],
  ["a name with a control character", { sub: "x", claims: { email: "a\u202eb@corp.example" } }, /cannot be a name here/],
  ["a name that is a list", { sub: "x", claims: { email: ["bob@example.com"] } }, /says no email/],
] as const)
  test(`company login: ${what} is nobody's login, and the page says what to do`, async (t) => {
    const company = await startCompany(t)
    const browser = company.browser()
    const visit = await company.signIn(browser, account)
    assert.equal(visit.status, 401)
    assert.match(visit.text, words)
    assert.equal(browser.cookie(company.service.url, "sluice-session"), undefined)
  })

test("company login: a user name that a rule names as a group is refused", async (t) => {
  const company = await startCompany(t, { oidc: { name_claim: "preferred_username" } })
  const visit = await company.signIn(company.browser(), { sub: "x", claims: { preferred_username: "OnCall" } })
  assert.match(visit.text, /is a word of the rules here/)
  const fine = await company.signIn(company.browser(), olga)
  assert.equal(fine.status, 200)
})

test("company login: a claimed group that is a person's name, or no name, is dropped", async (t) => {
  const company = await startCompany(t)
  await logInProgram(company, company.browser(), olga)
  const groups = ["oncall", "Bob@example.com", "olga@corp.example", "a b", "", 7, { name: "admins" }, "oncall"]
  const tokens = await logInProgram(company, company.browser(), { sub: "y", claims: { email: "y@corp.example", groups } })
  assert.deepEqual((await apiAs(company.service, tokens.access_token, "GET /v1/whoami")).body["groups"], ["oncall"])
  assert(company.service.log.some((line) => line.includes("groups of a login were dropped")))
})

test("company login: a user of the config who is linked is one person, with the groups of both", async (t) => {
  const users = [
    { name: "alice@example.com", groups: ["admins"], ssh_keys: [], oidc_sub: olga.sub },
    { name: "bob@example.com", groups: ["oncall"], ssh_keys: [] },
  ]
  const company = await startCompany(t, { users })
  const { service } = company
  const tokens = await logInProgram(company, company.browser(), olga)
  const me = await apiAs(service, tokens.access_token, "GET /v1/whoami")
  assert.deepEqual([me.body["subject"], me.body["groups"]], ["alice@example.com", ["admins", "engineers", "oncall"]])
  // With the key and with the login she is the same: her own approval does not count.
  const asked = await service.ask()
  const own = await apiAs(service, tokens.access_token, `POST /v1/requests/${asked.body.id}/approve`, {})
  assert.equal(own.body["code"], "own_request")
  // Taken from her in the config, the login is nobody's.
  const { identity } = service.config
  await service.restart({ identity: { ...identity, users: users.map((user) => ({ ...user, oidc_sub: undefined })) } })
  assert.equal((await apiAs(service, tokens.access_token, "GET /v1/whoami")).status, 401)
})

test("company login: an answer without the browser's own cookie, or with another state, changes nothing", async (t) => {
  const company = await startCompany(t)
  const { service, provider } = company
  provider.account = olga
  const begun = company.browser()
  const { url } = await begun.get(`${service.url}/sign-in`, { until: /\/sign-in\/callback\?/ })
  const stranger = company.browser()
  const stolen = await stranger.get(url)
  assert.equal(stolen.status, 401)
  assert.match(stolen.text, /begun in another browser, or too long ago/)
  assert.equal(stranger.cookie(service.url, "sluice-session"), undefined)
  const changed = new URL(url)
  changed.searchParams.set("state", "another")
  assert.equal((await begun.get(changed)).status, 401)
  const done = await begun.get(url)
  assert.notEqual(begun.cookie(service.url, "sluice-session"), undefined, done.text)
  const again = await begun.get(url)
  assert.equal(again.status, 401, "an answer counts once")
})

test("company login: two tabs log in side by side, and each comes back to its own place", async (t) => {
  const company = await startCompany(t)
  const { service, provider } = company
  provider.account = olga
  const browser = company.browser()
  const tabs = []
  for (const path of ["/device?user_code=BBBB", "/device?user_code=CCCC"])
    tabs.push(await browser.get(`${service.url}/sign-in?return=${encodeURIComponent(path)}`, { until: /\/sign-in\/callback\?/ }))
  const ends = []
  for (const { url } of tabs.toReversed()) ends.push((await browser.get(url)).url.search)
  assert.deepEqual(ends, ["?user_code=CCCC", "?user_code=BBBB"])
})

test("company login: a flow that took too long begins anew", async (t) => {
  const company = await startCompany(t)
  company.provider.account = olga
  const browser = company.browser()
  const { url } = await browser.get(`${company.service.url}/sign-in`, { until: /\/sign-in\/callback\?/ })
  company.clock.advance(limits.login_flow_ms + 1_000)
  assert.match((await browser.get(url)).text, /too long ago/)
})

test("company login: whoever presses cancel at the provider reads so", async (t) => {
  const company = await startCompany(t)
  company.provider.account = undefined
  const visit = await company.browser().get(`${company.service.url}/sign-in`)
  assert.equal(visit.status, 401)
  assert.match(visit.text, /cancelled or refused/)
})

test("company login: nobody is sent to another site afterwards", async (t) => {
  const company = await startCompany(t)
  for (const back of [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "/\tx",
    "\\/evil.example",
    "javascript:alert(1)",
    "/%0d%0aSet-Cookie:x",
    "evil",
    `/${"a".repeat(3_000)}`,
  ]) {
    const visit = await company.signIn(company.browser(), olga, back)
    assert.equal(visit.url.origin, company.service.url, back)
    for (const stop of visit.way) assert(!stop.startsWith("https://evil"), stop)
  }
})

test("company login: the provider is away: new logins read so, and those there are go on to their end", async (t) => {
  const company = await startCompany(t)
  const { service, provider, clock } = company
  const tokens = await logInProgram(company, company.browser(), olga)
  provider.away = true
  await service.restart()
  const visit = await company.browser().get(`${service.url}/sign-in`)
  assert.equal(visit.status, 503)
  assert.match(visit.text, /Company login does not answer right now/)
  assert.equal((await apiAs(service, tokens.access_token, "GET /v1/whoami")).status, 200)
  provider.away = false
  clock.advance(limits.oidc_retry_ms)
  assert.equal((await fetch(`${service.url}/sign-in`, { redirect: "manual" })).status, 303)
})

test("company login: keys of the provider may change between two logins", async (t) => {
  const company = await startCompany(t)
  const { service, provider, clock } = company
  await company.signIn(company.browser(), olga)
  await provider.serve(`${service.url}/sign-in/callback`)
  const early = await company.signIn(company.browser(), olga)
  assert.equal(early.status, 401, "a key that is not there is not asked for each time")
  clock.advance(limits.oidc_keys_again_ms)
  const visit = await company.signIn(company.browser(), olga)
  assert.equal(visit.status, 200, visit.text)
})

test("company login: a session ends when it is not used, and at its absolute end", async (t) => {
  const company = await startCompany(t, { oidc: { login_for_ms: 10 * hour } })
  const { service, clock } = company
  const browser = company.browser()
  await company.signIn(browser, olga)
  const in_ms = async (wait_ms: number) => {
    clock.advance(wait_ms)
    return (await browser.get(`${service.url}/device`, { until: /\/sign-in/ })).url.pathname
  }
  assert.equal(await in_ms(limits.web_idle_ms - 60_000), "/device")
  assert.equal(await in_ms(limits.web_idle_ms - 60_000), "/device")
  assert.equal(await in_ms(2 * hour), "/device")
  assert.equal(await in_ms(3 * 60_000), "/sign-in", "used or not")
  const idle = await startCompany(t)
  const other = idle.browser()
  await idle.signIn(other, olga)
  idle.clock.advance(limits.web_idle_ms + 1_000)
  assert.equal((await other.get(`${idle.service.url}/device`, { until: /\/sign-in/ })).url.pathname, "/sign-in")
})

test("company login: signing out ends the session here, and its cookie is worth nothing", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const browser = company.browser()
  const visit = await company.signIn(browser, olga)
  const kept = browser.cookie(service.url, "sluice-session")?.value
  const csrf = /name="csrf" value="([^"]+)"/.exec(visit.text)?.[1] ?? ""
  const out = await browser.post(new URL(`${service.url}/sign-out`), new URLSearchParams({ csrf }))
  assert.match(out.text, /You are signed out/)
  assert.equal(browser.cookie(service.url, "sluice-session"), undefined)
  const copied = await fetch(`${service.url}/device`, { headers: { cookie: `sluice-session=${kept}` }, redirect: "manual" })
  assert.equal(copied.status, 303)
})

test("company login: a form from another site, or without the page's own secret, is refused", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const browser = company.browser()
  const visit = await company.signIn(browser, olga)
  const csrf = /name="csrf" value="([^"]+)"/.exec(visit.text)?.[1] ?? ""
  const url = new URL(`${service.url}/sign-out`)
  for (const [form, headers] of [
    [{ csrf }, { origin: "https://evil.example" }],
    [{ csrf }, { origin: "null" }],
    [{ csrf: "" }, {}],
    [{ csrf: `${csrf}x` }, {}],
    [{}, {}],
  ] as const)
    assert.equal((await browser.post(url, new URLSearchParams(form as Record<string, string>), { headers })).status, 403)
  assert.equal((await browser.get(`${service.url}/device`)).url.pathname, "/device", "still signed in")
})

test("company login: a cookie that is there twice, or that nobody gave, is no session", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const browser = company.browser()
  await company.signIn(browser, olga)
  const value = browser.cookie(service.url, "sluice-session")?.value ?? ""
  for (const cookie of [
    `sluice-session=${value}; sluice-session=x`,
    `sluice-session=`,
    `sluice-session=${value.slice(0, -1)}`,
    `sluice-session=${"a".repeat(5_000)}`,
    `SLUICE-SESSION=${value}`,
    `x=sluice-session=${value}`,
  ])
    assert.equal((await fetch(`${service.url}/device`, { headers: { cookie }, redirect: "manual" })).status, 303, cookie)
  assert.equal((await fetch(`${service.url}/device`, { headers: { cookie: `sluice-session=${value}` }, redirect: "manual" })).status, 200)
})
