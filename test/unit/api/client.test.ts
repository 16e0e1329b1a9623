import assert from "node:assert/strict"
import { createServer, type IncomingMessage, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { test, type TestContext } from "node:test"
import { createApiClient } from "../../../src/api/client.ts"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"

async function serve(
  t: TestContext,
  listener: RequestListener,
  path = "",
  host = "127.0.0.1",
): Promise<ReturnType<typeof createApiClient>> {
  const server = createServer(listener).listen(0, "127.0.0.1")
  await new Promise((resolve) => server.once("listening", resolve))
  const client = createApiClient({
    url: `http://${host}:${(server.address() as AddressInfo).port}${path}`,
    credential: () => new Secret("t0ken"),
  })
  t.after(async () => {
    await client.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return client
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = ""
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk)
  return text
}

test("api client: fills in the route, the query and the body, and shows the credential", async (t) => {
  const seen: unknown[] = []
  const client = await serve(t, (request, response) => {
    void bodyOf(request).then((body) => {
      seen.push([request.method, request.url, request.headers.authorization, request.headers["content-type"], body])
      response.end("{}")
    })
  })
  await client.call("whoami", {})
  await client.call("requests", { query: {} })
  await client.call("request", { id: 42, query: { wait_ms: 10 } })
  await client.call("deny", { id: 42, body: { reason: "no" } })
  await client.call("revoke", { id: "../../x?y", body: {} })
  assert.deepEqual(seen, [
    ["GET", "/v1/whoami", "Bearer t0ken", undefined, ""],
    ["GET", "/v1/requests", "Bearer t0ken", undefined, ""],
    ["GET", "/v1/requests/42?wait_ms=10", "Bearer t0ken", undefined, ""],
    ["POST", "/v1/requests/42/deny", "Bearer t0ken", "application/json", '{"reason":"no"}'],
    ["POST", "/v1/grants/..%2F..%2Fx%3Fy/revoke", "Bearer t0ken", "application/json", "{}"],
  ])
})

test("api client: works under a path, as behind a proxy", async (t) => {
  const urls: unknown[] = []
  const client = await serve(t, (request, response) => void (urls.push(request.url), response.end("{}")), "/access/")
  await client.call("targets", {})
  assert.deepEqual(urls, ["/access/v1/targets"])
})

test("api client: a name under localhost is this machine, whatever its resolver knows", async (t) => {
  const hosts: unknown[] = []
  const client = await serve(t, (request, response) => void (hosts.push(request.headers.host), response.end("{}")), "", "sluice.localhost")
  await client.call("targets", {})
  assert.match(String(hosts[0]), /^sluice\.localhost:\d+$/)
})

test("api client: an error body becomes the same error, with the service's words where they say what is wrong", async (t) => {
  const answers = [
    [403, { code: "own_request", message: "x" }],
    [400, { code: "invalid", message: "duration_ms: too small" }],
    [409, { code: "already_asked", message: "request 1 asks for this already" }],
    [404, { code: "teapot", message: "x" }],
    [500, { message: 7 }],
    [502, "<html>"],
  ] as const
  let next = 0
  const client = await serve(t, (_, response) => {
    const [status, body] = answers[next++]!
    response.statusCode = status
    response.end(typeof body === "string" ? body : JSON.stringify(body))
  })
  const call = (): Promise<unknown> => client.call("approve", { id: 1, body: {} })
  await assert.rejects(call(), { code: "own_request", message: "nobody approves their own request" })
  await assert.rejects(call(), { code: "invalid", message: "duration_ms: too small" })
  await assert.rejects(call(), { code: "already_asked", message: "request 1 asks for this already" })
  for (let left = 0; left < 3; left++) await assert.rejects(call(), { code: "stale" })
})

test("api client: an answer that is not JSON or larger than the bound is no answer", async (t) => {
  let body = "hello"
  const client = await serve(t, (_, response) => response.end(body))
  await assert.rejects(client.call("whoami", {}), { code: "stale" })
  body = JSON.stringify("x".repeat(limits.control_body_bytes_max))
  await assert.rejects(client.call("whoami", {}), { code: "stale" })
  assert.equal(((await client.call("requests", { query: {} })) as unknown as string).length, limits.control_body_bytes_max)
})

test("api client: nobody there is `stale`, and not a crash", async () => {
  const client = createApiClient({ url: "http://127.0.0.1:1", credential: () => new Secret("x") })
  await assert.rejects(client.call("whoami", {}), (error: Error) => {
    assert.match(error.message, /cannot be checked right now/)
    assert.match((error.cause as Error).message, /ECONNREFUSED|connect/)
    return true
  })
  await client.close()
})

test("api client: a call ends with its signal, with the signal's reason", async (t) => {
  const arrived = Promise.withResolvers<void>()
  const client = await serve(t, () => arrived.resolve())
  const stop = new AbortController()
  const call = client.call("request", { id: 1, query: { wait_ms: 30_000 } }, { signal: stop.signal })
  await arrived.promise
  const reason = new Error("Ctrl-C")
  stop.abort(reason)
  await assert.rejects(call, reason)
  await assert.rejects(client.call("whoami", {}, { signal: stop.signal }), reason)
})
