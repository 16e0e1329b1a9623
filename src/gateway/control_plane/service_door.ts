// The way from the gateway's own name to the approval service: what people's browsers and programs ask there is passed on, with the
// client's address beside the gateway's key, which makes the service believe it. What is for gateways alone is not passed on.
import { Pool } from "undici"
import type { ApiClient, Credential } from "../../api/client.ts"
import { passed_on } from "../../api/passed_on.ts"
import { contentPassedOn } from "../../api/signed_call.ts"
import { GatewayError } from "../../core/errors.ts"
import type { LoginId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { PassedAnswer, PassedRequest, ServiceDoor } from "../contract.ts"

export interface ServiceDoorOptions {
  /** Where gateways reach the service. */
  readonly url: string
  /** Where people do. */
  readonly public_url: string
  readonly credential: Credential
  readonly api: ApiClient
}

/** The paths of the service that are not the public's. */
const closed = /^\/+(v1\/+gateway|healthz|readyz)(\/|$)/i

export function openServiceDoor({ url, public_url, credential, api }: ServiceDoorOptions): ServiceDoor & { close(): Promise<void> } {
  const base = new URL(url)
  const prefix = base.pathname.replace(/\/$/, "")
  const pool = new Pool(base.origin, { connections: limits.passed_on_max, connect: { timeout: limits.control_call_ms_max } })
  let under_way = 0
  return {
    url: public_url,
    async pass({ method, path, headers, client, body, signal }: PassedRequest): Promise<PassedAnswer> {
      if (isClosed(path)) throw new GatewayError("not_found")
      // One that waits for an answer holds its place: those beyond are told to come again.
      if (under_way >= limits.passed_on_max) throw new GatewayError("busy")
      under_way++
      try {
        // Its body streams by: it cannot be sent again to another service.
        const key = await credential({ method, path: path.split("?")[0] ?? path, content: contentPassedOn(client), once: true })
        const {
          statusCode: status,
          headers: told,
          body: answer,
        } = await pool.request({
          method: method,
          path: prefix + path,
          headers: [...headers, passed_on.key, key.reveal(), passed_on.client, client],
          body,
          signal,
          headersTimeout: limits.control_call_ms_max + limits.long_poll_ms_max,
          bodyTimeout: limits.control_call_ms_max,
        })
        const { [passed_on.known]: known, ...rest } = told
        return { status, headers: rest, body: answer, known: known !== undefined }
      } catch (failure) {
        throw new GatewayError("stale", {}, failure)
      } finally {
        under_way--
      }
    },
    redeem: (visit) => api.call("redeem", { body: visit }),
    async leave(login: LoginId) {
      await api.call("leave", { body: { login } })
    },
    close: () => pool.destroy(),
  }
}

/** However it is written: the service reads escapes before it looks for a route. */
function isClosed(path: string): boolean {
  const plain = path.split("?")[0] ?? ""
  try {
    return closed.test(decodeURIComponent(plain))
  } catch {
    return true
  }
}
