// Rules that want a fresh or a strong login, to ask and to approve: refused with the way to it, and taken once it was gone. People log
// in at a real provider. And what a group that is lost at the provider means for an approval that was given before.
import assert from "node:assert/strict"
import { test } from "node:test"
import { devicePage } from "../../../src/cli/oauth_client.ts"
import type { AccessRule } from "../../../src/config/config.ts"
import { apiAs, type Company, logInProgram, olga, pavel, startCompany } from "./company.ts"
import { by, hour, type Service } from "./service.ts"

const minute = 60_000
const question = { target: "prod-host", duration_ms: hour, reason: "INC-7" }

async function ruled({ service }: Company, rule: Partial<AccessRule>): Promise<void> {
  const usual = service.config.policy.access.find((one) => one.reason_required)
  assert(usual)
  await service.reload({ policy: { ...service.config.policy, access: [{ ...usual, ...rule }] } })
}
/** As if everybody had logged in so much earlier: the provider's clock is the machine's own, and cannot be set. */
const later = (service: Service, ms: number): Promise<unknown> => service.query(`update logins set auth_time = auth_time - ${ms}`)

test("step-up: to ask with a login that is too old is refused with the line that helps; a fresh one asks", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  await ruled(company, { login: { max_age_ms: 10 * minute } })
  const old = await logInProgram(company, company.browser(), olga)
  assert.equal((await apiAs(service, old.access_token, "POST /v1/requests", question)).status, 200, "it is fresh now")
  await later(service, 11 * minute)
  const refused = await apiAs(service, old.access_token, "POST /v1/requests", { ...question, as: ["root"] })
  assert.deepEqual([refused.status, refused.body["code"]], [403, "login_needed"])
  assert.equal(refused.body["message"], "this needs a company login of the last 10m: run `sluice login --fresh`, then this again")
  const fresh = await logInProgram(company, company.browser(), olga)
  assert.equal((await apiAs(service, fresh.access_token, "POST /v1/requests", { ...question, as: ["root"] })).status, 200)
  // Whoever comes with a key or a token of it has proven nothing to the provider.
  assert.equal((await service.ask({ as: ["deploy"] })).body.code, "login_needed")
})

test("step-up: to approve without the class that the rule wants is refused; its page leads to the login that has it, and back", async (t) => {
  const company = await startCompany(t)
  const { service, provider } = company
  await ruled(company, { approve: { ...by(["oncall"]), login: { max_age_ms: 10 * minute, acr: ["urn:mfa"] } } })
  const { body: asked } = await service.ask()
  const weak = company.browser()
  const page = await company.signIn(weak, pavel, `/requests/${asked.id}`)
  assert.match(page.text, /Your decision/)
  const refused = await weak.submit(page, {})
  assert.equal(refused.status, 403)
  assert.match(refused.text, /needs a company login of the last 10m \(urn:mfa\): run `?.*sluice login --fresh --acr urn:mfa/i)
  const [, link = ""] = /href="(\/sign-in\?[^"]+)"[^>]*>Log in again/.exec(refused.text) ?? []
  const path = link.replaceAll("&amp;", "&")
  assert.deepEqual(Object.fromEntries(new URLSearchParams(path.split("?")[1])), {
    max_age: "600",
    acr: "urn:mfa",
    return: `/requests/${asked.id}`,
  })
  assert.equal((await service.call("alice", `GET /v1/requests/${asked.id}`)).body.status, "pending")
  // Another browser, where the provider has the second factor of them.
  provider.acr = "urn:mfa"
  provider.account = pavel
  const strong = company.browser()
  const back = await strong.get(service.url + path)
  assert.equal(back.url.pathname, `/requests/${asked.id}`)
  assert(back.way.some((stop) => stop.startsWith(provider.issuer) && stop.includes("acr_values=urn%3Amfa")))
  const done = await strong.submit(back, {})
  assert.equal(done.status, 200)
  assert.equal((await service.call("alice", `GET /v1/requests/${asked.id}`)).body.status, "approved")
})

test("step-up: a strong login that is too old approves no more, and says no all the same", async (t) => {
  const company = await startCompany(t)
  const { service, provider } = company
  await ruled(company, { approve: { ...by(["oncall"]), login: { max_age_ms: 10 * minute, acr: ["urn:mfa"] } } })
  const { body: asked } = await service.ask()
  provider.acr = "urn:mfa"
  const tokens = await logInProgram(company, company.browser(), pavel)
  await later(service, 11 * minute)
  const decide = (verb: string) => apiAs(service, tokens.access_token, `POST /v1/requests/${asked.id}/${verb}`, {})
  assert.equal((await decide("approve")).body["code"], "login_needed")
  assert.equal((await decide("deny")).body["status"], "denied")
})

test("step-up: where there is no browser the code is entered by way of the login that is wanted", () => {
  const device = {
    device_code: "x",
    user_code: "BBBB-BBBB",
    verification_uri: "https://gw.example.com:8443/device",
    verification_uri_complete: "x",
    interval: 5,
  }
  assert.equal(devicePage(device, {}), device.verification_uri)
  assert.equal(
    devicePage(device, { max_age_s: 0, acr: "urn:mfa" }),
    "https://gw.example.com:8443/sign-in?max_age=0&acr=urn%3Amfa&return=%2Fdevice",
  )
})

test("company login: one of two approvals, of somebody who has left the group since, counts no more", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  await ruled(company, { approve: by(["oncall"], 2) })
  const { body: asked } = await service.ask()
  const tokens = await logInProgram(company, company.browser(), pavel)
  assert.equal((await apiAs(service, tokens.access_token, `POST /v1/requests/${asked.id}/approve`, {})).body["status"], "pending")
  await company.signIn(company.browser(), { ...pavel, claims: { ...pavel.claims, groups: [] } })
  assert.equal((await service.call("bob", `POST /v1/requests/${asked.id}/approve`, {})).body.status, "pending")
  assert.equal((await service.call("erin", `POST /v1/requests/${asked.id}/approve`, {})).body.status, "approved")
})
