// What ends with somebody who is not to have access any more, inside the change that says so: what they asked for is taken back, and
// what they hold is revoked, so that what they have open is cut.
import type { Millis } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import { endGrant, isOpen } from "../grants/grants.ts"
import { type Actor, note } from "../journal.ts"
import type { Change, List, Store } from "../store.ts"

export interface Leaving {
  readonly actor: Actor
  readonly reason: string
  readonly now: Millis
}

/** Their requests that nobody has decided. */
export async function takeBackRequests(store: Store, change: Change, subject: string, { actor, reason, now }: Leaving): Promise<void> {
  for (const { id } of await store.requests(own(subject, now))) {
    const request = await change.request(id)
    if (request?.state !== "pending") continue
    await change.setRequestState(id, "withdrawn")
    await note(change, { at: now, kind: "request.withdrawn", actor, reason, request: id, detail: { state: "withdrawn" } })
  }
}

/** Their grants that are in force or to come. */
export async function revokeGrants(store: Store, change: Change, subject: string, leaving: Leaving): Promise<void> {
  for (const { id } of await store.grants(own(subject, leaving.now))) {
    const grant = await change.grant(id)
    if (grant && isOpen(grant, leaving.now)) await endGrant(change, grant, { status: "revoked", ...leaving })
  }
}

const own = (subject: string, live_at: Millis): List => ({ seen: { subject, names: [] }, limit: limits.list_rows_max, live_at })
