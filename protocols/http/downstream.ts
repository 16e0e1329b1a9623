// The client's side: Node's HTTP/1.1 parser on each accepted connection, and the way of a request from its first line to an
// exchange: one reading of it, whose target, who, may they. It answers what stops on that way.
import { createServer, ServerResponse, STATUS_CODES, type IncomingMessage, type Server } from "node:http"
import type { Duplex } from "node:stream"
import type { Millis, Timer } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import type { Identity } from "../../src/core/identity.ts"
import { limits } from "../../src/core/limits.ts"
import type { Gate, Host, Serve } from "../../src/gateway/contract.ts"
import { BearerReader } from "./bearer.ts"
import { type BrowserLogin, isBrowsing, isFromElsewhere, isFromHere, isOwnPath, type Visit } from "./browser_login.ts"
import { escapedSlash, readFraming, readRequestLine } from "./codec.ts"
import { readCookies } from "./cookies.ts"
import { readHeaders, type RequestHeaders } from "./headers.ts"
import type { IdentitySigner } from "./identity_jwt.ts"
import { type Asked, passOn } from "./pages.ts"
import { refusalText, refuse, tokenHint, type Refusal } from "./refusal.ts"
import { Exchange, type Incoming } from "./relay.ts"
import type { Router } from "./routing.ts"
import type { Admission, HttpSessions } from "./sessions.ts"
import { isWebSocket } from "./websocket.ts"

export interface DownstreamOptions {
  readonly host: Host
  readonly router: Router
  readonly sessions: HttpSessions
  readonly signer: IdentitySigner
  readonly login: BrowserLogin
}

/** One client's connection. */
interface Connection {
  readonly client: Duplex
  readonly gate: Gate
  readonly bearer: BearerReader
  /** Who its TLS certificate says it is; undefined when it showed none. */
  readonly certified: Promise<Identity> | undefined
  /** Requests whose response is not complete, oldest first: the first is at work, the others wait (RFC 9112, section 9.3.2). */
  readonly turn: Arrival[]
  used_at: number
  /** What the last token on it opened. */
  admission: Admission | undefined
}

/** One request as Node's parser hands it over. */
interface Arrival {
  readonly connection: Connection
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** "else": something but 100, and nothing else is known (RFC 9110, section 10.1.1). */
  readonly expects: boolean | "else"
  readonly upgrade: Incoming["upgrade"]
}

export function createDownstream(options: DownstreamOptions): Serve {
  const downstream = new Downstream(options)
  return (client, gate) => downstream.serve(client, gate)
}

class Downstream {
  readonly #options: DownstreamOptions
  readonly #server: Server
  readonly #connections = new WeakMap<Duplex, Connection>()

  constructor(options: DownstreamOptions) {
    this.#options = options
    // Its own timeouts need a listening server and a real clock; ours are the gate's deadline and `#watch`.
    this.#server = createServer({ maxHeaderSize: limits.http_header_bytes_max, keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0 })
    // Beyond its own maximum Node drops headers silently; `readHeaders` refuses instead.
    this.#server.maxHeadersCount = 0
    this.#server.on("request", (request, response) => this.#arrive({ request, response, expects: false, upgrade: undefined }))
    this.#server.on("checkContinue", (request, response) => this.#arrive({ request, response, expects: true, upgrade: undefined }))
    this.#server.on("checkExpectation", (request, response) => this.#arrive({ request, response, expects: "else", upgrade: undefined }))
    this.#server.on("upgrade", (request, socket, head) => {
      // Node has let go of the connection, so an earlier response can no longer be told from this one's.
      if (this.#connections.get(socket)?.turn.length !== 0) return void socket.destroy()
      this.#arrive({ request, response: responseOver(request, socket), expects: false, upgrade: { socket, head } })
    })
    this.#server.on("connect", (_, socket) => void socket.end(refusalText(501, "CONNECT is not supported"), () => socket.destroy()))
    this.#server.on("clientError", (failure: NodeJS.ErrnoException, socket) => this.#garbage(failure, socket))
  }

  serve(client: Duplex, gate: Gate): Promise<void> {
    if (client.destroyed) return Promise.resolve()
    const certified = gate.certified()
    certified?.catch(() => {}) // whoever asks for a target over it is told
    const connection: Connection = {
      client,
      gate,
      bearer: new BearerReader(),
      certified,
      turn: [],
      used_at: gate.clock.now(),
      admission: undefined,
    }
    this.#connections.set(client, connection)
    const watched = this.#watch(client, connection)
    return new Promise((resolve) => {
      client.once("close", () => {
        watched.cancel()
        connection.admission?.http.detach(client)
        resolve()
      })
      this.#server.emit("connection", client)
    })
  }

  #arrive(parsed: Omit<Arrival, "connection">): void {
    const connection = this.#connections.get(parsed.request.socket)
    if (!connection) return void parsed.request.socket.destroy()
    const { client, turn, gate } = connection
    // What stands behind an answer that ends the connection is not read (RFC 9112, section 9.6).
    if (!client.writable) return
    if (turn.length > limits.http_pipelined_max) return void client.destroy()
    const arrival = { ...parsed, connection }
    turn.push(arrival)
    parsed.response.once("close", () => {
      turn.shift()
      connection.used_at = gate.clock.now()
      const [next] = turn
      // That answer may have ended the connection: after a request with two readings, what was read behind it has two as well.
      if (next && client.writable) this.#take(next)
    })
    if (turn.length === 1) this.#take(arrival)
  }

  #take(arrival: Arrival): void {
    let accept: string | undefined
    if (arrival.expects === "else") {
      arrival.response.writeHead(417, { Connection: "close", "Content-Length": "0" }).end()
      return
    }
    try {
      const headers = readHeaders(arrival.request.rawHeaders)
      accept = headers.accept
      const going = this.#route(arrival, headers)
      going?.catch((failure: unknown) => this.#refuse(arrival, { failure, accept }))
    } catch (failure) {
      this.#refuse(arrival, { failure, accept })
    }
  }

  /** Synchronous for a request like the one before it on the same connection, which is most of them. */
  #route(arrival: Arrival, headers: RequestHeaders): Promise<void> | undefined {
    const { request, connection, response, upgrade } = arrival
    const expects = arrival.expects === true
    const line = readRequestLine(request, headers.host)
    const body = readFraming(request, headers)
    if (upgrade && (!isWebSocket(headers.upgrade) || line.method !== "GET" || body !== 0)) {
      throw new GatewayError("unsupported", { what: "an upgrade to anything but a WebSocket" })
    }
    const route = this.#options.router(headers.host)
    const { gate, admission, certified } = connection
    if (route.to !== "target") {
      if (line.escaped_slash) throw escapedSlash()
      if (expects) response.writeContinue()
      return this.#answerItself(arrival, { own: route.to === "gateway", asked: { request, response, gate, line, headers, body } })
    }
    const { target } = route
    const cookies = readCookies(headers.cookie)
    const visit: Visit = { response, gate, line, headers, cookies, target }
    if (isOwnPath(line) && !upgrade) return this.#options.login.answer(visit)
    const { token: presented, authorization } = connection.bearer.read(headers)
    const token = presented ?? (isFromHere(visit) ? cookies.token : undefined)
    const kind = presented === undefined ? "cookie" : "token"
    if (token === undefined && !certified) {
      if (!isBrowsing(visit)) throw new GatewayError("unauthenticated")
      this.#options.login.begin(visit)
      return undefined
    }
    if (token === undefined && isFromElsewhere(visit)) throw new GatewayError("not_allowed", { what: "what a page of another site sends" })
    const now = gate.clock.now()
    const cookie = cookies.rest
    const incoming: Incoming = { request, response, gate, at: now, line, headers, authorization, cookie, body, expects, upgrade }
    if (
      admission &&
      admission.token === token &&
      admission.kind === kind &&
      admission.target === target &&
      stillGood(admission, gate, now)
    ) {
      const identity = admission.http.identity(now)
      if (identity !== undefined) {
        return new Exchange(incoming, admission.http).begin(identity)
      }
    }
    const admitted = this.#admit(arrival, { incoming, token, kind, target, visit })
    if (token === undefined || kind === "token" || !isBrowsing(visit)) return admitted
    // A browser whose login is over begins another; it did not choose what it sent.
    return admitted.catch((failure: unknown) => {
      if (!(failure instanceof GatewayError) || failure.kind !== "identity" || response.headersSent) throw failure
      this.#options.login.begin(visit)
    })
  }

  async #admit(
    { connection, response }: Arrival,
    wanted: { incoming: Incoming; token: string | undefined; kind: "token" | "cookie"; target: string; visit: Visit },
  ): Promise<void> {
    const { gate } = connection
    const { incoming, visit, ...applicant } = wanted
    // Somebody who presents a token is a program, whatever it accepts.
    const asks = isBrowsing(visit) && (wanted.kind === "cookie" || wanted.token === undefined)
    const admission = await this.#options.sessions.admit({ gate, ...applicant, certified: connection.certified, asks })
    if (response.destroyed) return
    if (admission === "may_ask") return this.#options.login.ask(visit)
    connection.admission?.http.detach(connection.client)
    admission.http.attach(connection.client)
    connection.admission = admission
    const identity = admission.http.identity(gate.clock.now())
    // It was signed a moment ago, so only a session that has ended since has none.
    await new Exchange(incoming, admission.http).begin(identity ?? "")
  }

  /**
   * What the gateway's own name serves: the keys that verify `Sluice-Identity`, and the approval service; and a word for who comes by
   * the wrong name.
   */
  async #answerItself({ response, upgrade }: Arrival, { own, asked }: { own: boolean; asked: Asked }): Promise<void> {
    const { host, signer } = this.#options
    const { line, headers } = asked
    const reads = line.method === "GET" || line.method === "HEAD"
    if (own && reads && line.url === "/.well-known/jwks.json") {
      const keys = await signer.jwks()
      response.writeHead(200, { "Content-Type": "application/jwk-set+json", "Cache-Control": "public, max-age=300" })
      return void response.end(keys)
    }
    if (own && !upgrade) return passOn(host.service, asked)
    const error = new GatewayError("invalid", { what: `targets are served as https://<target>.${host.domain}/` })
    refuse(response, { error, accept: headers.accept, status: own ? 404 : 421 })
  }

  #refuse(arrival: Arrival, { failure, accept }: { failure: unknown; accept: string | undefined }): void {
    const { response, connection, expects, upgrade } = arrival
    const error = GatewayError.from(failure, "internal")
    if (!(failure instanceof GatewayError)) connection.gate.log.error({ err: failure }, "an exchange failed inside")
    else connection.gate.log.debug({ err: failure, code: error.code }, "an exchange was refused")
    if (response.destroyed || response.headersSent) return void response.destroy()
    // After a request that can be read in two ways, what follows on the connection could be too.
    const close = expects !== false || upgrade !== undefined || ["ended", "protocol", "unsupported", "input"].includes(error.kind)
    const refusal: Refusal = { error, accept, close }
    refuse(response, error.kind === "identity" ? { ...refusal, hint: tokenHint(this.#options.host.token_line) } : refusal)
  }

  /** Bytes that are no HTTP. Said once if nothing else is being said on the connection, which then closes. */
  #garbage(failure: NodeJS.ErrnoException, socket: Duplex): void {
    const connection = this.#connections.get(socket)
    // More came behind a request that is the connection's last: its answer is still to be sent.
    if (failure.code === "HPE_CLOSED_CONNECTION" && connection && connection.turn.length > 0) return
    if (!socket.writable || !connection || connection.turn.length > 0 || failure.code === "ECONNRESET") return void socket.destroy()
    connection.gate.log.info({ code: failure.code }, "not HTTP")
    const status = failure.code === "HPE_HEADER_OVERFLOW" ? 431 : 400
    socket.end(refusalText(status, STATUS_CODES[status] ?? "Bad Request"), () => socket.destroy())
  }

  /** Closes a connection that has had no exchange for too long, or that dribbles headers; the gate sees to the first one. */
  #watch(client: Duplex, connection: Connection): Timer {
    const { clock } = connection.gate
    let timer: Timer
    const look = (): void => {
      const idle_ms = connection.turn.length > 0 ? 0 : clock.now() - connection.used_at
      if (idle_ms >= limits.http_keep_alive_ms) return void client.destroy()
      timer = clock.after(limits.http_keep_alive_ms - idle_ms, look)
    }
    timer = clock.after(limits.http_keep_alive_ms, look)
    return { cancel: () => timer.cancel() }
  }
}

/** The token has not run out, its login has not ended, nor has the session it opened. */
const stillGood = ({ identity, http }: Admission, gate: Gate, now: Millis): boolean =>
  now < identity.until && http.serves(gate) && gate.stands(identity)

/** For an upgrade that is answered with a plain response: Node has let go of the connection by then. */
function responseOver(request: IncomingMessage, socket: Duplex): ServerResponse {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  response.assignSocket(socket as never)
  socket.on("error", () => {})
  socket.on("drain", () => response.emit("drain"))
  response.once("finish", () => socket.end(() => socket.destroy()))
  return response
}
