// `/healthz` (the process runs) and `/readyz` (it can serve) for those who watch from outside. It says nothing else, to anybody,
// and a client that is slow or silent costs one of few connections for a few seconds.
import { createServer } from "node:http"
import type { ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { limits } from "../core/limits.ts"
import type { Address } from "../core/target.ts"

export interface Ready {
  readonly ready: boolean
  readonly why: string
}

export interface HealthOptions {
  readonly listen: Address
  /** `why` is for people; it holds constant words. Never rejects. */
  ready(): Ready | Promise<Ready>
}

export interface Health {
  /** Where it listens; the real port, when port 0 was asked for. */
  readonly address: Address
  close(): Promise<void>
}

/** Rejects when the address cannot be listened on. */
export async function startHealth({ listen, ready }: HealthOptions): Promise<Health> {
  const server = createServer(
    {
      connectionsCheckingInterval: limits.health_request_ms_max,
      headersTimeout: limits.health_request_ms_max,
      requestTimeout: limits.health_request_ms_max,
      keepAliveTimeout: limits.health_request_ms_max,
      maxHeaderSize: limits.health_header_bytes_max,
    },
    (request, response) => {
      const path = request.url?.split("?")[0]
      if (request.method !== "GET" && request.method !== "HEAD") answer(response, 405, { status: "method not allowed" })
      else if (path === "/healthz") answer(response, 200, { status: "ok" })
      else if (path === "/readyz")
        void Promise.resolve(ready()).then(({ ready: is, why }) =>
          answer(response, is ? 200 : 503, is ? { status: "ready" } : { status: "not ready", why }),
        )
      else answer(response, 404, { status: "not found" })
      request.resume()
    },
  )
  server.maxConnections = limits.health_connections_max
  server.setTimeout(limits.health_request_ms_max)
  // A client that could not be accepted (no memory, no descriptor) must not end the process; it tries again.
  server.on("error", () => {})
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject)
    server.listen(listen.port, listen.host, () => {
      server.off("error", reject)
      resolve()
    })
  })
  return {
    address: { host: listen.host, port: (server.address() as AddressInfo).port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function answer(response: ServerResponse, status: number, body: Record<string, string>): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" }).end(`${JSON.stringify(body)}\n`)
}
