// HTTP: Node's client and Node's server. There is no login: each request brings its token, and the first one goes inside.
import { once } from "node:events"
import http from "node:http"
import type { Duplex } from "node:stream"
import { http as httpProtocol } from "../../../protocols/http/index.ts"
import type { Driver, FakeTarget, Visit } from "../driver.ts"

const knock = "knock"

function serveTarget(socket: Duplex, target: FakeTarget): void {
  socket.on("data", (chunk: Buffer) => (target.bytes += chunk.length))
  const server = http.createServer((request, response) => {
    const action = decodeURIComponent((request.url ?? "").slice(1))
    if (action === knock) return void response.end(knock)
    target.arrived(action)
    if (action !== "endless") return void response.end(action)
    response.on("close", () => target.cancelled++)
    target.say = (text) => void response.write(text)
  })
  server.emit("connection", socket)
}

/** Node's agent dials for itself; this one has the connection it was given. */
class OneConnection extends http.Agent {
  readonly #socket: Duplex

  constructor(socket: Duplex) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#socket = Object.assign(socket, {
      setKeepAlive: () => socket,
      setTimeout: () => socket,
      setNoDelay: () => socket,
      ref: () => socket,
      unref: () => socket,
    })
  }

  override createConnection(): Duplex {
    return this.#socket
  }
}

export const driver: Driver = {
  protocol: httpProtocol,
  target: (name) => ({
    protocol: "http",
    name,
    labels: {},
    address: { host: name, port: 80 },
    url: new URL(`http://${name}:80/`),
    ca: undefined,
  }),
  serveTarget,
  garbage: Buffer.from("\x16\x03\x01 not a request\r\n\r\n"),
  named: (action) => `GET /${encodeURIComponent(action)}`,
  entering: `GET /${knock}`,
  warns: false,
  tells: false,
  answersHeld: true,
  async enter({ issuer, alice }, socket, target) {
    const said: string[] = []
    const received: string[] = []
    const agent = new OneConnection(socket)
    const send = async (action: string): Promise<http.ClientRequest> => {
      const { token } = await issuer.issue({ subject: alice.name, via: "test", use: "targets" })
      return http.get({
        agent,
        path: `/${encodeURIComponent(action)}`,
        headers: { host: `${target}.gateway`, authorization: `Bearer ${token}`, connection: "keep-alive" },
      })
    }
    const answer = async (request: http.ClientRequest): Promise<{ status: number; text: string }> => {
      const [response] = (await once(request, "response")) as [http.IncomingMessage]
      let text = ""
      try {
        for await (const chunk of response) {
          text += String(chunk)
          if (response.statusCode === 200) received.push(String(chunk))
        }
      } catch {
        // cut in the middle: what came, came
      }
      if (response.statusCode !== 200) said.push(text)
      return { status: response.statusCode ?? 0, text }
    }
    const first = await answer(await send(knock))
    if (first.status !== 200) return { in: false, words: first.text }
    const visit: Visit = {
      in: true,
      act: async (action) => (await answer(await send(action))).text,
      async begin(action) {
        const request = await send(action)
        request.on("error", () => {})
        void answer(request).catch(() => {})
      },
      words: () => said.join("\n"),
      received: () => received.join(""),
      sendMore: () => void socket.write("GET /too-late HTTP/1.1\r\nHost: shop.gateway\r\n\r\n"),
      closed: socket.closed ? Promise.resolve() : once(socket, "close").then(() => {}),
      vanish: () => void socket.destroy(),
    }
    return visit
  },
}
