// One exchange: the request decided about and on record, then sent on; the response passed back as it comes; what became of it on
// record. An upgrade is an exchange whose response may turn into a tunnel. Who is asking and for what is settled before.
import type { IncomingMessage, ServerResponse } from "node:http"
import type { Duplex } from "node:stream"
import type { Dispatcher } from "undici"
import type { Action } from "../../src/core/action.ts"
import type { Millis, Timer } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Asked, Decided, Exact, Gate, Session, Waiting } from "../../src/gateway/contract.ts"
import type { Outcome } from "../../src/record/events.ts"
import { escapedSlash, type RequestLine } from "./codec.ts"
import { forwardedFor, responseHeaders, type RequestHeaders } from "./headers.ts"
import { answerHeld, exactRequest, readBody } from "./held_exchange.ts"
import type { HttpSession, InFlight } from "./http_session.ts"
import { refuse } from "./refusal.ts"
import { Upload } from "./upload.ts"
import { Tunnel, isWebSocket } from "./websocket.ts"

export interface Incoming {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly gate: Gate
  readonly at: Millis
  readonly line: RequestLine
  readonly headers: RequestHeaders
  /** The application's own. */
  readonly authorization: string | undefined
  /** The application's own cookies. */
  readonly cookie: string | undefined
  readonly body: number | "chunked"
  /** The client waits for 100 before it sends the body (RFC 9110, section 10.1.1). */
  readonly expects: boolean
  /** The client asked for a WebSocket: its connection, and what it has sent early. */
  readonly upgrade: { readonly socket: Duplex; readonly head: Buffer } | undefined
}

type Controller = Dispatcher.DispatchController

/** Of a body; larger ones are not worth the copy. */
const one_write_bytes_max = 8 * 1024

export class Exchange implements InFlight, Dispatcher.DispatchHandler {
  readonly #in: Incoming
  readonly #http: HttpSession
  readonly #session: Session
  /** Its number on record, once it is there. */
  #action: number | undefined
  #upload: Upload | undefined
  /** The body, where it was read to be shown to somebody. */
  #whole: Buffer | undefined
  #continued = false
  /** It waits for a decision. */
  #waiting: Waiting | undefined
  #tunnel: Tunnel | undefined
  #controller: Controller | undefined
  #status: number | undefined
  #grpc = false
  /** In the turn in which the response began: its first chunk waits, because it may be the last too. */
  #holding = false
  #held: Buffer | undefined
  #bytes_down = 0
  #over = false

  constructor(incoming: Incoming, http: HttpSession) {
    this.#in = incoming
    this.#http = http
    this.#session = http.session
  }

  /** Throws, or rejects with, what the client is to be told when it may not happen. A promise: while that is being decided. */
  begin(identity: string): Promise<void> | undefined {
    const { line, response, upgrade } = this.#in
    if (line.escaped_slash && !this.#http.upstream.passesEscapedSlash) throw escapedSlash()
    this.#http.enter(this)
    response.once("close", () => this.#clientDone())
    const decision = this.#session.decide(actionOf(line, upgrade !== undefined), () => this.#exact())
    if (decision.verdict === "hold") return this.#wait(decision, identity)
    this.#send(decision, identity)
    return undefined
  }

  /** Somebody may be asked: a browser is told at once, others wait for an answer as long as such clients do. */
  #wait(waiting: Waiting, identity: string): Promise<void> {
    const { gate } = this.#in
    let timer: Timer | undefined
    void waiting.asked.then((asked) => {
      if (!asked || this.#over) return
      if (isPage(this.#in)) return this.#leave(waiting, asked)
      timer = gate.clock.after(limits.http_held_wait_ms, () => this.#leave(waiting, asked))
    })
    this.#waiting = waiting
    return waiting.decided.then((decided) => {
      timer?.cancel()
      this.#waiting = undefined
      this.#send(decided, identity)
    })
  }

  #leave(waiting: Waiting, asked: Asked): void {
    if (this.#over) return
    this.#over = true
    this.#waiting = undefined
    waiting.leave()
    answerHeld(this.#in.response, asked, isPage(this.#in))
  }

  /** All that would be sent. The body is then here, and not in the client's stream any more. */
  async #exact(): Promise<Exact> {
    const { line, request, response, headers, body, expects } = this.#in
    const whole = { upgrade: this.#in.upgrade !== undefined, passing: headers.passing }
    if (body === 0) return exactRequest(line, { ...whole, body: Buffer.alloc(0) })
    if (expects) response.writeContinue()
    this.#continued = true
    this.#whole = await readBody(request)
    return exactRequest(line, { ...whole, body: this.#whole })
  }

  #send(decided: Decided, identity: string): void {
    if (decided.verdict === "deny") {
      // A recording that failed has cut the session: the farewell says so.
      if (this.#over) return
      this.#over = true
      throw decided.error
    }
    // The client has left meanwhile.
    if (this.#over) return this.#session.outcome({ action: decided.action, status: "cancelled" })
    const { line, response, expects, upgrade } = this.#in
    this.#action = decided.action
    if (expects && !this.#continued) response.writeContinue()
    const { upstream } = this.#http
    upstream.dispatch(
      {
        path: upstream.prefix + line.url,
        method: line.method,
        headers: this.#headers(identity),
        body: this.#body(),
        ...(upgrade ? { upgrade: "websocket" } : {}),
      },
      this,
    )
  }

  // What undici calls, in this order.

  onRequestStart(controller: Controller): void {
    this.#controller = controller
    if (this.#over) controller.abort(new GatewayError("target_broke"))
  }

  onResponseStart(controller: Controller, status: number, _: unknown, words?: string): void {
    if (status < 200) return // 102 and 103 are optional to pass on (RFC 9110, section 15.2)
    const { response, upgrade } = this.#in
    // It took the handshake for a GET: that was not decided about, so its answer to one is for nobody here.
    if (upgrade && status < 300) return this.onResponseError(controller, new Error("the target answered an upgrade as if it were a GET"))
    const headers = responseHeaders(rawOf(controller.rawHeaders), this.#http.upstream)
    headers.push("Sluice-Access-Ends", this.#http.access_ends)
    this.#status = status
    this.#grpc = this.#in.headers.trailers && headers.some((value, i) => i % 2 === 1 && value.startsWith("application/grpc"))
    // The words mean nothing (RFC 9112, section 4), and what Node would not send must not fail here: undici would wait for ever.
    if (words !== undefined && /^[\t -~]+$/.test(words)) response.writeHead(status, words, headers)
    else response.writeHead(status, headers)
    if (bodiless.has(status)) return this.#endAtHead()
    // A small response comes whole in one turn and goes out in one write; what comes slower goes out as it comes.
    this.#holding = true
    queueMicrotask(() => this.#release())
  }

  /** A length that such a response tells is another's (RFC 9110, section 8.6), and undici takes its body for lost. */
  #endAtHead(): void {
    this.#in.response.end()
    this.#finish("ok")
  }

  onResponseData(_: Controller, chunk: Buffer): void {
    if (this.#over) return
    this.#bytes_down += chunk.length
    this.#session.count("down", chunk.length)
    if (this.#holding && this.#held === undefined) {
      this.#held = chunk
      return
    }
    this.#release()
    this.#write(chunk)
  }

  onResponseEnd(controller: Controller): void {
    if (this.#over) return
    if (this.#grpc) this.#in.response.addTrailers(grpcTrailers(rawOf(controller.rawTrailers)))
    this.#holding = false
    const last = this.#held
    // As text of one byte a character it leaves with the head in one write; as bytes in two, which costs a tenth of the exchange.
    if (last && last.length <= one_write_bytes_max) this.#in.response.end(last.toString("latin1"), "latin1")
    else this.#in.response.end(last)
    this.#finish("ok")
  }

  onRequestUpgrade(_: Controller, status: number, headers: Record<string, string | string[] | undefined>, upstream: Duplex): void {
    const { response, upgrade } = this.#in
    if (this.#over || !upgrade || status !== 101 || !isWebSocket(headers["upgrade"])) {
      upstream.destroy()
      return this.onResponseError(_, new Error("the target switched to a protocol that was not asked for"))
    }
    this.#status = status
    response.detachSocket(upgrade.socket as never)
    const passed = responseHeaders(rawOf(_.rawHeaders), this.#http.upstream)
    this.#tunnel = new Tunnel({ session: this.#session, client: upgrade.socket, head: upgrade.head, upstream })
    this.#tunnel.run(passed).then(
      () => this.#leaveTunnel("ok"),
      () => this.#leaveTunnel("lost"),
    )
  }

  onResponseError(_: Controller | null, failure: Error): void {
    if (this.#over) return
    const { response, gate, headers } = this.#in
    const error = GatewayError.from(failure, "target_broke").with({ session: this.#session.id })
    this.#finish(response.headersSent ? "lost" : "error")
    if (error.code === "target_broke") gate.log.warn({ session: this.#session.id, err: error }, "the target broke an exchange")
    if (response.headersSent) this.destroy()
    else refuse(response, { error, accept: headers.accept })
  }

  // The end of the session.

  stop(): void {
    this.#finish("cut")
  }

  async farewell(reason: GatewayError): Promise<void> {
    if (this.#tunnel) return this.#tunnel.farewell(reason)
    const { response, headers } = this.#in
    // Half a response must not look like a whole one, so its connection breaks.
    if (response.headersSent || response.destroyed) return this.destroy()
    const told = new Promise<void>((resolve) => void response.once("close", resolve))
    refuse(response, { error: reason, accept: headers.accept, close: true })
    await told
  }

  destroy(): void {
    this.#in.request.socket.destroy()
  }

  /** An event stream's client waits for the head before there is any body, so that goes out alone if it must. */
  #release(): void {
    if (!this.#holding) return
    this.#holding = false
    if (this.#over) return
    if (this.#held === undefined) this.#in.response.flushHeaders()
    else this.#write(this.#held)
    this.#held = undefined
  }

  #write(chunk: Buffer): void {
    if (this.#in.response.write(chunk)) return
    this.#controller?.pause()
    this.#in.response.once("drain", () => this.#controller?.resume())
  }

  #headers(identity: string): string[] {
    const { headers, authorization, cookie, gate, body, upgrade } = this.#in
    const sent = headers.passing
    if (authorization !== undefined) sent.push("Authorization", authorization)
    if (cookie !== undefined) sent.push("Cookie", cookie)
    if (typeof body === "number" && headers.content_length !== undefined && !upgrade) sent.push("Content-Length", headers.content_length)
    if (headers.trailers) sent.push("TE", "trailers")
    if (this.#http.upstream.keepsHost) sent.push("Host", headers.host)
    const subject = this.#session.identity.subject
    sent.push("X-Forwarded-For", forwardedFor(gate.address), "X-Forwarded-Proto", "https")
    sent.push("X-Forwarded-Host", headers.host, "Sluice-Identity", identity)
    sent.push("X-Sluice-Subject", /^[!-~]+$/.test(subject) ? subject : encodeURIComponent(subject))
    return sent
  }

  #body(): Upload | Buffer | null {
    const { request, body } = this.#in
    if (body === 0) return null
    if (this.#whole) {
      this.#session.count("up", this.#whole.length)
      return this.#whole
    }
    this.#upload = new Upload(request, this.#session)
    return this.#upload
  }

  /** The client has all of the response, or has left. */
  #clientDone(): void {
    if (this.#tunnel) return
    this.#waiting?.withdraw()
    this.#finish("cancelled")
    this.#http.leave(this)
  }

  #leaveTunnel(status: Outcome["status"]): void {
    this.#finish(status)
    this.#http.leave(this)
  }

  #finish(status: Outcome["status"]): void {
    if (this.#over) return
    this.#over = true
    if (this.#action === undefined) return
    const bytes = this.#tunnel?.bytes ?? { up: this.#whole?.length ?? this.#upload?.bytes ?? 0, down: this.#bytes_down }
    this.#session.outcome({
      action: this.#action,
      status,
      duration_ms: this.#in.gate.clock.now() - this.#in.at,
      ...(this.#status === undefined ? {} : { http_status: this.#status }),
      bytes_up: bytes.up,
      bytes_down: bytes.down,
    })
    if (status !== "ok" && !this.#tunnel) this.#controller?.abort(new Error(status))
  }
}

/** They end with their head (RFC 9112, section 6.3). */
const bodiless: ReadonlySet<number> = new Set([204, 304])

const actionOf = ({ method, path, query }: RequestLine, upgrade: boolean): Action => ({
  kind: "http.request",
  method,
  path,
  query,
  ...(upgrade ? { upgrade: "websocket" } : {}),
})

/** What a browser shows, and can ask for again without harm. */
const isPage = ({ line, headers, upgrade }: Incoming): boolean =>
  line.method === "GET" && upgrade === undefined && headers.accept !== undefined && /\btext\/html\b/i.test(headers.accept)

/** Trailers are dropped (RFC 9110, section 6.5.1), but those without which gRPC has no status. */
function grpcTrailers(raw: readonly (Buffer | string)[]): [string, string][] {
  const trailers: [string, string][] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = String(raw[i]).toLowerCase()
    if (name.startsWith("grpc-")) trailers.push([name, String(raw[i + 1])])
  }
  return trailers
}

const rawOf = (headers: Controller["rawHeaders"]): readonly (Buffer | string)[] => (Array.isArray(headers) ? headers : [])
