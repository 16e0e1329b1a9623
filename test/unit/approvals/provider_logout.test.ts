// Somebody logs out at the company's provider, and it says so.
import assert from "node:assert/strict"
import { test } from "node:test"
import { apiAs, logInProgram, oauth, olga, pavel, startCompany } from "./company.ts"
import { startService } from "./service.ts"

const path = "/sign-in/back-channel-logout"

test("provider logout: every login of that person ends, with what came of it, and nobody else's; a new one begins", async (t) => {
  const company = await startCompany(t)
  const { service, provider } = company
  const [hers, his] = [company.browser(), company.browser()]
  const tokens = await logInProgram(company, hers, olga)
  const other = await logInProgram(company, his, pavel)
  assert.equal((await hers.get(`${service.url}/grants`)).status, 200)
  await provider.sayLoggedOut(olga.sub)
  assert.match((await hers.get(`${service.url}/grants`, { until: /sign-in/ })).url.pathname, /sign-in/)
  assert.equal((await apiAs(service, tokens.access_token, "GET /v1/whoami")).status, 401)
  const again = await oauth(service, "/oauth/token", { grant_type: "refresh_token", refresh_token: tokens.refresh_token })
  assert.deepEqual([again.status, again.body.error], [400, "invalid_grant"])
  assert.equal((await apiAs(service, other.access_token, "GET /v1/whoami")).status, 200)
  const { events } = (await service.call("gina", "GET /v1/audit?limit=2")).body as unknown as { events: Record<string, unknown>[] }
  assert.deepEqual(
    events.map((event) => [event["kind"], event["actor"], event["by"], event["reason"]]),
    Array.from({ length: 2 }, () => ["login.ended", "policy", "sluice", "logged out at the provider"]),
  )
  assert.equal((await company.signIn(hers, olga, "/grants")).status, 200)
})

test("provider logout: a token that is shown again ends nothing that began after it", async (t) => {
  const company = await startCompany(t)
  const { service, provider, clock } = company
  const browser = company.browser()
  await company.signIn(browser, olga, "/grants")
  await provider.sayLoggedOut(olga.sub)
  clock.advance(60_000)
  assert.equal((await company.signIn(browser, olga, "/grants")).status, 200)
  const again = await fetch(service.url + path, { method: "POST", body: new URLSearchParams(provider.said) })
  assert.deepEqual([again.status, await again.text(), again.headers.get("cache-control")], [200, "", "no-store"])
  assert.equal((await browser.get(`${service.url}/grants`, { until: /sign-in/ })).status, 200)
})

test("provider logout: of somebody who was never here it is taken; what is no such word is refused, and ends nothing", async (t) => {
  const company = await startCompany(t)
  const { service, provider } = company
  const browser = company.browser()
  await company.signIn(browser, olga, "/grants")
  await provider.sayLoggedOut("sub-of-nobody")
  const say = async (form: Readonly<Record<string, string>> | string): Promise<unknown[]> => {
    const response = await fetch(service.url + path, { method: "POST", body: new URLSearchParams(form) })
    return [response.status, ((await response.json()) as { error: string }).error]
  }
  for (const form of [{}, { logout_token: "" }, { logout_token: "a.b.c" }, "logout_token=a&logout_token=b"])
    assert.deepEqual(await say(form), [400, "invalid_request"])
  assert.equal((await browser.get(`${service.url}/grants`, { until: /sign-in/ })).status, 200)
})

test("provider logout: without a company login there is nothing here", async (t) => {
  const service = await startService(t)
  const response = await fetch(service.url + path, { method: "POST", body: new URLSearchParams({ logout_token: "x" }) })
  assert.equal(response.status, 404)
})
