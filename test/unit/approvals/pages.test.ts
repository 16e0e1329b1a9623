// The doors of the pages: nothing behind them for somebody who has not signed in, and what a browser is told with every answer.
import assert from "node:assert/strict"
import test from "node:test"
import { limits } from "../../../src/core/limits.ts"
import { startService } from "./service.ts"

const reads = ["/", "/requests", "/requests/1", "/grants", "/sessions", "/gateways", "/ask", "/ask?target=prod-host"]
const forms = [
  "/ask",
  ...["approve", "deny", "withdraw"].map((verb) => `/requests/1/${verb}`),
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
