// Filing a request: what may be filed, how much of it, and the record it becomes.
import type { z } from "zod"
import type { newRequest } from "../../api/schema.ts"
import type { Approve } from "../../config/config.ts"
import { namedIn, total } from "../../core/approval_plan.ts"
import type { Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { RequestId, WaiterId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import { utc } from "../../core/utc.ts"
import type { ActionScope } from "../../core/action_scope.ts"
import type { Extension } from "./extensions.ts"
import { type Actor, note } from "../journal.ts"
import { givesAtOnce, isBreakGlass, type Person, type Ruling } from "../policy.ts"
import type { Change, NewRequestRecord } from "../store.ts"

export type Asked = z.output<typeof newRequest>

/** Not in the past by more than clocks differ, not beyond the bound, and not over before it was asked for. */
export function checkStart({ starts_at, duration_ms }: Asked, now: Millis): void {
  if (starts_at === undefined) return
  const late = starts_at < now - limits.start_behind_ms_max || starts_at + duration_ms <= now
  if (late) throw new GatewayError("invalid", { what: "the start is in the past" })
  if (starts_at > now + limits.start_ahead_ms_max) throw new GatewayError("invalid", { what: "the start is too far ahead" })
}

/** What one person can pile up, waiting for people or given by rules. */
export async function checkBounds(
  change: Change,
  at: { readonly subject: string; readonly ruling: Ruling; readonly now: Millis },
): Promise<void> {
  const { subject, ruling, now } = at
  if (givesAtOnce(ruling.rule.approve)) {
    await checkPerDay(change, at)
    if ((await change.liveGrantCount(subject, now)) >= limits.live_grants_per_subject_max)
      throw new GatewayError("too_many", { what: "you have too many grants: drop some, or wait until they end" })
  } else if ((await change.pendingCount(subject, now)) >= limits.pending_requests_per_subject_max)
    throw new GatewayError("too_many", { what: "too many of your requests are pending: withdraw some, or wait for a decision" })
}

async function checkPerDay(
  change: Change,
  { subject, ruling: { rule, name }, now }: { readonly subject: string; readonly ruling: Ruling; readonly now: Millis },
): Promise<void> {
  const { per_day } = rule
  if (per_day === undefined) return
  const given = await change.timesGiven(name, subject, { since: now - day_ms, limit: per_day })
  const oldest = given[per_day - 1]
  if (oldest === undefined) return
  const times = per_day === 1 ? "once" : `${per_day} times`
  throw new GatewayError("too_many", { what: `this is given by itself ${times} in 24 hours; the next time is at ${utc(oldest + day_ms)}` })
}

const day_ms = 24 * 60 * 60 * 1_000

export interface Filing {
  readonly person: Person
  readonly asked: Asked
  readonly as: readonly string[] | null
  readonly actions: ActionScope | null
  /** What it extends, where it is not for a new grant. */
  readonly extension?: Extension
  readonly ruling: Ruling
  readonly now: Millis
}

export function newRecord({ person, asked, as, actions, extension, ruling, now }: Filing): NewRequestRecord {
  const { approve, pending_ms } = ruling.rule
  const starts_at = asked.starts_at ?? null
  const first_use_within_ms = asked.first_use_within_ms ?? null
  const over_at = starts_at === null ? Infinity : starts_at + (first_use_within_ms ?? asked.duration_ms)
  return {
    subject: person.name,
    groups: person.groups,
    target: asked.target,
    as,
    duration_ms: asked.duration_ms,
    starts_at,
    reason: asked.reason,
    created_at: now,
    lapses_at: Math.min(now + pending_ms, over_at, extension?.grant.ends_at ?? Infinity),
    state: "pending",
    rule: ruling.name,
    ...decidedBy(approve, now),
    actions,
    uses: asked.uses ?? null,
    first_use_within_ms,
    extends_grant: extension?.grant.id ?? null,
    extends_to: extension?.ends_at ?? null,
    hold: null,
  }
}

function decidedBy(
  approve: Approve,
  now: Millis,
): Pick<NewRequestRecord, "approve_by" | "approvals_needed" | "plan" | "escalation" | "review"> {
  const by_itself = { approvals_needed: 0, plan: { order: "any", steps: [] }, escalation: null } as const
  if (approve === "auto") return { ...by_itself, approve_by: [], review: null }
  // Who reviews it sees it, and may end what it gave.
  if (isBreakGlass(approve))
    return { ...by_itself, approve_by: approve.review, review: { by: approve.review, due_at: now + approve.within_ms } }
  const { plan, escalate } = approve
  return {
    approve_by: namedIn(plan),
    approvals_needed: total(plan),
    plan,
    escalation: escalate ? { at: now + escalate.after_ms, to: escalate.to } : null,
    review: null,
  }
}

/** Asked from within a tool, by somebody whom a gateway has identified, and who waits there. */
export interface Here {
  readonly gateway: string
  readonly protocol: string
  readonly waiter: WaiterId
  readonly until: Millis
}

/** Puts it on file, with its event. Answers its number. */
export async function file(
  change: Change,
  record: NewRequestRecord,
  { actor, here }: { readonly actor: Actor; readonly here: Here | undefined },
): Promise<RequestId> {
  const id = await change.addRequest(record)
  const { created_at: at, reason, rule } = record
  const detail = here ? { ...record, asked_in: { gateway: here.gateway, protocol: here.protocol } } : record
  await note(change, { at, kind: "request.asked", actor, reason, rule, request: id, detail })
  return id
}
