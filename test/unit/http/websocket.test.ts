import assert from "node:assert/strict"
import { once } from "node:events"
import { createServer, type IncomingMessage } from "node:http"
import type { Duplex } from "node:stream"
import { suite, test } from "node:test"
import { WebSocketServer } from "ws"
import { closeFrame } from "../../../protocols/http/websocket_frames.ts"
import { createRig, type RawClient, type Rig } from "./rig.ts"

const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
const accepted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n"

/** A masked text frame, the mask all zeros. */
const text = (words: string): string => `\x81${String.fromCharCode(0x80 | words.length)}\0\0\0\0${words}`

/** A rig whose application echoes over WebSockets; `seen` are its upgrade requests. */
async function echoing(): Promise<{ rig: Rig; seen: IncomingMessage[]; open: () => number }> {
  const seen: IncomingMessage[] = []
  const app = createServer((_, response) => void response.end())
  const sockets = new WebSocketServer({ noServer: true })
  app.on("upgrade", (request, socket, head) => {
    seen.push(request)
    sockets.handleUpgrade(request, socket, head, (client) => {
      sockets.clients.add(client)
      client.on("message", (data, binary) => client.send(data, { binary }))
      client.on("close", () => sockets.clients.delete(client))
      client.on("error", () => {})
    })
  })
  const rig = await createRig({ serve: (socket) => void app.emit("connection", socket) })
  return { rig, seen, open: () => sockets.clients.size }
}

/** A target that reads what comes and says what it is told to. */
async function scripted(): Promise<{ rig: Rig; target: () => Promise<Duplex & { heard: string }> }> {
  const waiting: ((socket: Duplex & { heard: string }) => void)[] = []
  const came: (Duplex & { heard: string })[] = []
  const rig = await createRig({
    serve(socket) {
      const target = Object.assign(socket, { heard: "" })
      target.on("data", (chunk: Buffer) => (target.heard += chunk.toString("latin1")))
      const next = waiting.shift()
      if (next) next(target)
      else came.push(target)
    },
  })
  return { rig, target: () => new Promise((resolve) => (came[0] ? resolve(came[0]) : waiting.push(resolve))) }
}

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate)
}

async function opened(rig: Rig): Promise<RawClient> {
  const client = rig.send(rig.get("/ws", upgrade))
  const [head] = await client.until(/^HTTP\/1.1 101[^]*?\r\n\r\n/)
  client.received = client.received.slice(head.length)
  return client
}

suite("websocket", () => {
  test("frames pass both ways, and it is on record with its bytes", async () => {
    const { rig, open } = await echoing()
    const client = await opened(rig)
    client.write(text("hello"))
    await client.until(/hello/)
    client.socket.destroy()
    while (open() > 0) await new Promise(setImmediate)
    await turns()
    rig.harness.clock.advance(100)
    const lines = rig.harness.recording(rig.harness.lastSession())
    assert.ok(lines.some((line) => line.kind === "action" && line.action.kind === "http.request" && line.action.upgrade === "websocket"))
    const outcome = lines.find((line) => line.kind === "outcome")
    assert.deepEqual([outcome?.http_status, outcome?.bytes_up, outcome?.bytes_down], [101, 11, 7])
  })

  test("an identity header from outside is stripped on the upgrade as on any request, and ours is set", async () => {
    const { rig, seen } = await echoing()
    const claims = "Sluice-Identity: root\r\nX-Forwarded-User: root\r\nX-Auth-User: root\r\nX-Sluice-Subject: root\r\n"
    await rig.send(rig.get("/ws", upgrade + claims)).until(/101/)
    const headers = seen[0]?.headers
    assert.equal(headers?.["x-forwarded-user"], undefined)
    assert.equal(headers?.["x-auth-user"], undefined)
    assert.equal(headers?.["x-sluice-subject"], rig.harness.alice.name)
    assert.match(String(headers?.["sluice-identity"]), /^ey/)
    assert.equal(headers?.authorization, undefined)
    const underscore = await rig.send(rig.get("/ws", `${upgrade}Sluice_Identity: root\r\n`)).answer()
    assert.equal(underscore.status, 400)
    assert.equal(seen.length, 1)
  })

  test("without a token or a grant the upgrade is refused, and the target is not dialled", async () => {
    const rig = await createRig({ granted: false })
    const anonymous = await rig.send(`GET /ws HTTP/1.1\r\nHost: shop.gateway\r\n${upgrade}\r\n`).answer()
    assert.equal(anonymous.status, 401)
    assert.equal((await rig.send(rig.get("/ws", upgrade)).answer()).status, 403)
    assert.equal(rig.sockets.length, 0)
  })

  test("nothing of the client's is forwarded before the target's 101, and then all of it", async () => {
    const { rig, target } = await scripted()
    const client = rig.send(rig.get("/ws", upgrade) + text("early"))
    const upstream = await target()
    while (!upstream.heard.includes("\r\n\r\n")) await new Promise(setImmediate)
    client.write(text("later"))
    await turns()
    assert.doesNotMatch(upstream.heard, /early|later/)
    upstream.write(accepted, "latin1")
    while (!upstream.heard.includes("later")) await new Promise(setImmediate)
    assert.match(upstream.heard, /early[^]*later/)
  })

  test("a target that does not upgrade answers like any other, and what the client sends is no request", async () => {
    const { rig, target } = await scripted()
    const client = rig.send(rig.get("/ws", upgrade) + rig.get("/smuggled"))
    const upstream = await target()
    while (!upstream.heard.includes("\r\n\r\n")) await new Promise(setImmediate)
    upstream.write("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "latin1")
    const answer = await client.answer()
    assert.deepEqual([answer.status, answer.body, answer.headers["connection"]], [403, "no", "close"])
    await client.closed
    assert.doesNotMatch(upstream.heard, /smuggled/)
  })

  test("a target that takes the handshake for a GET tells nobody what a GET would read", async () => {
    const { rig, target } = await scripted()
    const client = rig.send(rig.get("/report", upgrade))
    const upstream = await target()
    while (!upstream.heard.includes("\r\n\r\n")) await new Promise(setImmediate)
    upstream.write("HTTP/1.1 200 OK\r\nX-Secret: SECRET\r\nContent-Length: 6\r\n\r\nSECRET", "latin1")
    const answer = await client.answer()
    assert.deepEqual([answer.status, answer.headers["sluice-error"]], [502, "target_broke"])
    await client.closed
    assert.doesNotMatch(JSON.stringify(answer) + client.received, /SECRET/)
    assert.equal(upstream.destroyed, true)
  })

  test("a target that switches to something else is a 502, and not a byte of it passes", async () => {
    const { rig, target } = await scripted()
    const client = rig.send(rig.get("/ws", upgrade))
    const upstream = await target()
    while (!upstream.heard.includes("\r\n\r\n")) await new Promise(setImmediate)
    upstream.write(`${accepted.replace("websocket", "h2c")}SECRET`, "latin1")
    const answer = await client.answer()
    assert.equal(answer.status, 502)
    assert.doesNotMatch(client.received + answer.body, /SECRET/)
  })

  test("at a cut the client reads why in a close frame, and the target's side is gone", async () => {
    const { rig, open } = await echoing()
    const client = await opened(rig)
    client.write(text("hello"))
    await client.until(/hello/)
    rig.harness.sessions.kill(rig.harness.lastSession(), {})
    const [words] = await client.until(/sluice: this session was ended by a colleague.*\]$/)
    await client.closed
    assert.ok(client.received.endsWith(closeFrame(1008, words).toString("latin1")))
    while (open() > 0) await new Promise(setImmediate)
    const outcome = rig.harness.recording(rig.harness.lastSession()).find((line) => line.kind === "outcome")
    assert.equal(outcome?.status, "cut")
  })

  test("in the middle of a frame nothing is put: the connection just ends", async () => {
    const { rig, target } = await scripted()
    const client = rig.send(rig.get("/ws", upgrade))
    const upstream = await target()
    while (!upstream.heard.includes("\r\n\r\n")) await new Promise(setImmediate)
    upstream.write(`${accepted}\x81\x7dhalf`, "latin1")
    await client.until(/half$/)
    rig.harness.sessions.kill(rig.harness.lastSession(), {})
    await client.closed
    assert.match(client.received, /half$/)
  })

  test("after the cut not a byte passes in either direction", async () => {
    const { rig, target } = await scripted()
    const client = rig.send(rig.get("/ws", upgrade))
    const upstream = await target()
    while (!upstream.heard.includes("\r\n\r\n")) await new Promise(setImmediate)
    upstream.write(`${accepted}\x81\x06before`, "latin1")
    await client.until(/before$/)
    const heard = upstream.heard.length
    rig.harness.sessions.kill(rig.harness.lastSession(), {})
    upstream.write("\x81\x05AFTER", "latin1")
    client.write(text("after"))
    await client.closed
    await turns()
    assert.doesNotMatch(client.received, /AFTER/)
    assert.equal(upstream.heard.length, heard)
  })

  test("when the target closes, the client gets the last of it and then the end", async () => {
    const { rig, target } = await scripted()
    const client = rig.send(rig.get("/ws", upgrade))
    const upstream = await target()
    while (!upstream.heard.includes("\r\n\r\n")) await new Promise(setImmediate)
    upstream.end(`${accepted}\x81\x04last\x88\x02\x03\xe8`, "latin1")
    await client.closed
    assert.ok(client.received.endsWith("last\x88\x02\x03\xe8"))
    if (!upstream.destroyed) await once(upstream, "close")
  })
})
