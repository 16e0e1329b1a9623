// Pages around logging in, as functions of a call: what was asked for in, a page or a redirect out. It owns how they hang on the
// server, and how their failures look.
import type { IncomingMessage } from "node:http"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { problemPage } from "../../console/problem_page.ts"
import { headers } from "../../console/shell.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import { known, statusOf } from "../answers.ts"
import { takeForms } from "../form_body.ts"
import type { WebSessions } from "../login/web_session.ts"

export interface PageCall {
  readonly query: URLSearchParams
  readonly message: IncomingMessage
  /** The network address it came from. */
  readonly from: string
}

export interface PageAnswer {
  readonly page?: string
  /** A redirect: a path of ours, or a place that was checked. */
  readonly to?: string
  readonly cookies?: readonly string[]
  /** Where a form of this page may lead to besides this origin: browsers follow redirects of forms nowhere else. */
  readonly formsTo?: string
}

export type ReadPage = (call: PageCall) => Promise<PageAnswer>
export type FormPage = (call: PageCall & { readonly form: URLSearchParams }) => Promise<PageAnswer>

export interface PageSet {
  readonly reads: Readonly<Record<string, ReadPage>>
  readonly forms: Readonly<Record<string, FormPage>>
}

export interface PageCallsOptions {
  readonly pages: PageSet
  readonly sessions: WebSessions
  addressOf(message: IncomingMessage): string
  readonly log: Log
}

export function addPageCalls(server: FastifyInstance, { pages, sessions, addressOf, log }: PageCallsOptions): void {
  void server.register(async (scope) => {
    takeForms(scope, limits.login_form_bytes_max)
    const fail = (failure: unknown, request: FastifyRequest, reply: FastifyReply): void => {
      const error = known(failure) ?? new GatewayError("internal", {}, failure)
      if (error.code === "internal") log.error({ err: failure }, "a page could not be made")
      else if (error.cause !== undefined) log.warn({ err: error, code: error.code }, "a login was refused")
      if (error.code === "unauthenticated" && request.method === "GET") return void reply.redirect(sessions.signIn(request.url), 303)
      void reply
        .code(statusOf(error))
        .headers(headers)
        .send(problemPage({ visit: undefined, code: error.code, words: error.message }))
    }
    scope.setErrorHandler((failure, request, reply) => fail(failure, request, reply))
    const callOf = (request: FastifyRequest): PageCall => ({
      query: new URLSearchParams(request.url.split("?").slice(1).join("?")),
      message: request.raw,
      from: addressOf(request.raw),
    })
    for (const [path, read] of Object.entries(pages.reads))
      scope.get(path, async (request, reply) => answer(reply, await read(callOf(request))))
    for (const [path, take] of Object.entries(pages.forms))
      scope.post(path, async (request, reply) => {
        const form = request.body instanceof URLSearchParams ? request.body : new URLSearchParams()
        return answer(reply, await take({ ...callOf(request), form }))
      })
  })
}

function answer(reply: FastifyReply, { page, to, cookies = [], formsTo }: PageAnswer): FastifyReply {
  void reply.headers(headers)
  for (const cookie of cookies) void reply.header("set-cookie", cookie)
  if (formsTo !== undefined) {
    const policy = headers["content-security-policy"] ?? ""
    void reply.header("content-security-policy", policy.replace("form-action 'self'", `form-action 'self' ${formsTo}`))
  }
  return to === undefined ? reply.send(page) : reply.redirect(to, 303)
}
