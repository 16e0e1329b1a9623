// The doors of the pages: nothing behind them for somebody who has not signed in, and what a browser is told with every answer.
import assert from "node:assert/strict"
import { test, type TestContext } from "node:test"
import { newSessionId } from "../../../src/core/ids.ts"
import { limits } from "../../../src/core/limits.ts"
import { Browser } from "../../support/browser.ts"
import { giveBack, newStore } from "../../support/store.ts"
import { type Service, startService, testConfig } from "./service.ts"

const reads = ["/", "/requests", "/requests/1", "/grants", "/sessions", "/gateways", "/ask", "/ask?target=prod-host"]
const forms = [
  "/ask",
  ...["approve", "deny", "withdraw", "review"].map((verb) => `/requests/1/${verb}`),
  ...["drop", "extend", "revoke"].map((verb) => `/grants/g_0000000000000000/${verb}`),
  "/sessions/s_0000000000000000/kill",
]
const form = { "content-type": "application/x-www-form-urlencoded" }

test("pages: who is not signed in is sent to sign in, and a form of theirs changes nothing", async (t) => {
  const service = await startService(t)
  await service.ask()
  const strangers: Record<string, string>[] = [
    {},
    { cookie: "sluice-session=" },
    { cookie: "sluice-session=made-up; __Host-sluice-session=made-up" },
    { authorization: `Bearer ${await service.token("bob")}` },
  ]
  for (const headers of strangers) {
    for (const path of reads) {
      const response = await fetch(service.url + path, { headers, redirect: "manual" })
      assert.equal(response.status, 303, path)
      assert.equal(response.headers.get("location"), `/sign-in?return=${encodeURIComponent(path)}`)
      assert.equal(await response.text(), "")
    }
    for (const path of forms) {
      const response = await fetch(service.url + path, {
        method: "POST",
        headers: { ...headers, ...form },
        body: "csrf=x",
        redirect: "manual",
      })
      assert.equal(response.status, 401, path)
      assert.match(await response.text(), /You are not signed in/)
    }
  }
  assert.equal((await service.call("alice", "GET /v1/requests/1")).body.status, "pending")
})

test("pages: every answer says what the browser may do with it", async (t) => {
  const service = await startService(t)
  const pages = [
    await fetch(`${service.url}/ask`, { method: "POST", headers: form, body: "" }),
    await fetch(`${service.url}/no-such-page`, { headers: { accept: "text/html" } }),
    await fetch(`${service.url}/sign-in`),
  ]
  assert.deepEqual(
    pages.map(({ status }) => status),
    [401, 404, 200],
  )
  for (const { headers, url } of pages) {
    const policy = headers.get("content-security-policy") ?? ""
    for (const part of ["default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"])
      assert(policy.includes(part), `${url}: ${part}`)
    assert.doesNotMatch(policy, /unsafe|\*|script-src/)
    assert.equal(headers.get("cache-control"), "no-store")
    assert.equal(headers.get("x-frame-options"), "DENY")
    assert.equal(headers.get("content-type"), "text/html; charset=utf-8")
  }
})

test("pages: a form that is too large, or none, is refused before anything is done", async (t) => {
  const service = await startService(t)
  const send = async (headers: Record<string, string>, body: string): Promise<number> =>
    (await fetch(`${service.url}/ask`, { method: "POST", headers, body })).status
  assert.equal(await send({ "content-type": "application/json" }, "{}"), 401)
  assert.equal(await send(form, "x".repeat(limits.page_form_bytes_max + 1)), 401, "not even read for a stranger")
})

test("pages: the API's own paths stay the API's, for browsers too", async (t) => {
  const service = await startService(t)
  const response = await fetch(`${service.url}/v1/whoami`, { headers: { accept: "text/html" } })
  assert.deepEqual([response.status, response.headers.get("content-type")?.startsWith("application/json")], [401, true])
})

// One row a page: what somebody who has signed in is answered about alice's request for prod-host, her grant and her session.
const people = ["frank", "alice", "bob", "dana", "gina"] as const
const table: Readonly<Record<string, readonly number[]>> = {
  //        plain owner approver admin auditor
  "GET /": [200, 200, 200, 200, 200],
  "GET /requests": [200, 200, 200, 200, 200],
  "GET /requests/:request": [404, 200, 200, 200, 200],
  "GET /grants": [200, 200, 200, 200, 200],
  "GET /sessions": [200, 200, 200, 200, 200],
  "GET /gateways": [403, 403, 403, 200, 200],
  "GET /ask": [200, 200, 200, 200, 200],
  "GET /ask?target=prod-host": [403, 200, 200, 403, 403],
  "GET /ask?target=no-such-host": [403, 403, 403, 403, 403],
  "POST /ask": [403, 303, 303, 403, 403],
  "POST /requests/:request/approve": [404, 403, 303, 403, 403],
  "POST /requests/:request/deny": [404, 403, 303, 403, 403],
  "POST /requests/:request/withdraw": [404, 303, 403, 403, 403],
  "POST /requests/:request/review": [404, 403, 403, 403, 403],
  "POST /requests/:request/estimate": [404, 403, 400, 403, 403], // it asks for access, and holds no statement
  "POST /grants/:grant/extend": [404, 303, 403, 403, 403],
  "POST /grants/:grant/revoke": [404, 403, 303, 303, 403],
  "POST /grants/:grant/drop": [404, 303, 403, 403, 403],
  "POST /sessions/:session/kill": [404, 403, 303, 303, 403],
}

test("pages: each answers each role as the API does, and a form of the wrong one changes nothing", async (t) => {
  const service = await startReachable(t)
  const signedIn = new Map<string, { browser: Browser; csrf: string }>()
  for (const name of people) {
    signedIn.set(name, await visitor(t, service, name))
  }
  for (const [line, expected] of Object.entries(table))
    for (const [index, name] of people.entries()) {
      const ids = await scene(service)
      const [method, path = ""] = line.replace(/:(request|grant|session)/, (_, of: keyof typeof ids) => ids[of]).split(" ")
      const { browser, csrf } = signedIn.get(name)!
      const fields = { csrf, target: "prod-host", for: "1h", reason: "why" }
      const before = (await service.call("gina", "GET /v1/audit?limit=1")).body as unknown as { events: { sequence: number }[] }
      const url = new URL(service.url + path)
      const { status } =
        method === "GET" ? await browser.get(url, { until: /./ }) : await browser.post(url, new URLSearchParams(fields), { until: /./ })
      assert.equal(status, expected[index], `${line} as ${name}`)
      if (method === "GET" || status === 303) continue
      const after = (await service.call("gina", "GET /v1/audit?limit=1")).body
      assert.deepEqual(after, before, `${line} as ${name} changed something`)
    }
})

test("pages: an approver reads by name whose accounts are asked for, and the one who asked reads the answer first", async (t) => {
  const service = await startReachable(t)
  await service.ask()
  await service.call("alice", "POST /v1/requests", { target: "grafana", duration_ms: 60_000, reason: "look" })
  const [bob, alice] = [await visitor(t, service, "bob"), await visitor(t, service, "alice")]
  const read = async ({ browser }: { browser: Browser }, path: string): Promise<string> =>
    (await browser.get(service.url + path)).text.replaceAll(/<[^>]*>|\s+/g, " ").replaceAll(/ +/g, " ")
  assert.match(
    await read(bob, "/requests/1"),
    / As any of deploy, root How long 1h [^]*Who decides is said by the rule policy\.access\[1\]/,
  )
  assert.doesNotMatch(await read(alice, "/requests/2"), / As /, "an application has no accounts")
  const said = new URLSearchParams({ csrf: bob.csrf, reason: "use the <replica>" })
  assert.equal((await bob.browser.post(new URL(`${service.url}/requests/1/deny`), said, { until: /./ })).status, 303)
  const answer = / Denied Request 1 bob@example\.com : use the &lt;replica&gt; Who /
  assert.match(await read(alice, "/requests/1"), answer)
  assert.doesNotMatch(await read(bob, "/requests/1"), answer)
})

/** One whose links lead to itself. */
async function startReachable(t: TestContext): Promise<Service> {
  const { approvals } = testConfig("/")
  const store = await newStore()
  const service = await startService(t, { approvals: { ...approvals, store, public_url: "http://127.0.0.1:0" } })
  t.after(() => giveBack(store)) // after the service has ended, which was said first
  return service
}

async function visitor(t: TestContext, service: Service, name: string): Promise<{ browser: Browser; csrf: string }> {
  const browser = new Browser()
  t.after(() => browser.close())
  const wanted = { subject: `${name}@example.com`, via: "ssh-key SHA256:x" }
  const { url } = (await service.call("gateway", "POST /v1/gateway/link", wanted)).body as unknown as { url: string }
  const home = await browser.submit(await browser.get(url), {})
  const [, csrf = ""] = /name="csrf" value="([^"]+)"/.exec(home.text) ?? []
  return { browser, csrf }
}

/** A pending request, a grant and a live session of alice's. */
async function scene(service: Service): Promise<{ request: string; grant: string; session: string }> {
  const { body: first } = await service.ask({ as: ["root"], uses: 9 })
  const { body: approved } = await service.call("bob", `POST /v1/requests/${first.id}/approve`, {})
  const { body: pending } = await service.ask()
  assert(approved.grant)
  const { id: grant } = approved.grant
  const about = { gateway: "gw", protocol: "ssh", subject: "alice@example.com", target: "prod-host", as: "root", client: "203.0.113.7:1" }
  const session = { ...about, id: newSessionId(), grant, started_at: service.clock.now() }
  await service.call("gateway", "POST /v1/gateway/sessions", { gateway: "gw", reports: [{ event: "started", session }] })
  return { request: String(pending.id), grant, session: session.id }
}
