// HTTP in memory: the real gate and sessions of the conformance harness, a client that writes bytes as they are, and an application
// (or bare bytes) as the target.
import { createServer, type IncomingMessage, type RequestListener } from "node:http"
import type { Duplex } from "node:stream"
import { http } from "../../../protocols/http/index.ts"
import type { HttpTarget } from "../../../src/core/target.ts"
import { createHarness, type Harness } from "../../conformance/harness.ts"

export interface Rig {
  readonly harness: Harness
  /** A new connection to the gateway. */
  connect(): RawClient
  /** One that sends `text` at once. */
  send(text: string): RawClient
  /** A GET of `path` on `shop`, whole, with a token of alice's; `more` are header lines, each with its CRLF. */
  get(path: string, more?: string): string
  readonly token: string
  /** What the application was asked, oldest first. */
  readonly seen: readonly IncomingMessage[]
  /** Connections the gateway dialled, the target's ends. */
  readonly sockets: readonly Duplex[]
}

export interface RigOptions {
  readonly app?: RequestListener
  /** Instead of an application: what to do with a dialled connection. */
  readonly serve?: (socket: Duplex) => void
  readonly url?: string
  readonly escaped_slashes?: "pass"
  /** Whether alice has an hour on `shop`; true unless told. */
  readonly granted?: boolean
}

export async function createRig(options: RigOptions = {}): Promise<Rig> {
  const seen: IncomingMessage[] = []
  const sockets: Duplex[] = []
  const slashes = options.escaped_slashes === undefined ? {} : { escaped_slashes: options.escaped_slashes }
  const app = createServer((request, response) => {
    seen.push(request)
    if (options.app) options.app(request, response)
    else response.end("hello\n")
  })
  const harness = await createHarness({
    protocol: http,
    targets: [{ ...target("shop", options.url ?? "http://10.0.0.7:3000/"), ...slashes }, target("books", "http://books.internal/")],
    serveTarget(socket) {
      sockets.push(socket)
      if (options.serve) options.serve(socket)
      else app.emit("connection", socket)
    },
  })
  const { token } = await harness.issuer.issue({ subject: harness.alice.name, via: "test", use: "targets" })
  if (options.granted !== false) harness.grant("shop")
  const connect = (): RawClient => new RawClient(harness.connect().client)
  return {
    harness,
    token,
    seen,
    sockets,
    connect,
    send(text) {
      const client = connect()
      client.write(text)
      return client
    },
    get: (path, more = "") => `GET ${path} HTTP/1.1\r\nHost: shop.gateway\r\nAuthorization: Bearer ${token}\r\n${more}\r\n`,
  }
}

function target(name: string, url: string): HttpTarget {
  const parsed = new URL(url)
  return {
    protocol: "http",
    name,
    labels: {},
    address: { host: parsed.hostname, port: Number(parsed.port || 80) },
    url: parsed,
    ca: undefined,
  }
}

export interface Answer {
  readonly status: number
  /** Names in lower case; the last of each. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export class RawClient {
  readonly socket: Duplex
  /** All that came and was not taken by `answer`, one character a byte. */
  received = ""
  /** The gateway says no more. */
  readonly closed: Promise<void>
  #over = false
  #stirred: () => void = () => {}

  constructor(socket: Duplex) {
    this.socket = socket
    socket.on("data", (chunk: Buffer) => {
      this.received += chunk.toString("latin1")
      this.#stirred()
    })
    this.closed = new Promise((resolve) => {
      const end = (): void => {
        this.#over = true
        this.#stirred()
        resolve()
      }
      socket.once("end", end).once("close", end)
    })
  }

  write(text: string): void {
    this.socket.write(text, "latin1")
  }

  /** Waits until `pattern` has come. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.received)
      if (found) return found
      if (this.#over) throw new Error(`closed before ${pattern}: ${this.received}`)
      await new Promise<void>((resolve) => (this.#stirred = resolve))
    }
  }

  /** The next whole response; for one to HEAD say `body: false`. */
  async answer({ body = true }: { readonly body?: boolean } = {}): Promise<Answer> {
    const [head] = await this.until(/^[^]*?\r\n\r\n/)
    this.received = this.received.slice(head.length)
    const [first = "", ...lines] = head.trimEnd().split("\r\n")
    const headers = Object.fromEntries(
      lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]),
    )
    const status = Number(first.split(" ")[1])
    const bare = !body || status === 204 || status === 304 || status < 200
    return { status, headers, body: bare ? "" : await this.#body(headers) }
  }

  async #body(headers: Readonly<Record<string, string>>): Promise<string> {
    if (headers["transfer-encoding"] === "chunked") {
      const [chunked] = await this.until(/^(?:[0-9a-f]+\r\n[^]*?\r\n)*?0\r\n(?:[^\r\n]+\r\n)*\r\n/)
      this.received = this.received.slice(chunked.length)
      return chunked
    }
    const size = Number(headers["content-length"] ?? 0)
    const [text] = await this.until(new RegExp(`^[^]{${size}}`))
    this.received = this.received.slice(size)
    return text
  }
}
