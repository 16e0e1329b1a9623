// Company login from end to end: the provider is real, the pages and the API come through the gateway's own HTTPS, the command line is
// the one people have, and a browser comes to an application.
import assert from "node:assert/strict"
import { chmodSync, existsSync, readFileSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { Browser } from "../support/browser.ts"
import { type HttpApp, startHttpApp } from "../support/http_app.ts"
import { type OidcProvider, oidcClient, startOidcProvider } from "../support/oidc_provider.ts"
import { type People, person, people } from "../support/people.ts"
import { onFreePort } from "../support/port.ts"
import { launch, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { httpTarget } from "../support/sluice_config.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const olga = { sub: "sub-olga", claims: { email: "olga@corp.example", email_verified: true, groups: ["engineers"] } }
const main = join(import.meta.dirname, "../../src/main.ts")

suite("company login, through the gateway", { skip: needs("ssh"), concurrency: 1 }, () => {
  const who: People = people()
  let app: HttpApp
  let provider: OidcProvider
  let sluice: Sluice
  let url: string
  let port: number
  const browsers: Browser[] = []
  const browser = (): Browser => {
    const made = new Browser({ ca: readFileSync(sluice.caFile, "utf8") })
    browsers.push(made)
    return made
  }
  /** The command line of somebody with a home of their own. */
  const home = scratch("home")
  const opened = join(home, "opened")
  const env = (): Record<string, string | undefined> => ({
    SSH_AUTH_SOCK: undefined,
    XDG_CONFIG_HOME: undefined,
    HOME: home,
    XDG_STATE_HOME: join(home, "state"),
    SLUICE_SERVICE: url,
    SLUICE_CA: sluice.caFile,
    BROWSER: join(home, "browser"),
  })
  const cli = (...words: string[]) => run(process.execPath, [main, ...words], { env: env() })

  before(async () => {
    app = await startHttpApp()
    provider = await startOidcProvider()
    provider.account = olga
    writeFileSync(join(home, "browser"), `#!/bin/sh\nprintf '%s' "$1" >'${opened}.new' && mv '${opened}.new' '${opened}'\n`)
    chmodSync(join(home, "browser"), 0o755)
    const folder = scratch("login")
    writeFileSync(join(folder, "client_secret"), oidcClient.client_secret, { mode: 0o600 })
    sluice = await onFreePort(async (free) => {
      port = free
      const listen = "127.0.0.1:0"
      const http = { listen: `127.0.0.1:${free}`, domain: "apps.localhost" }
      return startSluice({
        folder,
        users: Object.values(who),
        targets: [httpTarget("grafana", app), httpTarget("wiki", app)],
        gateway: { name: "localhost", ssh: { listen }, http },
        approvals: { public_url: `https://localhost:${free}` },
        identity: { oidc: { issuer: provider.issuer, client_id: oidcClient.client_id, client_secret: "file:client_secret" } },
      })
    })
    url = `https://localhost:${port}`
    await provider.serve(`${url}/sign-in/callback`)
  })
  after(async () => {
    for (const each of browsers) await each.close()
    await sluice.stop()
    await provider.stop()
    await app.stop()
  })

  test("`sluice login` opens the browser, waits for a yes there, and the verbs need no ssh from then on", async () => {
    const login = launch(process.execPath, [main, "login"], { env: env(), input: "" })
    const asked = await eventually("the browser to be opened", () => existsSync(opened) && readFileSync(opened, "utf8"))
    assert.match(login.stderr, /Log in with your browser\. If it does not open, go to\n {2}https:\/\/localhost:\d+\/oauth\/authorize\?/)
    const me = browser()
    const page = await me.get(asked)
    assert.match(page.text, /Log in the sluice command as <bdi>olga@corp\.example<\/bdi>\?/)
    const done = await me.submit(page, { decision: "allow" })
    assert.match(done.text, /You are logged in/)
    const { stdout, status } = await login.ended
    assert.deepEqual([status, stdout.startsWith("You are logged in as olga@corp.example (engineers) until ")], [0, true], stdout)
    const [kept = ""] = readdirSync(join(home, "state/sluice"))
    assert.equal(statSync(join(home, "state/sluice", kept)).mode & 0o777, 0o600)
    const whoami = await cli("whoami")
    assert.match(whoami.stdout, /^olga@corp\.example \(engineers\)\nlogged in by oidc http:.*, proven at .* UTC, until .*\(in 1[12]h/)
    // The login brought certificates too: stock ssh needs nothing else.
    const file = join(home, ".config/sluice/id_sluice")
    assert.equal(statSync(file).mode & 0o777, 0o600)
    const ssh = await run("ssh", [...sluice.ssh({ ...who.carol, file }), "gateway", "whoami"])
    assert.match(ssh.stdout, /^olga@corp\.example \(engineers\)\nlogged in by oidc /)
    const request = await cli("request", "grafana", "--for", "1h", "--reason", "to look")
    assert.match(request.stdout, /^Request \d+ for grafana/)
    const token = await cli("token", "grafana")
    assert.match(token.stdout, /^ey[\w.-]+\n$/)
  })

  test("`sluice login --device` shows a code; once it is entered elsewhere the login is here; `sluice logout` ends it everywhere", async () => {
    const elsewhere = { ...env(), XDG_STATE_HOME: join(home, "elsewhere") }
    const login = launch(process.execPath, [main, "login", "--device"], { env: elsewhere, input: "" })
    const [, page = "", code = ""] = await login.says(/go to\n {2}(\S+)\nand enter the code\n {2}(\S+)\n/)
    assert.equal(page, `${url}/device`)
    const me = browser()
    const question = await me.submit(await me.get(page), { user_code: code })
    assert.match(question.text, /127\.0\.0\.1:\d+/)
    await me.submit(question, { decision: "allow" })
    assert.match((await login.ended).stdout, /^You are logged in as olga@corp\.example/)
    const kept = JSON.parse(readFileSync(join(home, "elsewhere/sluice", readdirSync(join(home, "elsewhere/sluice"))[0] ?? ""), "utf8")) as {
      access_token: string
    }
    const out = await run(process.execPath, [main, "logout"], { env: elsewhere })
    assert.equal(out.stdout, "You are logged out.\n")
    const headers = { authorization: `Bearer ${kept.access_token}` }
    assert.equal((await fetch(`http://127.0.0.1:${sluice.port("approvals")}/v1/whoami`, { headers })).status, 401)
    const again = await run(process.execPath, [main, "whoami"], { env: elsewhere })
    assert.deepEqual([again.status, /you are not logged in/.test(again.stderr), /Log in: sluice login/.test(again.stderr)], [1, true, true])
  })

  test("a login that a rule wants fresh, and of a class, is asked for in the browser and by the code's page", async () => {
    const elsewhere = { ...env(), XDG_STATE_HOME: join(home, "fresh"), BROWSER: "/nonexistent" }
    for (const [more, where] of [
      [[], /\/oauth\/authorize\?\S*&max_age=0&acr_values=urn%3Amfa\n/],
      [["--device"], /go to\n {2}https:\/\/localhost:\d+\/sign-in\?max_age=0&acr=urn%3Amfa&return=%2Fdevice\nand enter the code/],
    ] as const) {
      const login = launch(process.execPath, [main, "login", "--fresh", "--acr", "urn:mfa", ...more], { env: elsewhere, input: "" })
      await login.says(where)
      await login.stop()
    }
  })

  test("a refused login, and a service that is none, say so", async () => {
    const login = launch(process.execPath, [main, "login"], { env: { ...env(), BROWSER: "/nonexistent" }, input: "" })
    const [, asked = ""] = await login.says(/ {2}(https:\S+)\n/)
    const me = browser()
    await me.submit(await me.get(asked), { decision: "deny" })
    const { stderr, status } = await login.ended
    assert.deepEqual([status, /sluice: the login was refused/.test(stderr)], [1, true], stderr)
    const wrong = await run(process.execPath, [main, "login", "--device", "--service", "https://localhost:1"], { env: env() })
    assert.equal(wrong.status, 1)
    const clear = await run(process.execPath, [main, "whoami", "--service", "http://gw.example.com"], { env: env() })
    assert.deepEqual([clear.status, /must be https/.test(clear.stderr)], [2, true])
  })

  test("what is for gateways alone is not reached through the gateway, however it is written; the client's address is its own", async () => {
    const me = browser()
    for (const path of [
      "/v1/gateway/grants?subject=a&target=b",
      "/v1/g%61teway/feed",
      "//v1/gateway/feed",
      "/V1/Gateway/feed",
      "/healthz",
      "/%",
    ])
      assert.notEqual((await me.get(url + path)).status, 200, path)
    const forged = await me.get(`${url}/v1/gateway/feed`, {
      headers: { authorization: "Bearer the-key-a-gateway-shows-in-tests-0123456789" },
    })
    assert.equal(forged.status, 404)
    const openapi = await me.get(`${url}/openapi.json`)
    assert.equal(openapi.status, 200)
    await me.get(`${url}/sign-in`, { headers: { "sluice-client": "203.0.113.9:1", "sluice-gateway-key": "x" }, until: /never/ })
    assert(!sluice.log().includes("203.0.113.9"))
  })

  test("a browser comes to an application, logs in, comes back, and without a grant is shown where to ask for it; a script reads 401", async () => {
    const me = browser()
    const there = `https://wiki.apps.localhost:${port}`
    const visit = await me.get(`${there}/page?a=b`)
    const { origin, pathname, searchParams } = visit.url
    assert.deepEqual([origin, pathname, searchParams.get("target"), searchParams.get("return")], [url, "/ask", "wiki", `${there}/page?a=b`])
    assert.match(visit.text, /Ask for wiki/)
    assert.match(me.cookie(there, "__Host-sluice")?.line ?? "", /; Path=\/; HttpOnly; Secure; SameSite=Lax; Max-Age=\d+$/)
    assert.deepEqual([...(me.jar.get(there)?.keys() ?? [])], ["__Host-sluice"])
    const script = await browser().get(`${there}/page`, { headers: { accept: "*/*" } })
    assert.equal(script.status, 401)
  })

  test("with a grant the application serves them, never sees the cookie, and only this origin acts with it", async () => {
    await sluice.grant(person("olga@corp.example", "engineers"), "wiki", { by: who.bob, for: "1h" })
    const me = browser()
    const there = `https://wiki.apps.localhost:${port}`
    me.jar.set(there, new Map([["theirs", { name: "theirs", value: "1", line: "theirs=1" }]]))
    const visit = await me.get(`${there}/page`)
    assert.equal(visit.status, 200)
    const seen = app.received.at(-1)
    assert.deepEqual([seen?.headers["cookie"], seen?.headers["x-sluice-subject"]], ["theirs=1", "olga@corp.example"])
    const post = (headers: Record<string, string>) => me.post(new URL(`${there}/form`), new URLSearchParams({ a: "b" }), { headers })
    assert.equal((await post({})).status, 200)
    for (const origin of ["https://evil.example", `https://grafana.apps.localhost:${port}`, "null"])
      assert.equal((await post({ origin })).status, 401, origin)
    const token = me.cookie(there, "__Host-sluice")?.value ?? ""
    const asBearer = await browser().get(`${there}/page`, { headers: { accept: "*/*", authorization: `Bearer ${token}` } })
    assert.equal(asBearer.status, 401, "what a browser sends by itself is no bearer token")
    const elsewhere = await browser().get(`https://grafana.apps.localhost:${port}/`, {
      headers: { accept: "*/*", cookie: `__Host-sluice=${token}` },
    })
    assert.equal(elsewhere.status, 401, "nor good at another target")
    for (const cookie of [`__Host-sluice=${token}; __Host-sluice=x`, "__Host-sluice=x", `__Host-sluice=${token}x`, "__Host-sluice"])
      assert.equal((await browser().get(`${there}/page`, { headers: { accept: "*/*", cookie } })).status, 401, cookie)
  })

  test("a code that another browser got logs nobody in, nor does one that was used, nor for another host", async () => {
    const there = `https://wiki.apps.localhost:${port}`
    const [victim, attacker] = [browser(), browser()]
    const { url: callback } = await attacker.get(`${there}/`, { until: /\/\.sluice\/callback/ })
    const lured = await victim.get(callback)
    assert.equal(lured.status, 401)
    assert.match(lured.text, /begun in another browser/)
    assert.equal(victim.cookie(there, "__Host-sluice"), undefined)
    const other = new URL(callback)
    other.host = `grafana.apps.localhost:${port}`
    attacker.jar.set(other.origin, new Map(attacker.jar.get(there)))
    assert.equal((await attacker.get(other)).status, 401)
    const again = await attacker.get(callback)
    assert.equal(again.status, 401, "the try at another host was its one use")
    for (const host of [
      "evil.example",
      `evil.example:${port}`,
      `wiki.apps.localhost.evil.example:${port}`,
      "wiki.apps.localhost:1",
      `wiki.apps.localhost:${port}/x`,
      `a.b.apps.localhost:${port}`,
    ])
      assert.equal((await attacker.get(`${url}/gateway-login?host=${encodeURIComponent(host)}&state=${"a".repeat(43)}`)).status, 400, host)
  })

  test("signing out at the application ends the login everywhere, at once; another site cannot do it", async () => {
    const there = `https://wiki.apps.localhost:${port}`
    const me = browser()
    assert.equal((await me.get(`${there}/page`)).status, 200)
    const token = me.cookie(there, "__Host-sluice")?.value ?? ""
    const forged = await me.get(`${there}/.sluice/logout`, { headers: { "sec-fetch-site": "cross-site" } })
    assert.equal(forged.status, 403)
    assert.match((await me.get(`${there}/.sluice/logout`)).text, /You are signed out/)
    assert.equal(me.cookie(there, "__Host-sluice"), undefined)
    await eventually("the copied cookie to be worth nothing", async () => {
      const copied = await browser().get(`${there}/page`, { headers: { accept: "*/*", cookie: `__Host-sluice=${token}` } })
      return copied.status === 401
    })
    assert.match((await me.get(`${url}/device`, { until: /\/sign-in\?/ })).url.pathname, /\/sign-in/)
  })

  test("somebody who is disabled is out of the application at the next request", async () => {
    const there = `https://wiki.apps.localhost:${port}`
    const me = browser()
    assert.equal((await me.get(`${there}/page`)).status, 200)
    const dana = sluice.api(who.dana)
    await dana.call("disable", { body: { subject: "olga@corp.example", reason: "left" } })
    const out = await me.get(`${there}/page`)
    assert.notEqual(out.status, 200)
    assert.match(out.text, /was disabled here/)
    await dana.call("enable", { body: { subject: "olga@corp.example" } })
  })
})
