// A small HTTP application as a target. It writes down what reached it, so that a test can say what the gateway sent.
//
//   /echo        what it received, as JSON          /status/418   that status
//   /bytes/1000  that many bytes, streamed          /slow         never answers; `open` counts it until the connection ends
//   /drip        a line every 20 ms, for ever       /ws           a WebSocket that echoes; "bye" makes it close with 4000
import { type IncomingHttpHeaders, type IncomingMessage, type ServerResponse, createServer } from "node:http"
import { once } from "node:events"
import { type WebSocket, WebSocketServer } from "ws"
import type { LocalAddress } from "./port.ts"

export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly upgrade: boolean
  body: string
}

export interface HttpApp {
  readonly address: LocalAddress
  /** "http://127.0.0.1:52044" */
  readonly url: string
  /** Everything it received, in order; `body` grows as it arrives. */
  readonly received: readonly Received[]
  /** Exchanges and WebSockets that are going on now; those of one url alone, when it is given. */
  open(url?: string): number
  stop(): Promise<void>
}

export async function startHttpApp(): Promise<HttpApp> {
  const received: Received[] = []
  const live = new Map<ServerResponse | WebSocket, string>()
  const track = (one: ServerResponse | WebSocket, url: string): void => {
    live.set(one, url)
    one.once("close", () => live.delete(one))
  }
  const note = (request: IncomingMessage, upgrade: boolean): Received => {
    const { method = "", url = "", headers, rawHeaders } = request
    const seen: Received = { method, url, headers, rawHeaders, upgrade, body: "" }
    received.push(seen)
    return seen
  }

  const server = createServer((request, response) => {
    const seen = note(request, false)
    track(response, seen.url)
    response.on("error", () => {})
    request.on("error", () => {})
    request.setEncoding("utf8").on("data", (text: string) => void (seen.body += text))
    answer(seen, request, response)
  })
  const sockets = new WebSocketServer({ noServer: true })
  server.on("upgrade", (request, socket, head) => {
    const { url } = note(request, true)
    sockets.handleUpgrade(request, socket, head, (client) => {
      track(client, url)
      client.on("error", () => {})
      client.on("message", (data: Buffer, binary) => {
        if (!binary && data.toString() === "bye") client.close(4000, "you said bye")
        else client.send(data, { binary })
      })
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const bound = server.address()
  if (bound === null || typeof bound === "string") throw new Error("no port")
  const address = { host: "127.0.0.1", port: bound.port } as const
  return {
    address,
    url: `http://127.0.0.1:${address.port}`,
    received,
    open: (url) => (url === undefined ? live.size : [...live.values()].filter((one) => one === url).length),
    async stop() {
      for (const one of live.keys()) if ("terminate" in one) one.terminate()
      server.close()
      server.closeAllConnections()
      await once(server, "close")
    },
  }
}

function answer(seen: Received, request: IncomingMessage, response: ServerResponse): void {
  const [, word = "", argument = ""] = new URL(seen.url, "http://app").pathname.split("/")
  switch (word) {
    case "slow":
      return
    case "drip": {
      const timer = setInterval(() => response.write(`${new Date().toISOString()}\n`), 20)
      response.once("close", () => clearInterval(timer))
      return
    }
    case "bytes":
      return sendBytes(Number(argument), response)
    case "status":
      response.writeHead(Number(argument), { "content-type": "text/plain" })
      response.end(`status ${argument}\n`)
      return
    default:
      request.once("end", () => {
        response.setHeader("content-type", "application/json")
        response.end(JSON.stringify(seen))
      })
  }
}

function sendBytes(count: number, response: ServerResponse): void {
  const chunk = Buffer.alloc(65_536, "x")
  let left = count
  const more = (): void => {
    while (left > 0) {
      const part = left < chunk.length ? chunk.subarray(0, left) : chunk
      left -= part.length
      if (!response.write(part)) return void response.once("drain", more)
    }
    response.end()
  }
  response.setHeader("content-length", count)
  more()
}
