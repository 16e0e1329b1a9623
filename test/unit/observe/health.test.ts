import assert from "node:assert/strict"
import { once } from "node:events"
import { connect } from "node:net"
import { Server } from "node:net"
import { test } from "node:test"
import { limits } from "../../../src/core/limits.ts"
import { startHealth } from "../../../src/observe/health.ts"

test("health: alive at once, ready when it is, and nothing else is said", async (t) => {
  let ready = { ready: false, why: "nothing heard from the approval service" }
  const health = await startHealth({ listen: { host: "127.0.0.1", port: 0 }, ready: () => ready })
  t.after(() => health.close())
  const get = async (path: string, method = "GET"): Promise<[number, unknown]> => {
    const response = await fetch(`http://127.0.0.1:${health.address.port}${path}`, { method })
    return [response.status, method === "HEAD" ? await response.text() : await response.json()]
  }
  assert.deepEqual(await get("/healthz"), [200, { status: "ok" }])
  assert.deepEqual(await get("/readyz"), [503, { status: "not ready", why: "nothing heard from the approval service" }])
  ready = { ready: true, why: "" }
  assert.deepEqual(await get("/readyz?probe=1"), [200, { status: "ready" }])
  assert.deepEqual(await get("/readyz", "HEAD"), [200, ""])
  assert.deepEqual(await get("/healthz", "POST"), [405, { status: "method not allowed" }])
  assert.deepEqual(await get("/metrics"), [404, { status: "not found" }])
})

test("health: silent clients cost a bounded number of connections, and closing does not wait for them", async () => {
  const health = await startHealth({ listen: { host: "127.0.0.1", port: 0 }, ready: () => ({ ready: true, why: "" }) })
  const silent = Array.from({ length: limits.health_connections_max }, () =>
    connect(health.address.port, "127.0.0.1").on("error", () => {}),
  )
  await Promise.all(silent.map((socket) => once(socket, "connect")))
  const oneMore = connect(health.address.port, "127.0.0.1").on("error", () => {})
  await once(oneMore, "close")
  const closed = Promise.all(silent.map((socket) => once(socket, "close")))
  await health.close()
  await closed
})

test("health: a port in use is an error, not silence", async (t) => {
  const first = await startHealth({ listen: { host: "127.0.0.1", port: 0 }, ready: () => ({ ready: true, why: "" }) })
  t.after(() => first.close())
  await assert.rejects(startHealth({ listen: first.address, ready: () => ({ ready: true, why: "" }) }), { code: "EADDRINUSE" })
})

test("health: a client that could not be accepted does not end the process", async (t) => {
  const listen = t.mock.method(Server.prototype, "listen")
  const health = await startHealth({ listen: { host: "127.0.0.1", port: 0 }, ready: () => ({ ready: true, why: "" }) })
  t.after(() => health.close())
  const server = listen.mock.calls[0]!.this as Server
  assert.doesNotThrow(() => server.emit("error", Object.assign(new Error("accept ENFILE"), { code: "ENFILE" })))
})
