// The pages: what a browser asks for, as calls of the same domain that the API calls, and the HTML of `console/` as the answer. A form
// that was taken answers with a redirect, so that loading again sends nothing twice; one that could not be taken is shown again, with
// what was wrong. Nothing here needs a script.
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { z } from "zod"
import { sessionPlace } from "../../api/listed.ts"
import { grantId, requestId, sessionId } from "../../api/schema.ts"
import { askPage, choosePage } from "../../console/ask_page.ts"
import { gatewaysPage } from "../../console/gateways_page.ts"
import { grantsPage } from "../../console/grants_page.ts"
import { problemPage, sentence } from "../../console/problem_page.ts"
import { requestPage } from "../../console/request_page.ts"
import { overviewPage, requestsPage } from "../../console/requests_page.ts"
import { sessionsPage } from "../../console/sessions_page.ts"
import { headers, type Visit } from "../../console/shell.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { GrantId, RequestId, SessionId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import { known, statusOf } from "../answers.ts"
import { takeForms } from "../form_body.ts"
import type { Caller } from "../journal.ts"
import { readExtension, readQuestion, readReason } from "./page_forms.ts"
import type { PersonRoutes } from "../person_routes.ts"
import type { TargetHosts } from "../login/target_host.ts"
import { type Visitor, visitOf, type WebSessions } from "../login/web_session.ts"

export interface PagesOptions {
  readonly person: PersonRoutes
  readonly sessions: WebSessions
  readonly hosts: TargetHosts
  /** A line with which `reader` uses `target` as `account`; undefined where there is none. */
  useLine(target: string, account: string | undefined, reader: string): string | undefined
  /** The accounts that `target` offers; undefined where there is no such target any more. */
  accountsAt(target: string): readonly string[] | undefined
  readonly clock: Clock
  readonly log: Log
}

export function addPages(server: FastifyInstance, options: PagesOptions): void {
  void server.register(async (scope) => {
    takeForms(scope, limits.page_form_bytes_max)
    const pages = new Pages(options)
    scope.setErrorHandler((failure, request, reply) => pages.fail(failure, request, reply))
    scope.addHook("onSend", async (_request, reply) => void reply.headers(headers))
    scope.addHook("onRequest", (request) => pages.admit(request))
    pages.addReads(scope)
    pages.addForms(scope)
  })
}

/** One who looks at a page, or sends a form. */
interface Guest {
  readonly visit: Visit
  readonly caller: Caller
  readonly signal: AbortSignal
}

const numbered = z.object({ id: requestId })
const granted = z.object({ id: grantId })
const opened = z.object({ id: sessionId })

class Pages {
  readonly #options: PagesOptions
  readonly #visitors = new WeakMap<FastifyRequest, Visitor>()

  constructor(options: PagesOptions) {
    this.#options = options
  }

  /** Before a byte of the body. Throws `unauthenticated`. */
  async admit(request: FastifyRequest): Promise<void> {
    this.#visitors.set(request, await this.#options.sessions.visitor(request.raw))
  }

  addReads(scope: FastifyInstance): void {
    const { person } = this.#options
    scope.get("/", async (request, reply) => {
      const { visit, ...call } = this.#guest(request, reply)
      const ask = { ...call, params: undefined, body: undefined }
      const pending = await person.requests({ ...ask, query: { status: "pending", limit } })
      const unreviewed = await person.requests({ ...ask, query: { status: "unreviewed", limit } })
      const { grants } = await person.grants({ ...call, params: undefined, body: undefined, query: { all: false, limit } })
      return overviewPage({
        visit,
        pending: [...unreviewed.requests, ...pending.requests].slice(0, limit),
        more: unreviewed.next !== null || pending.next !== null || unreviewed.requests.length + pending.requests.length > limit,
        grants,
      })
    })
    scope.get("/requests", async (request, reply) => {
      const { visit, ...call } = this.#guest(request, reply)
      const before = placeIn(requestId, request)
      const { requests, next } = await person.requests({ ...call, params: undefined, body: undefined, query: { limit, before } })
      return requestsPage({ visit, requests, older: olderThan("/requests", next) })
    })
    scope.get("/requests/:id", (request, reply) => this.#request(request, reply))
    scope.get("/grants", async (request, reply) => this.#grants(this.#guest(request, reply), { before: placeIn(requestId, request) }))
    scope.get("/sessions", async (request, reply) => {
      const told = z.object({ told: sessionId }).safeParse(request.query).data?.told
      return this.#sessions(this.#guest(request, reply), { told, before: placeIn(sessionPlace, request) })
    })
    scope.get("/gateways", async (request, reply) => {
      const { visit, ...call } = this.#guest(request, reply)
      const { after } = request.query as { after?: unknown }
      return gatewaysPage({
        visit,
        ...(await person.gateways({ ...call, ...nothing })),
        after: typeof after === "string" ? after : undefined,
      })
    })
    scope.get("/ask", async (request, reply) => {
      const { visit, ...call } = this.#guest(request, reply)
      const { targets } = await person.targets({ ...call, ...nothing })
      const { target: name } = request.query as { target?: unknown }
      if (name === undefined) return choosePage({ visit, targets })
      const target = targets.find((one) => one.name === name)
      if (!target) throw new GatewayError("not_askable")
      return askPage({ visit, target, back: this.#options.hosts.pageOf(target.name, (request.query as Back).return) })
    })
  }

  addForms(scope: FastifyInstance): void {
    const { person } = this.#options
    scope.post("/ask", (request, reply) => this.#ask(request, reply))
    for (const verb of ["approve", "deny", "review"] as const)
      this.#onRequest(scope, verb, (call, id, form) => person[verb]({ ...call, params: { id }, query: {}, body: readReason(form) }))
    this.#onRequest(scope, "estimate", async (call, id) => {
      const { estimate } = await person.estimate({ ...call, params: { id }, query: {}, body: {} })
      if (estimate === null) throw new GatewayError("not_estimated")
      return "#rows"
    })
    this.#onRequest(scope, "withdraw", (call, id) => person.withdraw({ ...call, params: { id }, query: {}, body: {} }))
    this.#onGrant(scope, "drop", (call, id) => person.drop({ ...call, params: { id }, query: {}, body: {} }))
    this.#onGrant(scope, "revoke", (call, id, form) => person.revoke({ ...call, params: { id }, query: {}, body: readReason(form) }))
    this.#onGrant(scope, "extend", async (call, id, form) => {
      const { id: request } = await person.extend({ ...call, params: { id }, query: {}, body: readExtension(form) })
      return `/requests/${request}`
    })
    scope.post("/sessions/:id/kill", async (request, reply) => {
      const { guest, form } = this.#form(request, reply)
      const { id } = idOf(opened, request) as { id: SessionId }
      try {
        await person.kill({ ...guest, params: { id }, query: {}, body: readReason(form) })
      } catch (failure) {
        return this.#sessions(guest, { problem: refusal(failure, reply) })
      }
      return reply.redirect(`/sessions?told=${id}`, 303)
    })
  }

  /** Any failure as a page; one who is not signed in and only looks is sent to do so and comes back. */
  fail(failure: unknown, request: FastifyRequest, reply: FastifyReply): void {
    const error = known(failure) ?? new GatewayError("internal", {}, failure)
    if (error.code === "internal") this.#options.log.error({ err: failure }, "a page could not be made")
    if (error.code === "unauthenticated" && request.method === "GET") {
      void reply.redirect(this.#options.sessions.signIn(request.url), 303)
      return
    }
    const visitor = this.#visitors.get(request)
    void reply.code(statusOf(error)).send(problemPage({ visit: visitor && this.#visit(visitor), code: error.code, words: error.message }))
  }

  #visit(visitor: Visitor): Visit {
    return visitOf(visitor, this.#options.clock)
  }

  #guest(request: FastifyRequest, reply: FastifyReply): Guest {
    const visitor = this.#visitors.get(request)
    if (!visitor) throw new GatewayError("unauthenticated")
    const left = new AbortController()
    reply.raw.once("close", () => left.abort())
    return { visit: this.#visit(visitor), caller: visitor.caller, signal: left.signal }
  }

  /** A form that this site made for this person, and nobody else for them. Throws `forbidden`. */
  #form(request: FastifyRequest, reply: FastifyReply): { readonly guest: Guest; readonly form: URLSearchParams } {
    const guest = this.#guest(request, reply)
    const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams()
    const visitor = this.#visitors.get(request)
    if (visitor) this.#options.sessions.checkForm(visitor, request.raw, form.get("csrf"))
    return { guest, form }
  }

  async #request(
    request: FastifyRequest,
    reply: FastifyReply,
    problem?: { guest: Guest; words: string; prove: string | undefined },
  ): Promise<string> {
    const { visit, ...call } = problem?.guest ?? this.#guest(request, reply)
    const { id } = idOf(numbered, request) as { id: RequestId }
    const view = await this.#options.person.request({ ...call, params: { id }, query: {}, body: undefined })
    const waits = view.status === "pending" && view.subject === visit.subject
    const reloading = waits && problem === undefined && (request.query as { still?: unknown }).still === undefined
    if (reloading) void reply.header("refresh", String(limits.page_reload_ms / 1_000))
    const back = this.#options.hosts.pageOf(view.target, (request.query as Back).return)
    const onward = back !== undefined && view.subject === visit.subject && view.status === "approved" ? back : undefined
    // Not a redirect: a browser takes one after a form for a part of the form, which goes nowhere but here.
    if (onward !== undefined) void reply.header("refresh", `0; url=${onward}`)
    const use = view.grant ? this.#options.useLine(view.target, view.grant.as?.[0], visit.subject) : undefined
    return requestPage({
      visit,
      request: view,
      reloading,
      accounts: this.#options.accountsAt(view.target),
      use,
      onward,
      ...(problem ? { problem: problem.words, prove: problem.prove } : {}),
    })
  }

  #onRequest(scope: FastifyInstance, verb: string, work: (call: Guest, id: RequestId, form: URLSearchParams) => Promise<unknown>): void {
    scope.post(`/requests/:id/${verb}`, async (request, reply) => {
      const { guest, form } = this.#form(request, reply)
      const { id } = idOf(numbered, request) as { id: RequestId }
      let place: unknown
      try {
        place = await work(guest, id, form)
      } catch (failure) {
        const words = refusal(failure, reply)
        return this.#request(request, reply, { guest, words, prove: proveAt(failure, `/requests/${id}`) })
      }
      return reply.redirect(`/requests/${id}${typeof place === "string" ? place : ""}`, 303)
    })
  }

  async #grants({ visit, ...call }: Guest, { before, ...more }: { readonly before?: RequestId | undefined; readonly problem?: string }) {
    const query = { all: false, limit, before }
    const { grants, next } = await this.#options.person.grants({ ...call, params: undefined, body: undefined, query })
    return grantsPage({ visit, grants, older: olderThan("/grants", next), ...more })
  }

  #onGrant(scope: FastifyInstance, verb: string, work: (call: Guest, id: GrantId, form: URLSearchParams) => Promise<unknown>): void {
    scope.post(`/grants/:id/${verb}`, async (request, reply) => {
      const { guest, form } = this.#form(request, reply)
      const { id } = idOf(granted, request) as { id: GrantId }
      let next: unknown
      try {
        next = await work(guest, id, form)
      } catch (failure) {
        return this.#grants(guest, { problem: refusal(failure, reply) })
      }
      return reply.redirect(typeof next === "string" ? next : "/grants", 303)
    })
  }

  async #sessions(
    { visit, ...call }: Guest,
    { before, ...more }: { readonly before?: string | undefined; readonly told?: string | undefined; readonly problem?: string },
  ): Promise<string> {
    const query = { live: true, limit, before }
    const { sessions, next } = await this.#options.person.sessions({ ...call, params: undefined, body: undefined, query })
    return sessionsPage({ visit, sessions, older: olderThan("/sessions", next), ...more })
  }

  async #ask(request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    const { guest, form } = this.#form(request, reply)
    const { visit, ...call } = guest
    const { person } = this.#options
    const { target: name, written, problems, body } = readQuestion(form)
    const back = this.#options.hosts.pageOf(name, form.get("return"))
    const target = (await person.targets({ ...call, ...nothing })).targets.find((one) => one.name === name)
    if (!target) throw new GatewayError("not_askable")
    if (!body) return askPage({ visit, target, back, written, problems: (reply.code(400), problems) })
    try {
      const { id } = await person.ask({ ...call, params: undefined, query: {}, body })
      return await reply.redirect(`/requests/${id}${back === undefined ? "" : `?return=${encodeURIComponent(back)}`}`, 303)
    } catch (failure) {
      const problem = refusal(failure, reply)
      return askPage({
        visit,
        target,
        back,
        written,
        prove: proveAt(failure, `/ask?target=${encodeURIComponent(name)}`),
        ...(failure instanceof GatewayError && failure.code === "too_long" ? { problems: { for: problem } } : { problem }),
      })
    }
  }
}

/** For an address that leads nowhere: programs get the API's answer, people a page. */
export function answerNotFound(request: FastifyRequest, reply: FastifyReply): boolean {
  if (request.method !== "GET" || !request.headers.accept?.includes("text/html")) return false
  const { code, message: words } = new GatewayError("not_found")
  void reply
    .code(404)
    .headers(headers)
    .send(problemPage({ visit: undefined, code, words }))
  return true
}

interface Back {
  readonly return?: unknown
}

const nothing = { params: undefined, query: {}, body: undefined } as const
const limit = limits.page_rows_max

/** Where in a list a page begins; one that is no place in it is the first page's. */
const placeIn = <Place>(schema: z.ZodType<Place>, { query }: FastifyRequest): Place | undefined =>
  z.object({ before: schema }).safeParse(query).data?.before

const olderThan = (path: string, next: string | number | null): string | undefined =>
  next === null ? undefined : `${path}?${new URLSearchParams({ before: String(next) }).toString()}`

/** Something that has no such id is not there, whatever was written in its place. */
function idOf(schema: z.ZodType, { params }: FastifyRequest): unknown {
  const parsed = schema.safeParse(params)
  if (!parsed.success) throw new GatewayError("not_found")
  return parsed.data
}

/** Where to prove what a rule wants of a login, and be back at `path`; undefined: something else was wrong. */
function proveAt(failure: unknown, path: string): string | undefined {
  const prove = failure instanceof GatewayError ? failure.facts.prove : undefined
  return prove && `/sign-in?${new URLSearchParams({ ...prove, return: path }).toString()}`
}

/** What the person is told on the page that they sent the form from. Other failures have a page of their own. */
function refusal(failure: unknown, reply: FastifyReply): string {
  const error = known(failure)
  if (!error || error.code === "not_found" || error.code === "unauthenticated") throw failure
  void reply.code(statusOf(error))
  return sentence(error.message)
}
