// The door for Slack's answers. The signature is over the bytes as they came, so this route, and no other, takes its body as such.
import type { IncomingMessage } from "node:http"
import type { FastifyInstance, FastifyRequest } from "fastify"
import { limits } from "../../core/limits.ts"
import type { Claim, SlackAnswers } from "./slack_answers.ts"

const form = "application/x-www-form-urlencoded"

export interface SlackRouteOptions {
  readonly answers: SlackAnswers
  addressOf(message: IncomingMessage): string
}

export function addSlackRoute(server: FastifyInstance, { answers, addressOf }: SlackRouteOptions): void {
  void server.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser(form, { parseAs: "buffer", bodyLimit: limits.slack_answer_bytes_max }, (_request, body, done) =>
      done(null, body),
    )
    const claims = new WeakMap<FastifyRequest, Claim>()
    scope.post<{ Params: { name: string } }>("/v1/notifications/slack/:name", {
      onRequest: async (request) => void claims.set(request, answers.claim(request.params.name, request.headers)),
      handler: async (request, reply) => {
        const claim = claims.get(request)
        const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
        if (claim) await answers.take(claim, body, addressOf(request.raw))
        return reply.code(200).send("")
      },
    })
  })
}
