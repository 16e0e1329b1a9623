// A request that waits for somebody's approval: read whole, so that the approval is for its very bytes; and what its client is told
// while nobody has decided: a browser a page that asks again by itself, anything else 202 with the request's number.
import { createHash } from "node:crypto"
import type { IncomingMessage, ServerResponse } from "node:http"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Asked, Exact } from "../../src/gateway/contract.ts"
import type { RequestLine } from "./codec.ts"
import { meaningfulHeaders } from "./meaning.ts"
import { escaped, pageOf } from "./refusal.ts"

/** The whole body. Rejects with `cannot_be_held` when it is larger than somebody could be asked about, or does not come. */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let bytes = 0
    const settle = (failure?: GatewayError): void => {
      request.off("data", onData).off("end", onEnd).off("close", onClose)
      if (failure) reject(failure)
      else resolve(Buffer.concat(chunks))
    }
    const onData = (chunk: Buffer): void => {
      bytes += chunk.length
      chunks.push(chunk)
      if (bytes <= limits.http_held_body_bytes_max) return
      request.pause()
      settle(new GatewayError("cannot_be_held", { what: "this needs an approval, and its body is too large to be shown" }))
    }
    const onEnd = (): void => settle()
    const onClose = (): void => settle(new GatewayError("hold_withdrawn"))
    request.on("data", onData).on("end", onEnd).on("close", onClose)
    if (request.readableEnded) settle()
  })
}

interface Whole {
  /** It asks for a WebSocket; an `Upgrade` that `Connection` does not name asks for nothing (RFC 9110, section 7.8). */
  readonly upgrade: boolean
  readonly passing: readonly string[]
  readonly body: Buffer
}

/** What an approver reads, and the digest of all of it. `passing`: the headers that go on. */
export function exactRequest({ method, url }: RequestLine, { upgrade, passing, body }: Whole): Exact {
  const headers = meaningfulHeaders(passing).map(([name, value]) => `${name}: ${value}`)
  const sha256 = createHash("sha256").update(body).digest("hex")
  const head = `${upgrade ? "WEBSOCKET" : method} ${url}`
  const whole = createHash("sha256")
    .update(JSON.stringify([head, headers, body.length, sha256]))
    .digest("hex")
  const top = [head, ...headers].join("\n")
  if (body.length === 0) return { text: top, sha256: whole }
  const text = body.toString("utf8")
  const readable = Buffer.from(text).equals(body) && !text.includes("\0")
  const said = readable ? text : `(${body.length} bytes that are no text, SHA-256 ${sha256})`
  return { text: `${top}\n\n${said}`, sha256: whole }
}

/** Nothing of the response may have been sent. The request runs when it is sent again, unchanged, after it was approved. */
export function answerHeld(response: ServerResponse, asked: Asked, html: boolean): void {
  const seconds = String(limits.page_reload_ms / 1_000)
  const words = `${asked.say}\nNothing was sent on yet. Send the same again and it runs once, as soon as it is approved.\n`
  const body = Buffer.from(html ? waitingPage(asked, seconds) : words)
  response.writeHead(202, {
    "Content-Type": html ? "text/html; charset=utf-8" : "text/plain; charset=utf-8",
    "Content-Length": body.length,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Sluice-Error": "held",
    "Sluice-Request": String(asked.request),
    Location: asked.url,
    "Retry-After": seconds,
    ...(html ? { Refresh: seconds } : {}),
  })
  response.end(body)
}

function waitingPage({ request, url }: Asked, seconds: string): string {
  return pageOf(
    `<p role="status">This waits for an approval: <a href="${escaped(url)}">request ${request}</a>.</p>
<p>Nothing was sent on yet. This page asks again every ${seconds} seconds, and shows the answer once somebody has decided.</p>`,
  )
}
