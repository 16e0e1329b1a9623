// What a peer that speaks no HTTP, or stops in the middle of it, costs the approval service.
import assert from "node:assert/strict"
import { connect } from "node:net"
import test from "node:test"
import { eventually } from "../../support/wait.ts"
import { startService } from "./service.ts"

test("slow clients: garbage, and a client that never finishes its request, cost only their own connection", async (t) => {
  const service = await startService(t)
  const { port, hostname } = new URL(service.url)
  const raw = async (text: string) => {
    const socket = connect(Number(port), hostname)
    t.after(() => socket.destroy())
    let answer = ""
    socket.on("data", (chunk) => (answer += chunk.toString())).on("error", () => {})
    socket.write(text)
    return { socket, answer: () => answer }
  }
  const slow = await raw("POST /v1/requests HTTP/1.1\r\nHost: x\r\n")
  const garbage = await raw("PROXY TCP4 203.0.113.7 203.0.113.8 1 2\r\n\r\n")
  await eventually("garbage is refused", () => garbage.answer().startsWith("HTTP/1.1 400"))
  await eventually("and closed", () => garbage.socket.closed)
  const stranger = await raw("POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n{")
  await eventually("a stranger is answered before the body", () => stranger.answer().startsWith("HTTP/1.1 401"))
  assert.equal((await service.call("alice", "GET /v1/whoami")).status, 200)
  await eventually("the slow one is let go", () => slow.socket.closed)
  assert.match(slow.answer(), /^HTTP\/1\.1 408/)
})
