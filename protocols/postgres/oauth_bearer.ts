// SASL OAUTHBEARER (RFC 7628) as libpq 18 speaks it: a client without a token is told where to get one and comes back with it on
// another connection. The approval service is the authorization server; what it issues is the same token that others send as a
// password. Source: "OAUTHBEARER Authentication"; RFC 7628, sections 3.1 and 3.2.2.
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { Secret } from "../../src/core/secret.ts"
import { int32, message } from "./codec.ts"
import type { Downstream } from "./downstream.ts"

const mechanism = "OAUTHBEARER"
const sasl = 10
const sasl_continue = 11
const separator = "\u0001"

/** Asks for the token; undefined when the client left, "none" when it has none yet. */
export async function readBearer({ client, inlet }: Downstream): Promise<Secret | "none" | undefined> {
  client.write(message("R", int32(sasl), mechanism, ""))
  const answer = await inlet.message(limits.auth_token_bytes_max)
  if (!answer) return undefined
  const { type, body } = answer
  const name = body.indexOf(0)
  if (type !== "p" || body.toString("latin1", 0, Math.max(0, name)) !== mechanism || name + 5 > body.length)
    throw broken("no OAUTHBEARER where it was asked for")
  if (body.readInt32BE(name + 1) !== body.length - name - 5) throw broken("a SASL response that is not as long as it says")
  const token = bearerIn(body.toString("latin1", name + 5))
  body.fill(0)
  return token
}

/**
 * Says where a token is to be had, and waits for the client to have heard it: what follows is an error, and only after its answer
 * may there be one.
 */
export async function sendElsewhere({ client, inlet }: Downstream, issuer: string): Promise<void> {
  const where = { status: "invalid_token", scope: "", "openid-configuration": `${issuer}/.well-known/openid-configuration` }
  client.write(message("R", int32(sasl_continue), Buffer.from(JSON.stringify(where))))
  const answer = await inlet.message(limits.auth_token_bytes_max)
  if (answer && (answer.type !== "p" || answer.body.toString("latin1") !== separator)) throw broken("a token's refusal was not heard")
}

/** The client's initial response: a GS2 header and key-value pairs. */
function bearerIn(response: string): Secret | "none" {
  const [header, ...pairs] = response.split(separator)
  // No channel binding ("n", or "y": it could), and nobody else's name: who it is, the token says.
  if (header !== "n,," && header !== "y,,") throw broken("a GS2 header that asks for more than there is")
  if (pairs.length < 2 || pairs.at(-1) !== "" || pairs.at(-2) !== "") throw broken("an OAUTHBEARER response without its end")
  const found = pairs.slice(0, -2).filter((pair) => pair.startsWith("auth="))
  if (found.length !== 1) throw broken("an OAUTHBEARER response with not one auth")
  const [, token] = /^auth=(?:bearer +([A-Za-z0-9._~+/-]+=*))?$/i.exec(found[0] as string) ?? broken("a token that is none")
  return token === undefined ? "none" : new Secret(token)
}

function broken(why: string): never {
  throw new GatewayError("protocol_broken", {}, new Error(why))
}
