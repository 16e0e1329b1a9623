// What is asked of the gateway's own name, passed on to the approval service and back: its pages and its API, over the gateway's TLS.
import type { IncomingMessage, ServerResponse } from "node:http"
import { pipeline } from "node:stream/promises"
import type { Gate, ServiceDoor } from "../../src/gateway/contract.ts"
import type { RequestLine } from "./codec.ts"
import type { RequestHeaders } from "./headers.ts"

export interface Asked {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly gate: Gate
  readonly line: RequestLine
  readonly headers: RequestHeaders
  readonly body: number | "chunked"
}

/** Of the service's response headers: what concerns its connection to us alone. */
const hop = new Set(["connection", "keep-alive", "transfer-encoding", "proxy-authenticate", "trailer", "upgrade"])

/** Throws what `ServiceDoor.pass` throws. */
export async function passOn(service: ServiceDoor, { request, response, gate, line, headers, body }: Asked): Promise<void> {
  const { host, authorization, content_length } = headers
  const sent = [...headers.passing, "host", host]
  if (authorization !== undefined) sent.push("authorization", authorization)
  if (headers.cookie !== undefined) sent.push("cookie", headers.cookie)
  if (typeof body === "number" && content_length !== undefined) sent.push("content-length", content_length)
  const gone = new AbortController()
  response.once("close", () => gone.abort())
  const answer = await service.pass({
    method: line.method,
    path: line.url,
    headers: sent,
    client: gate.address,
    body: body === 0 ? null : request,
    signal: gone.signal,
  })
  // Whoever the service does not know has the time of a handshake, then the connection ends: browsers begin another.
  if (answer.known) gate.settled()
  const told = Object.entries(answer.headers).flatMap(([name, value]) =>
    value === undefined || hop.has(name) ? [] : [[name, value] as const],
  )
  response.writeHead(answer.status, Object.fromEntries(told))
  await pipeline(answer.body, response)
}
