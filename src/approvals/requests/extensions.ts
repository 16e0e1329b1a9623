// A later end for a grant that stands: asked for and decided as a new one would be, and then the same grant with a new revision, so
// that what is open under it goes on. It covers what it covered, and can neither become shorter nor come back.
import assert from "node:assert/strict"
import type { GrantView } from "../../api/schema.ts"
import type { Millis } from "../../core/clock.ts"
import { formatDuration } from "../../core/duration.ts"
import { GatewayError } from "../../core/errors.ts"
import type { GrantId } from "../../core/ids.ts"
import { type Actor, note } from "../journal.ts"
import type { Change, RequestRecord } from "../store.ts"

/** An extension as it is asked for: the one who asks says how much later, and the end is a time from here on. */
export interface Extension {
  readonly grant: GrantView
  readonly ends_at: Millis
}

/** Throws `grant_over`, `invalid` for one that waits for its first use. */
export function extensionOf(grant: GrantView, duration_ms: number, now: Millis): Extension {
  checkStands(grant, now)
  if (grant.first_use_ms !== null)
    throw new GatewayError("invalid", {
      what: `the grant has not begun: it lasts ${formatDuration(grant.first_use_ms)} from its first use`,
    })
  return { grant, ends_at: grant.ends_at + duration_ms }
}

/**
 * What is left, from now or from its later start, is no more than the rule gives at once: extending again and again needs the
 * rule's approval again and again, and never piles up more than one request could have. Throws `too_long`.
 */
export function checkReach({ grant, ends_at }: Extension, max_ms: number, now: Millis): void {
  const last = Math.max(now, grant.starts_at) + max_ms
  if (ends_at <= last) return
  const room_ms = last - grant.ends_at
  const rest = room_ms > 0 ? `by at most ${formatDuration(room_ms)}` : "later"
  throw new GatewayError("too_long", { what: `this target is given for at most ${formatDuration(max_ms)} from now: extend it ${rest}` })
}

/** Throws `grant_over`: whatever was approved, a grant that has ended gets no later end. */
export function checkStands(grant: GrantView | null, now: Millis): asserts grant is GrantView {
  if (grant?.status !== "active" || now >= grant.ends_at) throw new GatewayError("grant_over")
}

/** The approved request's grant, with the end that was asked for. */
export async function extendGrant(
  change: Change,
  { id, grant, extends_to, rule, reason }: RequestRecord,
  { actor, now }: { readonly actor: Actor; readonly now: Millis },
): Promise<GrantView> {
  checkStands(grant, now)
  assert(extends_to !== null && extends_to > grant.ends_at, "one extension of a grant is asked for at a time")
  const extended: GrantView = { ...grant, ends_at: extends_to, revision: await change.nextSequence() }
  await note(change, { at: now, kind: "grant.extended", actor, reason, rule, request: id, grant: grant.id, detail: extended })
  await change.changeGrant(extended)
  return extended
}

/** With its grant, what would extend it ends: nobody is asked to decide about nothing. */
export async function closeExtensions(
  change: Change,
  grant: GrantId,
  { actor, now }: { readonly actor: Actor; readonly now: Millis },
): Promise<void> {
  for (const request of await change.pendingExtensions(grant)) {
    await change.setRequestState(request, "withdrawn")
    const reason = "the grant it would extend has ended"
    await note(change, { at: now, kind: "request.withdrawn", actor, reason, request, grant, detail: { state: "withdrawn" } })
  }
}
