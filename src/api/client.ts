// Calls to the approval service, typed by the routes. Owns filling in a route, the bounds of time and size, and turning error
// bodies back into errors; it keeps nothing, and asks again only where another service answered than the credential was made for: what a
// failed call means is the caller's to say.
import { lookup } from "node:dns"
import type { LookupFunction } from "node:net"
import { Pool } from "undici"
import type { Dispatcher } from "undici"
import { errorCodes, GatewayError, type ErrorCode } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import type { Secret } from "../core/secret.ts"
import { routes, type Shapes } from "./routes.ts"
import { contentOfCall, queryOf, service_header } from "./signed_call.ts"

export interface ApiClient {
  /**
   * Throws a GatewayError with the code of the service's table; `stale` when the service cannot be reached, does not answer in
   * `control_call_ms_max` (longer for a long poll) or answers what it should not. An abort throws the signal's reason.
   */
  call<R extends keyof Shapes>(route: R, input: Input<R>, options?: { readonly signal?: AbortSignal }): Promise<Shapes[R]["answer"]>
  /** The same service over the same connections as somebody else. Closing either closes both. */
  as(credential: Credential): ApiClient
  close(): Promise<void>
}

/** What is shown with a call: asked for each one. */
export interface Credential {
  (call: ShownWith): Secret | Promise<Secret>
  /** Told who answered what was `shown`. True: it was made for another service, and what is made anew may be taken. */
  answered?(shown: Secret, by: { readonly service: unknown; readonly refused: boolean }): boolean
}

export interface ShownWith {
  readonly method: string
  /** The route's, without a query. */
  readonly path: string
  /** What else belongs to the call, as `signed_call.ts` writes it. */
  readonly content: string
  /** It is shown once and not made anew, so it is not for one service alone. */
  readonly once?: true
}

/** What a route takes besides the credential: `id`, `query`, `body`. */
export type Input<R extends keyof Shapes> = Omit<Shapes[R], "answer">

interface AnyInput {
  readonly id?: string | number
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>
  readonly body?: object
}

const lists: ReadonlySet<keyof Shapes> = new Set(["targets", "requests", "grants", "sessions", "gateways", "lookup"])

export interface ApiClientOptions {
  readonly url: string
  readonly credential: Credential
  /** PEM of the CA that the service is trusted by; left out: the system's. */
  readonly ca?: string | undefined
}

export function createApiClient(options: ApiClientOptions): ApiClient {
  const base = new URL(options.url)
  const prefix = base.pathname.replace(/\/$/, "")
  const pool = new Pool(base.origin, {
    connections: limits.control_connections_max,
    connect: {
      timeout: limits.control_call_ms_max,
      ...(base.hostname.endsWith(".localhost") ? { lookup: thisMachine } : {}),
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    },
  })
  return clientOf({ pool, prefix }, options.credential)
}

/** Names under localhost are this machine (RFC 6761, section 6.3). Browsers and curl know that, many a resolver does not. */
const thisMachine: LookupFunction = (_, options, done) => lookup("localhost", options, done)

interface Service {
  readonly pool: Pool
  /** The path under which the service lies, as behind a proxy. */
  readonly prefix: string
}

function clientOf(service: Service, credential: Credential): ApiClient {
  return {
    async call<R extends keyof Shapes>(route: R, input: Input<R>, { signal }: { readonly signal?: AbortSignal } = {}) {
      const given = input as AnyInput
      const { pool, prefix } = service
      const { method } = routes[route]
      const path = pathOf(route, given)
      const body = given.body ? JSON.stringify(given.body) : ""
      const call = { method, path: path.split("?")[0] ?? path, content: contentOfCall(queryOf(path), body) }
      let shown = await credential(call) // what goes wrong here is not the service's
      const cancel = new AbortController()
      const onAbort = (): void => cancel.abort(signal?.reason)
      if (signal?.aborted) onAbort()
      // Added and removed by hand: the caller's signal may outlive many calls, and AbortSignal.any would stay on it.
      signal?.addEventListener("abort", onAbort, { once: true })
      const time_ms = limits.control_call_ms_max + Number(given.query?.["wait_ms"] ?? 0)
      const timer = setTimeout(() => cancel.abort(new Error(`no answer in ${time_ms} ms`)), time_ms)
      try {
        for (let tries = 1; ; tries++) {
          const response = await pool.request({
            method,
            path: prefix + path,
            headers: {
              authorization: `Bearer ${shown.reveal()}`,
              accept: "application/json",
              ...(given.body ? { "content-type": "application/json" } : {}),
            },
            body: given.body ? body : null,
            signal: cancel.signal,
            headersTimeout: 0,
            bodyTimeout: 0,
          })
          const by = { service: response.headers[service_header], refused: response.statusCode === 401 }
          const again = credential.answered?.(shown, by) === true && tries < limits.gateway_tries_max
          if (!again) return (await answerOf(response, route)) as Shapes[R]["answer"]
          await response.body.dump()
          shown = await credential(call)
        }
      } catch (failure) {
        if (signal?.aborted) throw signal.reason
        throw GatewayError.from(failure, "stale")
      } finally {
        clearTimeout(timer)
        signal?.removeEventListener("abort", onAbort)
      }
    },
    as: (other) => clientOf(service, other),
    close: () => service.pool.destroy(),
  }
}

function pathOf(route: keyof Shapes, { id, query = {} }: AnyInput): string {
  const path = routes[route].path.replace(":id", encodeURIComponent(String(id)))
  const pairs = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) pairs.set(name, String(value))
  return pairs.size === 0 ? path : `${path}?${pairs.toString()}`
}

async function answerOf({ statusCode, body }: Dispatcher.ResponseData, route: keyof Shapes): Promise<unknown> {
  const text = await readBounded(body, lists.has(route) ? limits.control_list_bytes_max : limits.control_body_bytes_max)
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch (failure) {
    throw new GatewayError("stale", {}, new Error(`the approval service answered ${statusCode} with what is not JSON`, { cause: failure }))
  }
  if (statusCode >= 200 && statusCode < 300) return answer
  throw errorOf(statusCode, answer)
}

async function readBounded(body: Dispatcher.ResponseData["body"], bytes_max: number): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > bytes_max) throw new GatewayError("stale", {}, new Error(`the approval service answered more than ${bytes_max} bytes`))
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString("utf8")
}

/** The service's own words are kept where ours depend on them: what is wrong with the input. */
function errorOf(status: number, answer: unknown): GatewayError {
  const { code, message } = (answer ?? {}) as { code?: unknown; message?: unknown }
  const words = typeof message === "string" ? message.slice(0, limits.error_words_chars_max) : `status ${status}`
  if (typeof code !== "string" || !isErrorCode(code)) {
    return new GatewayError("stale", {}, new Error(`the approval service answered ${status}: ${words}`))
  }
  return new GatewayError(code, said.has(code) ? { what: words } : {})
}

const said: ReadonlySet<ErrorCode> = new Set(["invalid", "too_long", "too_many", "login_needed", "already_asked", "not_now"])

const isErrorCode = (code: string): code is ErrorCode => (errorCodes as readonly string[]).includes(code)
