// What a request is at a given time, read from its record. Pure.
import type { RequestView } from "../api/schema.ts"
import type { Config, FreshLogin } from "../config/config.ts"
import { type Approval, filled, namedIn, stepsFor, total } from "../core/approval_plan.ts"
import type { Millis } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import type { Target } from "../core/target.ts"
import { checkReach } from "./extensions.ts"
import { checkActions, checkAsked, checkFirstUse, givesAtOnce, isOneOf, mayDecide, type Person, type Ruling, rulingFor } from "./policy.ts"
import type { NewRequestRecord, RequestRecord } from "./store.ts"

/** As `person` sees it at `now`. */
export function viewOf(record: RequestRecord, person: Person, now: Millis): RequestView {
  const status = record.state === "pending" && now >= record.lapses_at ? "lapsed" : record.state
  return {
    id: record.id,
    subject: record.subject,
    groups: [...record.groups],
    target: record.target,
    as: record.as === null ? null : [...record.as],
    duration_ms: record.duration_ms,
    starts_at: record.starts_at,
    reason: record.reason,
    created_at: record.created_at,
    status,
    rule: record.rule,
    approvals_needed: record.approvals_needed,
    actions: record.actions === null ? null : [...record.actions],
    uses: record.uses,
    first_use_within_ms: record.first_use_within_ms,
    extends_grant: record.extends_grant,
    extends_to: record.extends_to,
    decisions: record.decisions.map(({ by, verdict, reason, at }) => ({ by, verdict, reason, at })),
    steps: stepsOf(record),
    order: record.plan.order,
    escalates: record.escalation && !record.escalated ? { at: record.escalation.at, to: [...record.escalation.to] } : null,
    break_glass: record.review && { review_by: [...record.review.by], due_at: record.review.due_at, reviewed: record.reviewed },
    grant: record.grant,
    may_decide: status === "pending" && mayDecide(person, record) && countsFor(record, person).length > 0,
    may_review: record.reviewed === null && mayReview(person, record),
  }
}

/** The people who have approved, each once. A rule's own decision is nobody's. */
export function approvals({ decisions }: Pick<RequestRecord, "decisions">): Approval[] {
  const given = decisions.filter(({ actor, verdict }) => actor === "person" && verdict === "approve")
  return [...new Map(given.map(({ by, steps }) => [by, { by, steps }])).values()]
}

/** The steps of the request's plan for which this person's approval would count now. */
export function countsFor(record: RequestRecord, { name, groups }: Pick<Person, "name" | "groups">): number[] {
  const escalated = record.escalated ? (record.escalation?.to ?? []) : []
  return stepsFor({ plan: record.plan, escalated, names: [name, ...groups] }, approvals(record))
}

function stepsOf(record: RequestRecord): RequestView["steps"] {
  const places = filled(record.plan, approvals(record))
  return record.plan.steps.map(({ by, count }, step) => ({ by: [...by], count, approved_by: [...(places[step] ?? [])] }))
}

/** Nobody reviews what they did themselves. */
export function mayReview(person: Person, { subject, review }: Pick<RequestRecord, "subject" | "review">): boolean {
  return !person.workload && person.name !== subject && review !== null && isOneOf(person, review.by)
}

/**
 * Whether asking again would only repeat `last`, which asks the same question: it is still pending, or a rule
 * answered exactly this a moment ago (a client that retries) and its grant stands.
 */
export function sameQuestion(
  last: RequestRecord,
  asked: Pick<NewRequestRecord, "duration_ms" | "starts_at" | "uses" | "first_use_within_ms">,
  now: Millis,
): boolean {
  if (last.state === "pending") return now < last.lapses_at
  return (
    last.approvals_needed === 0 &&
    now - last.created_at <= limits.same_question_ms &&
    last.duration_ms === asked.duration_ms &&
    last.starts_at === asked.starts_at &&
    last.uses === asked.uses &&
    last.first_use_within_ms === asked.first_use_within_ms &&
    last.grant?.status === "active" &&
    now < last.grant.ends_at
  )
}

/** The rules as they are, and the one who asks as they are: undefined when they are not there any more. */
export interface RulesNow extends Pick<Config, "policy" | "targets"> {
  readonly asker: Pick<Person, "name" | "groups"> | undefined
  readonly now: Millis
}

export interface StillRuled {
  readonly approvals_needed: number
  /** The login that an approval needs. */
  readonly login: FreshLogin | undefined
}

/**
 * A request waits under the rules as they were; the rules as they are must still allow it and still let `decider` approve.
 * Answers how many they want. Throws `over` when nobody could ask for it any more, `forbidden` when it is only `decider` who lost the right.
 */
export function stillRuledBy({ policy, targets, asker, now }: RulesNow, request: RequestRecord, decider: Person): StillRuled {
  const target = targets.find(({ name }) => name === request.target)
  const ruling = asker && target && rulingFor(policy, asker, { target, now, starts_at: request.starts_at, asked: request })
  if (!target || !ruling) throw new GatewayError("over")
  const { as, actions } = coveredBy(ruling, target, { request, now })
  // It was asked for all, and the rule now gives only some: what was asked for can no longer be given.
  if ((as !== null && request.as === null) || (actions !== null && request.actions === null)) throw new GatewayError("over")
  const { approve } = ruling.rule
  if (givesAtOnce(approve)) return { approvals_needed: 0, login: undefined }
  const later = request.escalated ? (approve.escalate?.to ?? []) : []
  if (!isOneOf(decider, [...namedIn(approve.plan), ...later])) throw new GatewayError("forbidden")
  return { approvals_needed: total(approve.plan), login: approve.login }
}

function coveredBy(
  ruling: Ruling,
  target: Target,
  { request, now }: { readonly request: RequestRecord; readonly now: Millis },
): Pick<RequestRecord, "as" | "actions"> {
  const { as, duration_ms, reason, first_use_within_ms, grant, extends_to } = request
  try {
    if (grant && extends_to !== null) checkReach({ grant, ends_at: extends_to }, ruling.rule.max_ms, now)
    checkFirstUse(ruling, first_use_within_ms)
    return {
      as: checkAsked(ruling, target, { as: as ?? undefined, duration_ms, reason }),
      actions: checkActions(ruling, target, request.actions),
    }
  } catch (failure) {
    throw new GatewayError("over", {}, failure)
  }
}
