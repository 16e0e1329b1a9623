// Grants: made by a decision, ended early by people, over by time alone. What one covers never changes; its end moves only by a
// decision (`../requests/extensions.ts`) or its first use (`grant_uses.ts`).
import assert from "node:assert/strict"
import type { ListedGrant } from "../../api/listed.ts"
import type { GrantsAnswer, GrantView } from "../../api/schema.ts"
import type { Clock, Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { type GrantId, newGrantId, type RequestId } from "../../core/ids.ts"
import { closeExtensions } from "../requests/extensions.ts"
import { closeHolds } from "../requests/holds.ts"
import { type Actor, byPerson, type Caller, note } from "../journal.ts"
import { withMayEnd } from "./may_end.ts"
import { type Page, type Paged, pageOf } from "../page.ts"
import { mayEnd, maySee, type Person, seenBy, type Subjected } from "../policy.ts"
import type { Change, EventKind, RequestRecord, Seen, Store } from "../store.ts"

/**
 * The end is absolute from here on: the later start that was asked for, or this moment, and the duration. One that waits for its
 * first use has the deadline for it as its end.
 */
export async function makeGrant(
  change: Change,
  request: RequestRecord,
  { actor, now }: { readonly actor: Actor; readonly now: Millis },
): Promise<GrantView> {
  const starts_at = request.starts_at ?? now
  const { subject, target, as, rule, actions, uses, first_use_within_ms, duration_ms } = request
  const ends_at = first_use_within_ms === null ? starts_at + duration_ms : Math.max(now, starts_at) + first_use_within_ms
  assert(now < ends_at, "a request lapses when the time it asks for is over")
  const grant: GrantView = {
    id: newGrantId(),
    request: request.id,
    subject,
    target,
    as: as === null ? null : [...as],
    starts_at,
    ends_at,
    status: "active",
    revision: await change.nextSequence(),
    first_use_ms: first_use_within_ms === null ? null : duration_ms,
    actions: actions === null ? null : [...actions],
    uses_max: uses,
    uses_left: uses,
    ended_by: null,
    ended_reason: null,
    ended_at: null,
  }
  await note(change, { at: now, kind: "grant.made", actor, rule, request: request.id, grant: grant.id, detail: grant })
  await change.addGrant(grant)
  return grant
}

/** Whether there is something to end. A spent one may still be at work on its last use. */
export const isOpen = ({ status, ends_at }: GrantView, now: Millis): boolean => (status === "active" || status === "spent") && now < ends_at

export interface GrantEnd {
  readonly status: "revoked" | "dropped"
  readonly actor: Actor
  readonly reason: string
  readonly now: Millis
}

/** Ends an open grant, and with it what would extend it. */
export async function endGrant(change: Change, grant: GrantView, { status, actor, reason, now }: GrantEnd): Promise<GrantView> {
  const ended: GrantView = {
    ...grant,
    status,
    revision: await change.nextSequence(),
    ended_by: actor.by,
    ended_reason: reason,
    ended_at: now,
  }
  const kind: EventKind = `grant.${status}`
  await note(change, { at: now, kind, actor, reason, request: grant.request, grant: grant.id, detail: ended })
  await change.changeGrant(ended)
  await closeExtensions(change, grant.id, { actor, now })
  await closeHolds(change, { grant: grant.id }, { actor, now })
  return ended
}

export class Grants {
  readonly #store: Store
  readonly #clock: Clock

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#store = store
    this.#clock = clock
  }

  /** Ends somebody's grant now. Throws `over`, `forbidden`, `not_found`. */
  revoke(caller: Caller, id: GrantId, reason: string): Promise<GrantView> {
    return this.#end(caller, id, { status: "revoked", reason, may: (about) => mayEnd(caller.person, about) })
  }

  /** Ends one's own grant now. Throws `over`, `forbidden`, `not_found`. */
  drop(caller: Caller, id: GrantId): Promise<GrantView> {
    return this.#end(caller, id, { status: "dropped", reason: "", may: ({ subject }) => subject === caller.person.name })
  }

  /** By the number of the request that made them, the newest first. */
  async list(person: Person, { all, ...paged }: Paged<RequestId> & { readonly all: boolean }): Promise<Page<ListedGrant, RequestId>> {
    const now = this.#clock.now()
    const live_at = all ? undefined : now
    const read = (seen: Seen, limit: number, before = paged.before): Promise<readonly GrantView[]> =>
      this.#store.grants({ live_at, before, seen, limit })
    const { items, next } = await pageOf(
      paged,
      (limit, before) => read(seenBy(person), limit, before),
      ({ request }) => request,
    )
    return { items: await withMayEnd({ items, person, isOpen: (grant) => isOpen(grant, now) }, read), next }
  }

  /** For a gateway: what a subject holds on a target, and the sequence as of which that is so. */
  async lookup(subject: string, target: string): Promise<GrantsAnswer> {
    const { sequence, grants } = await this.#store.lookup({ subject, target, now: this.#clock.now() })
    return { sequence, grants: [...grants] }
  }

  #end(
    caller: Caller,
    id: GrantId,
    { status, reason, may }: { status: "revoked" | "dropped"; reason: string; may(about: Subjected): boolean },
  ): Promise<GrantView> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      const grant = await change.grant(id)
      const request = grant && (await change.request(grant.request))
      if (!grant || !request || !maySee(caller.person, request)) throw new GatewayError("not_found")
      if (!may(request)) throw new GatewayError("forbidden")
      if (!isOpen(grant, now)) throw new GatewayError("over")
      return endGrant(change, grant, { status, actor: byPerson(caller), reason, now })
    })
  }
}
