// What using a grant changes in it: its first use begins it, and where uses are counted each one is taken. Gateways ask before they
// go on; several that ask at once come one after the other.
import type { GrantView } from "../../api/schema.ts"
import type { Clock, Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { GrantId, SessionId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import { closeExtensions } from "../requests/extensions.ts"
import { closeHolds } from "../requests/holds.ts"
import { type Actor, note } from "../journal.ts"
import type { Change, Store } from "../store.ts"

/** The gateway that asks, and its network address. */
export interface Asking {
  readonly gateway: string
  readonly from: string
}

export interface Claim extends Asking {
  readonly session: SessionId
  /** The action's digest, where it has one. */
  readonly action: string | undefined
}

export class GrantUses {
  readonly #store: Store
  readonly #clock: Clock

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#store = store
    this.#clock = clock
  }

  /** The grant, begun: its end is counted from the first time somebody asks. Throws `over`, `not_found`. */
  begin(id: GrantId, asking: Asking): Promise<GrantView> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      const grant = await standing(change, id, now)
      if (grant.first_use_ms === null) return grant
      const revision = await change.nextSequence()
      const begun: GrantView = { ...grant, ends_at: now + grant.first_use_ms, first_use_ms: null, revision }
      await note(change, { at: now, kind: "grant.begun", actor: byGateway(asking), request: grant.request, grant: id, detail: begun })
      await change.changeGrant(begun)
      return begun
    })
  }

  /** Takes one use; with the last one the grant is spent. Throws `over`, also when none is left, `invalid` when none are counted. */
  use(id: GrantId, { session, action, ...asking }: Claim): Promise<GrantView> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      const actor = byGateway(asking)
      const grant = await standing(change, id, now)
      if (grant.uses_left === null) throw new GatewayError("invalid", { what: "this grant counts no uses" })
      if (grant.uses_left === 0 || grant.first_use_ms !== null) throw new GatewayError("over")
      const uses_left = grant.uses_left - 1
      const about = { at: now, actor, request: grant.request, grant: id, session }
      const revision = await note(change, { ...about, kind: "grant.used", detail: { action: action ?? null, uses_left } })
      const used: GrantView = { ...grant, uses_left, revision }
      if (uses_left > 0) {
        await change.changeGrant(used)
        return used
      }
      const spent: GrantView = { ...used, status: "spent", ended_at: now, revision: await change.nextSequence() }
      await note(change, { ...about, kind: "grant.spent", detail: spent })
      await change.changeGrant(spent)
      await closeExtensions(change, id, { actor, now })
      await closeHolds(change, { grant: id }, { actor, now })
      return spent
    })
  }
}

export const byGateway = ({ gateway, from }: Asking): Actor => ({ actor: "gateway", by: gateway, from })

/** A grant that may be used now; a gateway's clock may be a little ahead. */
export async function standing(change: Change, id: GrantId, now: Millis): Promise<GrantView> {
  const grant = await change.grant(id)
  if (!grant) throw new GatewayError("not_found")
  if (grant.status !== "active" || now >= grant.ends_at) throw new GatewayError("over")
  if (grant.starts_at > now + limits.start_clock_skew_ms_max) throw new GatewayError("over")
  return grant
}
