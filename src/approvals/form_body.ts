// Forms as browsers and OAuth clients send them, and nothing else: a scope that takes these takes no other kind of body.
import type { FastifyInstance } from "fastify"

/** The body of a request is then a URLSearchParams; a larger one is refused as `too_large` by whoever answers for failures. */
export function takeForms(scope: FastifyInstance, bytes_max: number): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser("application/x-www-form-urlencoded", { parseAs: "string", bodyLimit: bytes_max }, (_request, body, done) =>
    done(null, new URLSearchParams(String(body))),
  )
}
