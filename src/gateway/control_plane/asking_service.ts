// What a gateway asks the approval service for on behalf of those who wait at its gates.
import type { ApiClient } from "../../api/client.ts"
import type { Offer } from "../../api/asking_schema.ts"
import type { RequestView } from "../../api/schema.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { Identity } from "../../core/identity.ts"
import type { RequestId, WaiterId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { ProtocolName } from "../../core/target.ts"

/** Somebody at a gate. Their Identity is the proof that they were identified here. */
export interface Waiting {
  readonly waiter: WaiterId
  readonly identity: Identity
  readonly client: string
}

export interface HereAsked extends Waiting {
  readonly protocol: ProtocolName
  readonly until: number
  readonly target: string
  readonly as: string | undefined
  readonly duration_ms: number
  readonly reason: string
}

export interface AskingService {
  /** Null: nothing. Throws `stale`. */
  offer(wanted: { readonly subject: string; readonly target: string; readonly as: string | undefined }): Promise<Offer | null>
  /** Files a request, or finds the one that asks the same. Throws as asking does, and `stale` when there is no answer after some tries. */
  ask(asked: HereAsked): Promise<RequestView>
  /** They wait no more. Settles when the service knows, or when it did not answer after some tries. */
  leave(request: RequestId, waiting: Waiting): Promise<void>
}

export interface AskingServiceOptions {
  readonly gateway: string
  readonly api: ApiClient
  readonly clock: Clock
}

export function askingService({ gateway, api, clock }: AskingServiceOptions): AskingService {
  /** A service that is being started anew answers in a moment. Filing and leaving twice is the same as once. */
  const insist = async <T>(call: () => Promise<T>): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await call()
      } catch (failure) {
        const away = failure instanceof GatewayError && failure.code === "stale"
        if (!away || tries >= limits.ask_calls_max) throw failure
        await new Promise<void>((resolve) => clock.after(limits.ask_again_ms * tries, resolve))
      }
    }
  }
  return {
    offer: async ({ as, ...wanted }) => (await api.call("offer", { query: { ...wanted, ...(as === undefined ? {} : { as }) } })).offer,
    ask: ({ as, protocol, until, target, duration_ms, reason, ...waiting }) => {
      // An HTTP target has pages of its own to ask on.
      if (protocol !== "ssh" && protocol !== "postgres") throw new GatewayError("not_askable")
      const asked = { protocol, until, target, duration_ms, reason, ...(as === undefined ? {} : { as: [as] }) }
      return insist(() => api.call("ask_here", { body: { ...about(gateway, waiting), ...asked } }))
    },
    leave: async (id, waiting) => {
      await insist(() => api.call("leave_here", { id, body: about(gateway, waiting) })).catch(() => {})
    },
  }
}

const about = (gateway: string, { waiter, client, identity: { subject, login } }: Waiting) => ({
  gateway,
  waiter,
  subject,
  client: client.slice(0, limits.address_chars_max),
  ...(login === undefined ? {} : { login }),
})
