// Disabling somebody, and links that sign a browser in: for those of the config as for those of the company.
import assert from "node:assert/strict"
import test from "node:test"
import { limits } from "../../../src/core/limits.ts"
import { apiAs, logInProgram, oauth, olga, startCompany } from "./company.ts"
import { hour, startService } from "./service.ts"

test("disabling: logins end, what waits is taken back, what is held is revoked, and nothing new begins", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const browser = company.browser()
  const tokens = await logInProgram(company, browser, olga)
  const ask = (body: object) => apiAs(service, tokens.access_token, "POST /v1/requests", { duration_ms: hour, reason: "why", ...body })
  const [held, waits] = [await ask({ target: "prod-host", as: ["root"] }), await ask({ target: "prod-host" })]
  await service.call("bob", `POST /v1/requests/${String(held.body["id"])}/approve`, {})
  const { status } = await service.call("dana", "POST /v1/people/disable", { subject: "olga@corp.example", reason: "left the company" })
  assert.equal(status, 200)
  assert.equal((await apiAs(service, tokens.access_token, "GET /v1/whoami")).status, 401)
  assert.equal((await oauth(service, "/oauth/token", { grant_type: "refresh_token", refresh_token: tokens.refresh_token })).status, 400)
  assert.equal((await browser.get(`${service.url}/device`, { until: /\/sign-in/ })).url.pathname, "/sign-in")
  const again = await company.signIn(company.browser(), olga)
  assert.match(again.text, /was disabled here; ask an administrator/)
  const { requests } = (await service.call("dana", "GET /v1/requests")).body
  assert.equal(requests.find(({ id }) => id === waits.body["id"])?.status, "withdrawn")
  const { grants } = (await service.call("dana", "GET /v1/grants?all=true")).body
  assert.deepEqual([grants[0]?.status, grants[0]?.ended_by, grants[0]?.ended_reason], ["revoked", "dana@example.com", "left the company"])
  const enabled = await service.call("dana", "POST /v1/people/enable", { subject: "olga@corp.example" })
  assert.equal(enabled.status, 200)
  assert.equal((await apiAs(service, tokens.access_token, "GET /v1/whoami")).status, 401, "an ended login stays ended")
  assert.equal((await company.signIn(company.browser(), olga)).status, 200)
})

test("disabling: somebody of the config too, for their keys and tokens; but not oneself, and not somebody unknown", async (t) => {
  const service = await startService(t)
  await service.call("dana", "POST /v1/people/disable", { subject: "bob@example.com", reason: "on leave" })
  assert.equal((await service.call("bob", "GET /v1/whoami")).status, 401)
  const token = await service.call("gateway", "POST /v1/gateway/token", { subject: "bob@example.com", use: "targets", via: "ssh-key x" })
  assert.equal(token.status, 404)
  const standing = await service.call("gateway", "GET /v1/gateway/people?subject=bob%40example.com")
  assert.equal((standing.body as unknown as { disabled: boolean }).disabled, true)
  assert.equal((await service.call("dana", "POST /v1/people/disable", { subject: "dana@example.com" })).status, 400)
  assert.equal((await service.call("dana", "POST /v1/people/disable", { subject: "nobody@example.com" })).status, 404)
  await service.restart()
  assert.equal((await service.call("bob", "GET /v1/whoami")).status, 401, "a restart enables nobody")
  const { people } = (await service.call("dana", "GET /v1/people")).body as unknown as {
    people: { name: string; disabled: object | null }[]
  }
  assert.deepEqual(
    people.filter(({ disabled }) => disabled).map(({ name }) => name),
    ["bob@example.com"],
  )
})

test("disabling: gateways hear of it on their feed, in order, as they do of a login's end", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const tokens = await logInProgram(company, company.browser(), olga)
  const stop = new AbortController()
  const headers = { authorization: "Bearer a-gateway-key-of-the-tests" }
  const feed = await fetch(`${service.url}/v1/gateway/feed?after=0`, { headers, signal: stop.signal })
  await apiAs(service, tokens.access_token, "POST /v1/logout", {})
  await service.call("dana", "POST /v1/people/disable", { subject: "olga@corp.example", reason: "x" })
  let text = ""
  assert(feed.body)
  for await (const chunk of feed.body) {
    text += new TextDecoder().decode(chunk as Uint8Array)
    if (text.includes('"disabled":true')) break
  }
  stop.abort()
  const lines = text
    .split("\n")
    .flatMap((line) =>
      line.includes('"login"') || line.includes('"person"') ? [JSON.parse(line) as { kind: string; sequence: number }] : [],
    )
  assert.deepEqual(lines.map(({ kind }) => kind).slice(0, 2), ["login", "person"])
  assert((lines[0]?.sequence ?? 0) < (lines[1]?.sequence ?? 0))
})

test("sign-in link: somebody with an SSH key gets a session by it, once, and only by saying so", async (t) => {
  const company = await startCompany(t)
  const { service, clock } = company
  const wanted = { subject: "alice@example.com", via: "ssh-key SHA256:x" }
  const link = async () => ((await service.call("gateway", "POST /v1/gateway/link", wanted)).body as unknown as { url: string }).url
  const [browser, second] = [company.browser(), company.browser()]
  const url = await link()
  await company.browser().get(url)
  const page = await browser.get(url)
  assert.match(page.text, /Sign in as <bdi>alice@example\.com<\/bdi>\?/)
  const other = await second.get(url)
  const forged = await browser.submit(page, {}, { headers: { origin: "https://evil.example" }, until: /./ })
  assert.equal(forged.status, 403)
  await browser.submit(page, {}, { until: /\/$/ })
  const late = await second.submit(other)
  assert.deepEqual([late.status, /used already, or is too old/.test(late.text)], [401, true])
  assert.match((await browser.get(`${service.url}/device`)).text, /alice@example\.com/)
  const old = await link()
  clock.advance(limits.login_link_ms)
  assert.equal((await second.get(old)).status, 401)
  assert.equal((await service.call("gateway", "POST /v1/gateway/link", { ...wanted, subject: "nobody" })).status, 404)
})

test("sign-in link: without company login the sign-in page says how", async (t) => {
  const service = await startService(t)
  const page = await (await fetch(`${service.url}/sign-in`)).text()
  assert.match(page, /<code>ssh gw login<\/code>/)
})
