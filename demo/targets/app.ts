// The demo's application: a page and a WebSocket that show who the gateway says is there. It believes the gateway's signature and
// nothing else, as an application behind Sluice should: this is how one verifies it.
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { createServer, type IncomingMessage } from "node:http"
import { get } from "node:https"
import { createLocalJWKSet, jwtVerify, type JSONWebKeySet } from "jose"
import { WebSocketServer } from "ws"
import { serve, settings } from "./parent.ts"

const { port, gateway, issuer, audience, caFile } = settings as {
  port: number
  /** Where the gateway's public keys are. */
  gateway: string
  issuer: string
  audience: string
  caFile: string
}

await serve(async () => {
  const server = createServer((request, response) => {
    void whoIs(request).then((who) => {
      response.writeHead(200, { "content-type": "text/plain; charset=utf-8" })
      response.end(`Hello ${who}.\nYou asked for ${request.method} ${request.url}.\n`)
    })
    request.resume()
  })
  const sockets = new WebSocketServer({ server, maxPayload: 64 * 1024 })
  sockets.on("connection", (socket, request) => {
    socket.on("error", () => {})
    void whoIs(request).then((who) => socket.send(`Hello ${who}. I say what you say.`))
    socket.on("message", (data, binary) => socket.send(data, { binary }))
  })
  server.listen(port, "127.0.0.1")
  await once(server, "listening")
  return () => {
    for (const socket of sockets.clients) socket.terminate()
    server.closeAllConnections()
    server.close()
  }
})

async function whoIs(request: IncomingMessage): Promise<string> {
  const token = request.headers["sluice-identity"]
  if (typeof token !== "string") return "stranger (nobody told me who you are)"
  try {
    const { payload } = await jwtVerify(token, createLocalJWKSet(await publicKeys()), { issuer, audience })
    return `${payload.sub} (groups: ${String(payload["groups"])}; verified with ${gateway})`
  } catch (failure) {
    console.error(failure)
    return "stranger (the identity I was given is not signed by the gateway)"
  }
}

let keys: JSONWebKeySet | undefined

async function publicKeys(): Promise<JSONWebKeySet> {
  if (keys) return keys
  const [response] = (await once(get(gateway, { ca: readFileSync(caFile) }), "response")) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  keys = JSON.parse(Buffer.concat(chunks).toString("utf8")) as JSONWebKeySet
  return keys
}
