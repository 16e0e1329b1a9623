// The service's HTTP server. It owns the order in which a call is looked at: who calls, before a byte of the body is read; then
// what is sent, by the route's schemas; then the domain. One span and one answer a call.
import { type Span, SpanStatusCode, trace } from "@opentelemetry/api"
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify"
import { passed_on } from "../api/passed_on.ts"
import { type Route, type RouteName, routes } from "../api/routes.ts"
import { service_header } from "../api/signed_call.ts"
import type { Clock } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import type { ServiceId } from "../core/ids.ts"
import { limits } from "../core/limits.ts"
import type { Log } from "../observe/log.ts"
import { answerFailure } from "./answers.ts"
import type { Authorities } from "./authorities/authorities.ts"
import type { Callers } from "./callers.ts"
import type { Feed } from "./feed.ts"
import type { GatewayCaller, GatewayCredentials } from "./gateways/gateway_credentials.ts"
import type { GatewayRefusals } from "./gateways/gateway_refusals.ts"
import type { GatewayRoutes } from "./gateways/gateway_routes.ts"
import type { Caller } from "./journal.ts"
import type { SlackAnswers } from "./notifications/slack_answers.ts"
import { addSlackRoute } from "./notifications/slack_route.ts"
import type { LoginParts } from "./login/login_parts.ts"
import { addOAuthRoutes } from "./login/oauth_routes.ts"
import { addPageCalls } from "./pages/page_calls.ts"
import { addPages, answerNotFound } from "./pages/pages.ts"
import type { PersonRoutes } from "./person_routes.ts"
import { type Input, type Wire, wire } from "./wire.ts"
import type { WorkloadLogins } from "./login/workload_logins.ts"

export interface ServerOptions {
  readonly callers: Callers
  /** As gateways are told which one answers. */
  readonly service: ServiceId
  readonly gateways: { readonly credentials: GatewayCredentials; readonly refusals: GatewayRefusals }
  readonly person: PersonRoutes
  readonly gateway: GatewayRoutes
  readonly feed: Feed
  readonly slack: SlackAnswers
  readonly authorities: Authorities
  readonly parts: Pick<LoginParts, "pages" | "sessions" | "oauth" | "devices" | "providerLogout" | "hosts">
  readonly workloads: WorkloadLogins
  /** The key set that verifies tokens. */
  jwks(): Promise<object>
  readonly openApi: object
  /** Rejects when the service cannot do its work. */
  ready(): Promise<void>
  /** A line that uses a target as an account. */
  useLine(target: string, account: string | undefined, reader: string): string | undefined
  /** The accounts that a target offers; undefined where there is no such target any more. */
  accountsAt(target: string): readonly string[] | undefined
  readonly clock: Clock
  readonly log: Log
}

const tracer = trace.getTracer("sluice")

export function createServer(options: ServerOptions): FastifyInstance {
  const { log, feed } = options
  const server = fastify({
    logger: false,
    trustProxy: false, // what a header claims about an address is a stranger's word
    bodyLimit: limits.control_body_bytes_max,
    exposeHeadRoutes: false,
    forceCloseConnections: true,
    // A client that sends its request slowly, or not at all, is let go.
    requestTimeout: limits.control_request_ms_max,
    keepAliveTimeout: limits.control_idle_ms_max,
    http: {
      headersTimeout: limits.control_request_ms_max,
      connectionsCheckingInterval: limits.tick_ms_max,
    },
    frameworkErrors: (failure, _request, reply) => answerFailure(failure, reply, log),
  })
  server.server.maxConnections = limits.connections_max
  server.setErrorHandler((failure, _request, reply) => answerFailure(failure, reply, log))
  server.setNotFoundHandler((request, reply) => {
    if (!answerNotFound(request, reply)) answerFailure(new GatewayError("not_found"), reply, log)
  })
  server.addHook("onRequest", (request) => options.callers.readPassedOn(request.raw))
  const parseJson = server.getDefaultJsonParser("error", "error")
  server.removeContentTypeParser("application/json")
  server.addContentTypeParser<string>("application/json", { parseAs: "string" }, (request, body, done) => {
    try {
      options.callers.checkBody(request.raw, body)
    } catch (failure) {
      done(failure as GatewayError)
      return
    }
    void parseJson(request, body, done)
  })
  // An answer is for the one who asked, now.
  server.addHook(
    "onSend",
    async (_request, reply) => void reply.headers({ "cache-control": "no-store", "x-content-type-options": "nosniff" }),
  )

  const add = (name: RouteName, answer: Answer): void => addRoute(server, { name, answer, ...options })
  for (const [name, handler] of Object.entries(options.person) as [RouteName, Handler][])
    add(name, (call, { signal }) => handler({ ...call, signal: signal() }))
  for (const [name, handler] of Object.entries(options.gateway) as [RouteName, Handler][]) add(name, (call) => handler(call))
  add("jwks", () => options.jwks())
  add("workload", async ({ body, from }) => options.workloads.login((body as Input<"workload">["body"]).token, from))
  add("authorities", async () => ({ authorities: await options.authorities.trusted() }))
  add("feed", async ({ query, gateway }, { reply }) => {
    feed.checkRoom()
    reply.hijack()
    reply.raw.writeHead(200, { "content-type": "application/x-ndjson", "cache-control": "no-store" })
    reply.raw.flushHeaders()
    const { after, history } = query as Input<"feed">["query"]
    void feed.serve(reply.raw, { after, history, stands: () => gateway !== undefined && options.gateways.credentials.stands(gateway) })
  })

  const addressOf = options.callers.addressOf
  addSlackRoute(server, { answers: options.slack, addressOf })
  addPages(server, {
    person: options.person,
    ...options.parts,
    useLine: options.useLine,
    accountsAt: options.accountsAt,
    clock: options.clock,
    log,
  })
  addPageCalls(server, { ...options.parts, addressOf, log })
  addOAuthRoutes(server, { ...options.parts, jwks: () => options.jwks(), addressOf, log })
  server.get("/openapi.json", async () => options.openApi)
  server.get("/healthz", async () => ({ status: "ok" }))
  server.get("/readyz", async () => {
    await options.ready()
    return { status: "ok" }
  })
  return server
}

/** A call as it reaches any handler; each one's own types are in `PersonRoutes` and `GatewayRoutes`, made from the same schemas. */
interface Call {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
  readonly caller: Caller | undefined
  readonly gateway: GatewayCaller | undefined
  readonly from: string
}
type Handler = (call: object) => Promise<unknown>
type Answer = (call: Call, http: { readonly reply: FastifyReply; signal(): AbortSignal }) => Promise<unknown>

interface Added extends Pick<ServerOptions, "callers" | "gateways" | "service"> {
  readonly name: RouteName
  readonly answer: Answer
}

function addRoute(server: FastifyInstance, { name, answer, callers, gateways, service }: Added): void {
  const { method, path, who }: Route = routes[name]
  const { params, query, body }: Wire = wire[name]
  const authenticated = new WeakMap<FastifyRequest, Caller>()
  const called = new WeakMap<FastifyRequest, GatewayCaller>()
  server.route({
    method,
    url: path,
    // Before the body: somebody unknown makes us hold nothing.
    onRequest: async (request, reply) => {
      if (who === "person") {
        authenticated.set(request, await callers.person(request.raw))
        void reply.header(passed_on.known, "1")
      }
      if (who === "gateway") {
        reply.raw.setHeader(service_header, service) // the feed's answer is no reply of fastify's
        called.set(request, await callers.gateway(request.raw))
      }
      if (body && !/^application\/json\s*(;|$)/i.test(request.headers["content-type"] ?? ""))
        throw new GatewayError("unsupported", { what: "a body that is not application/json" })
    },
    preHandler: async (request) => callers.checkBody(request.raw, ""), // where there was none to read
    handler: (request, reply) =>
      spanned(`${method} ${path}`, async (span) => {
        const call: Call = {
          params: params?.parse(request.params),
          query: query?.parse(request.query),
          body: body?.parse(request.body),
          caller: authenticated.get(request),
          gateway: called.get(request),
          from: callers.addressOf(request.raw),
        }
        span.setAttribute("sluice.route", name)
        await checkName(call, gateways)
        return answer(call, { reply, signal: () => whileOpen(reply) })
      }),
  })
}

/** A gateway speaks for itself alone. Throws `forbidden`. */
async function checkName({ gateway, body, from }: Call, { credentials, refusals }: ServerOptions["gateways"]): Promise<void> {
  if (!gateway || typeof body !== "object" || body === null || !("gateway" in body)) return
  const claimed = String(body.gateway)
  if (!credentials.allows(gateway, claimed)) await refusals.refuse(gateway, claimed, from)
}

async function spanned<T>(name: string, work: (span: Span) => Promise<T>): Promise<T> {
  return tracer.startActiveSpan(name, async (span) => {
    try {
      return await work(span)
    } catch (failure) {
      span.setStatus({ code: SpanStatusCode.ERROR, message: failure instanceof GatewayError ? failure.code : "internal" })
      throw failure
    } finally {
      span.end()
    }
  })
}

/** Aborted when the client leaves before its answer is ready. */
function whileOpen(reply: FastifyReply): AbortSignal {
  const controller = new AbortController()
  reply.raw.once("close", () => controller.abort())
  return controller.signal
}
