// The OAuth endpoints that programs call, and the one that the company's provider does: forms in, JSON out, errors in the
// protocol's own words.
import type { IncomingMessage } from "node:http"
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import { known, statusOf } from "../answers.ts"
import type { Devices } from "./devices.ts"
import { takeForms } from "../form_body.ts"
import type { OAuth } from "./oauth.ts"
import { OAuthError } from "./oauth_error.ts"
import type { ProviderLogout } from "./provider_logout.ts"

export interface OAuthRoutesOptions {
  readonly oauth: OAuth
  readonly devices: Devices
  readonly providerLogout: ProviderLogout
  /** The key set that verifies the tokens. */
  jwks(): Promise<object>
  addressOf(message: IncomingMessage): string
  readonly log: Log
}

export function addOAuthRoutes(
  server: FastifyInstance,
  { oauth, devices, providerLogout, jwks, addressOf, log }: OAuthRoutesOptions,
): void {
  for (const path of ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"])
    server.get(path, async () => oauth.metadata())
  server.get("/oauth/jwks.json", () => jwks())
  void server.register(async (scope) => {
    takeForms(scope, limits.login_form_bytes_max)
    scope.setErrorHandler((failure, _request, reply) => void refuse(failure, reply, log))
    const formOf = ({ body }: FastifyRequest): URLSearchParams => {
      if (!(body instanceof URLSearchParams)) throw new OAuthError("invalid_request", "the parameters come as a form")
      // RFC 6749, section 3.2: none may come twice, or two readers could take different ones.
      if (new Set(body.keys()).size !== body.size) throw new OAuthError("invalid_request", "a parameter is there twice")
      return body
    }
    scope.post("/oauth/token", (request) => oauth.token(formOf(request), addressOf(request.raw)))
    scope.post("/sign-in/back-channel-logout", async (request, reply) => {
      await providerLogout.take(formOf(request), addressOf(request.raw))
      return reply.send()
    })
    scope.post("/oauth/device_authorization", (request) => devices.begin(formOf(request), addressOf(request.raw)))
  })
}

function refuse(failure: unknown, reply: FastifyReply, log: Log): FastifyReply {
  if (failure instanceof OAuthError) {
    const status = failure.code === "invalid_client" ? 401 : 400
    return reply.code(status).send({ error: failure.code, error_description: failure.message })
  }
  const error = known(failure) ?? new GatewayError("internal", {}, failure)
  if (error.code === "internal") log.error({ err: failure }, "an OAuth call failed")
  const status = statusOf(error)
  return reply.code(status).send({ error: status < 500 ? "invalid_request" : "temporarily_unavailable", error_description: error.message })
}
