// Programs that get a login: the code flow to a loopback port, refresh tokens, the device flow; and everything that tries to get one
// without its person.
import assert from "node:assert/strict"
import test from "node:test"
import { passed_on } from "../../../src/api/passed_on.ts"
import { limits } from "../../../src/core/limits.ts"
import { apiAs, authorizeUrl, type Company, logInProgram, oauth, olga, pavel, pkce, redirect_uri, startCompany } from "./company.ts"
import { gatewayKey } from "./service.ts"

const toProgram = { until: /^http:\/\/127\.0\.0\.1:52001\// }

/** A code as the program gets it, for `challenge`. */
async function codeFor(company: Company, challenge: string): Promise<string> {
  const browser = company.browser()
  await company.signIn(browser, olga)
  const page = await browser.get(authorizeUrl(company.service, challenge))
  return (await browser.submit(page, { decision: "allow" }, toProgram)).url.searchParams.get("code") ?? ""
}

test("oauth: the metadata says where everything is, and the keys there verify the tokens", async (t) => {
  const { service } = await startCompany(t)
  for (const path of ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"]) {
    const metadata = (await (await fetch(service.url + path)).json()) as Record<string, string>
    assert.equal(metadata["issuer"], service.url)
    for (const name of ["authorization_endpoint", "token_endpoint", "device_authorization_endpoint", "jwks_uri"])
      assert(metadata[name]?.startsWith(`${service.url}/oauth/`), name)
    const keys = (await (await fetch(metadata["jwks_uri"] ?? "")).json()) as { keys: { kty: string; d?: string }[] }
    assert.deepEqual([keys.keys[0]?.kty, keys.keys[0]?.d], ["EC", undefined])
  }
})

test("oauth: a person who is asked says yes, and the program gets the state back and a code that only it can use, once", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const browser = company.browser()
  company.provider.account = olga
  const { verifier, challenge } = pkce()
  const page = await browser.get(authorizeUrl(service, challenge))
  assert.match(page.text, /Log in the sluice command as <bdi>olga@corp\.example<\/bdi>\?/)
  assert.match(page.headers.get("content-security-policy") ?? "", /form-action 'self' http:\/\/127\.0\.0\.1:52001;/)
  const { url } = await browser.submit(page, { decision: "allow" }, toProgram)
  assert.equal(url.searchParams.get("state"), "the program's state")
  assert.equal(url.searchParams.get("iss"), service.url)
  const code = url.searchParams.get("code") ?? ""
  const redeem = { grant_type: "authorization_code", code, redirect_uri, code_verifier: verifier }
  const got = await oauth(service, "/oauth/token", redeem)
  assert.equal(got.status, 200)
  assert(Math.abs(got.body.expires_in - limits.api_token_ms / 1000) <= 1)
  const again = await oauth(service, "/oauth/token", redeem)
  assert.deepEqual([again.status, again.body.error], [400, "invalid_grant"])
})

test("oauth: a person who says no, and a program that asks wrongly, are told to the program alone", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const browser = company.browser()
  await company.signIn(browser, olga)
  const { challenge } = pkce()
  const page = await browser.get(authorizeUrl(service, challenge))
  const denied = await browser.submit(page, { decision: "deny" }, toProgram)
  assert.equal(denied.url.searchParams.get("error"), "access_denied")
  for (const change of [
    { response_type: "token" },
    { code_challenge_method: "plain" },
    { code_challenge: "short" },
    { code_challenge: "" },
  ]) {
    const { url } = await browser.get(authorizeUrl(service, challenge, change), toProgram)
    assert.deepEqual([url.searchParams.get("error"), url.searchParams.get("code")], ["invalid_request", null], JSON.stringify(change))
  }
})

test("oauth: an answer never goes to an address that is not this machine's, nor to a program nobody knows", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const browser = company.browser()
  await company.signIn(browser, olga)
  const { challenge } = pkce()
  for (const change of [
    { redirect_uri: "https://evil.example/" },
    { redirect_uri: "http://127.0.0.1.evil.example:80/" },
    { redirect_uri: "http://127.0.0.1:80@evil.example/" },
    { redirect_uri: "http://localhost:52001/" },
    { redirect_uri: "http://127.0.0.1:99999/" },
    { redirect_uri: "http://127.0.0.1:52001/?a=b" },
    { redirect_uri: "http://127.0.0.1:52001/#x" },
    { redirect_uri: "javascript:alert(1)" },
    { redirect_uri: "" },
    { client_id: "evil" },
    { client_id: "constructor" },
  ]) {
    const visit = await browser.get(authorizeUrl(service, challenge, change))
    assert.equal(visit.status, 400, JSON.stringify(change))
    assert.equal(visit.url.origin, service.url)
  }
})

test("oauth: consent cannot be given by another site, or without the page", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const browser = company.browser()
  await company.signIn(browser, olga)
  const { challenge } = pkce()
  const page = await browser.get(authorizeUrl(service, challenge))
  const forged = await browser.submit(page, { decision: "allow" }, { headers: { origin: "https://evil.example" } })
  assert.equal(forged.status, 403)
  assert.equal((await browser.submit(page, { decision: "allow", csrf: "x" })).status, 403)
  const anonymous = company.browser()
  anonymous.jar.clear()
  assert.equal((await anonymous.submit(page, { decision: "allow" })).status, 401)
})

test("oauth: a code is worth nothing without its verifier, at another address, too late, or after its person has signed out", async (t) => {
  const company = await startCompany(t)
  const { service, clock } = company
  const { verifier, challenge } = pkce()
  const redeem = async (change: Record<string, string>, wait_ms = 0) => {
    const code = await codeFor(company, challenge)
    clock.advance(wait_ms)
    const wanted = { grant_type: "authorization_code", code, redirect_uri, code_verifier: verifier }
    const refused = await oauth(service, "/oauth/token", { ...wanted, ...change })
    assert.equal(refused.body.error, change["client_id"] === undefined ? "invalid_grant" : "invalid_client", JSON.stringify(change))
    const right = await oauth(service, "/oauth/token", wanted)
    return right.status
  }
  assert.equal(await redeem({ code_verifier: pkce().verifier }), 400, "one try")
  assert.equal(await redeem({ code_verifier: challenge }), 400)
  assert.equal(await redeem({ code_verifier: "" }), 400)
  assert.equal(await redeem({ redirect_uri: "http://127.0.0.1:52002/" }), 400)
  assert.equal(await redeem({ client_id: "evil" }), 200)
  assert.equal(await redeem({}, limits.authorization_code_ms), 400)
})

test("oauth: a refresh token is exchanged for the next; the one before, shown later, ends the login", async (t) => {
  const company = await startCompany(t)
  const { service, clock } = company
  const first = await logInProgram(company, company.browser(), olga)
  const refresh = (refresh_token: string) => oauth(service, "/oauth/token", { grant_type: "refresh_token", refresh_token })
  const second = await refresh(first.refresh_token)
  assert.equal(second.status, 200)
  assert.notEqual(second.body.refresh_token, first.refresh_token)
  assert.equal(second.body.login_expires_at, first.login_expires_at, "its end does not move")
  // The answer was lost: the program asks again at once.
  const lost = await refresh(first.refresh_token)
  assert.equal(lost.status, 200)
  const third = await refresh(lost.body.refresh_token)
  assert.equal(third.status, 200)
  assert.equal((await apiAs(service, third.body.access_token, "GET /v1/whoami")).status, 200)
  clock.advance(limits.refresh_again_ms + 1)
  const copied = await refresh(lost.body.refresh_token)
  assert.deepEqual([copied.status, copied.body.error], [400, "invalid_grant"])
  assert.equal((await apiAs(service, third.body.access_token, "GET /v1/whoami")).status, 401, "both are out")
  assert.equal((await refresh(third.body.refresh_token)).status, 400)
  const guessed = `${first.refresh_token.split(".")[0]}.${"a".repeat(43)}`
  const other = await logInProgram(company, company.browser(), olga)
  const wrong = await refresh(guessed.replace(/^l_\w+/, other.refresh_token.split(".")[0] ?? ""))
  assert.equal(wrong.status, 400)
  assert.equal((await refresh(other.refresh_token)).status, 200, "whoever guesses ends nobody's login")
})

test("oauth: a login ends at its time, however often it is refreshed, and a token of it not later", async (t) => {
  const company = await startCompany(t, { oidc: { login_for_ms: 20 * 60_000 } })
  const { service, clock } = company
  const first = await logInProgram(company, company.browser(), olga)
  clock.advance(10 * 60_000)
  const second = await oauth(service, "/oauth/token", { grant_type: "refresh_token", refresh_token: first.refresh_token })
  assert(second.body.expires_in <= 10 * 60, String(second.body.expires_in))
  clock.advance(10 * 60_000)
  assert.equal((await apiAs(service, second.body.access_token, "GET /v1/whoami")).status, 401)
  const late = await oauth(service, "/oauth/token", { grant_type: "refresh_token", refresh_token: second.body.refresh_token })
  assert.equal(late.body.error, "invalid_grant")
})

test("oauth: logging out ends the login everywhere and nobody else's; a browser's secret is no refresh token", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const browser = company.browser()
  const [one, other] = [await logInProgram(company, browser, olga), await logInProgram(company, browser, olga)]
  assert.equal((await apiAs(service, one.access_token, "POST /v1/logout", {})).status, 200)
  assert.equal((await apiAs(service, one.access_token, "GET /v1/whoami")).status, 401)
  assert.equal((await oauth(service, "/oauth/token", { grant_type: "refresh_token", refresh_token: one.refresh_token })).status, 400)
  assert.equal((await apiAs(service, other.access_token, "GET /v1/whoami")).status, 200)
  const cookie = browser.cookie(service.url, "sluice-session")?.value ?? ""
  assert.equal((await oauth(service, "/oauth/token", { grant_type: "refresh_token", refresh_token: cookie })).status, 400)
})

test("oauth: a program that may not is told so in the protocol's words", async (t) => {
  const { service } = await startCompany(t)
  assert.equal(
    (await oauth(service, "/oauth/token", { grant_type: "password", username: "olga", password: "x" })).body.error,
    "unsupported_grant_type",
  )
  assert.equal((await oauth(service, "/oauth/token", { client_id: "x", grant_type: "refresh_token" })).status, 401)
  const twice = await fetch(`${service.url}/oauth/token`, {
    method: "POST",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: "client_id=sluice-cli&grant_type=refresh_token&grant_type=authorization_code",
  })
  assert.equal(((await twice.json()) as { error: string }).error, "invalid_request")
  const json = await fetch(`${service.url}/oauth/token`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" })
  assert.equal(json.status, 400)
})

test("oauth: a device gets its login when its person has typed the code and said yes", async (t) => {
  const company = await startCompany(t)
  const { service, clock } = company
  const begun = (await oauth(service, "/oauth/device_authorization", {})).body
  assert.match(begun.user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
  assert.equal(begun.verification_uri, `${service.url}/device`)
  const poll = () => {
    clock.advance(begun.interval * 1000)
    return oauth(service, "/oauth/token", { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: begun.device_code })
  }
  assert.equal((await poll()).body.error, "authorization_pending")
  const browser = company.browser()
  company.provider.account = olga
  const entry = await browser.get(begun.verification_uri)
  const question = await browser.submit(entry, { user_code: begun.user_code.toLowerCase().replace("-", " ") })
  assert.match(question.text, new RegExp(begun.user_code))
  assert.match(question.text, /127\.0\.0\.1/)
  assert.equal((await poll()).body.error, "authorization_pending", "looking is not saying yes")
  assert.match((await browser.submit(question, { decision: "allow" })).text, /The program is logged in/)
  const got = await poll()
  assert.equal(got.status, 200)
  const me = await apiAs(service, got.body.access_token, "GET /v1/whoami")
  assert.deepEqual([me.body["subject"], (me.body["login"] as { kind: string }).kind], ["olga@corp.example", "device"])
  assert.equal((await poll()).body.error, "expired_token", "once")
})

test("oauth: a PostgreSQL client gets one token for the targets, which nothing renews, and only by a device code", async (t) => {
  const company = await startCompany(t)
  const { service, clock } = company
  const client_id = "psql"
  const begun = (await oauth(service, "/oauth/device_authorization", { client_id })).body
  const browser = company.browser()
  await company.signIn(browser, olga)
  const page = await browser.get(`${service.url}/device?user_code=${begun.user_code}`)
  assert.match(page.text, /a PostgreSQL client/)
  await browser.submit(page, { decision: "allow" })
  clock.advance(limits.device_poll_ms)
  const asked = { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: begun.device_code }
  assert.equal((await oauth(service, "/oauth/token", asked)).body.error, "expired_token", "it is another program's code")
  const got = (await oauth(service, "/oauth/token", { ...asked, client_id })).body
  assert.equal(got.refresh_token, undefined)
  assert(got.login_expires_at <= clock.now() + limits.token_ms)
  const claims = JSON.parse(Buffer.from(got.access_token.split(".")[1] ?? "", "base64url").toString()) as { aud: string; sub: string }
  assert.deepEqual([claims.aud, claims.sub], ["sluice:targets", "olga@corp.example"])
  const me = await fetch(`${service.url}/v1/whoami`, { headers: { authorization: `Bearer ${got.access_token}` } })
  assert.equal(me.status, 401, "it is no good for the API")
  for (const grant_type of ["authorization_code", "refresh_token"])
    assert.equal((await oauth(service, "/oauth/token", { client_id, grant_type })).body.error, "unauthorized_client")
  const { challenge } = pkce()
  assert.equal((await browser.get(authorizeUrl(service, challenge, { client_id }))).status, 400)
})

test("oauth: a device that is refused, asks too fast, too late or with a guess gets nothing", async (t) => {
  const company = await startCompany(t)
  const { service, clock } = company
  const begin = async () => (await oauth(service, "/oauth/device_authorization", {})).body
  const poll = async (device_code: string, wait_ms = 5_000) => {
    clock.advance(wait_ms)
    const asked = { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code }
    return (await oauth(service, "/oauth/token", asked)).body.error
  }
  const browser = company.browser()
  await company.signIn(browser, olga)
  const denied = await begin()
  await browser.submit(await browser.get(denied.verification_uri_complete), { decision: "deny" })
  assert.equal(await poll(denied.device_code), "access_denied")
  const hasty = await begin()
  assert.equal(await poll(hasty.device_code), "authorization_pending")
  assert.equal(await poll(hasty.device_code, 1_000), "slow_down")
  assert.equal(await poll(hasty.device_code, 6_000), "slow_down", "and slower than before")
  assert.equal(await poll(hasty.device_code, 15_000), "authorization_pending")
  assert.equal(await poll("guessed"), "expired_token")
  const late = await begin()
  const page = await browser.get(late.verification_uri_complete)
  clock.advance(limits.device_code_ms)
  assert.match((await browser.submit(page, { decision: "allow" })).text, /No program waits with this code/)
  assert.equal(await poll(late.device_code), "expired_token")
})

test("oauth: one who has signed out since saying yes gives a device nothing, and a code is answered once", async (t) => {
  const company = await startCompany(t)
  const { service, clock } = company
  const begun = (await oauth(service, "/oauth/device_authorization", {})).body
  const [browser, second] = [company.browser(), company.browser()]
  await company.signIn(browser, olga)
  await company.signIn(second, pavel)
  const [page, other] = [await browser.get(begun.verification_uri_complete), await second.get(begun.verification_uri_complete)]
  const done = await browser.submit(page, { decision: "allow" })
  assert.match((await second.submit(other, { decision: "allow" })).text, /No program waits with this code/)
  const csrf = /name="csrf" value="([^"]+)"/.exec(done.text)?.[1] ?? ""
  await browser.post(new URL(`${service.url}/sign-out`), new URLSearchParams({ csrf }))
  clock.advance(10_000)
  const asked = { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: begun.device_code }
  assert.equal((await oauth(service, "/oauth/token", asked)).body.error, "access_denied")
})

test("oauth: codes cannot be guessed through the page, nor piled up", async (t) => {
  const company = await startCompany(t)
  const { service } = company
  const browser = company.browser()
  await company.signIn(browser, olga)
  let status = 200
  for (let tries = 0; tries <= limits.user_code_tries_max; tries++)
    status = (await browser.get(`${service.url}/device?user_code=BBBB-${"BCDFGHJKLMNPQRSTVWXZB"[tries]}BBB`)).status
  assert.equal(status, 429)
  const begun = []
  for (let tries = 0; tries <= limits.device_codes_per_address_max; tries++)
    begun.push((await oauth(service, "/oauth/device_authorization", {})).status)
  assert.deepEqual([begun.at(-2), begun.at(-1)], [200, 429])
  // Of an IPv6 network one host has all the addresses.
  const beginFrom = async (host: string): Promise<number> => {
    const headers = { [passed_on.key]: gatewayKey, [passed_on.client]: `[${host}]:4000` }
    const body = new URLSearchParams({ client_id: "sluice-cli" })
    return (await fetch(`${service.url}/oauth/device_authorization`, { method: "POST", body, headers })).status
  }
  const shared = []
  for (let tries = 0; tries <= limits.device_codes_per_address_max; tries++) shared.push(await beginFrom(`2001:db8:1:2::${tries}`))
  assert.deepEqual([shared.at(-2), shared.at(-1)], [200, 429])
  assert.equal(await beginFrom("2001:db8:1:3::1"), 200)
})

test("oauth: a rule that wants a fresh proof gets one, and with it a class", async (t) => {
  const company = await startCompany(t)
  const { service, clock, provider } = company
  const browser = company.browser()
  await company.signIn(browser, olga)
  clock.advance(5 * 60_000)
  provider.acr = "urn:mfa"
  const { challenge } = pkce()
  const page = await browser.get(authorizeUrl(service, challenge, { max_age: "60", acr_values: "urn:mfa" }))
  assert.match(page.text, /Log in the sluice command/)
  assert(page.way.some((stop) => stop.startsWith(provider.issuer) && stop.includes("max_age=60") && stop.includes("acr_values=urn%3Amfa")))
})
