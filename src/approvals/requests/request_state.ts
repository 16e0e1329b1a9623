// What a request is at a given time, read from its record. Pure.
import type { RequestView } from "../../api/schema.ts"
import type { Config, FreshLogin, Policy } from "../../config/config.ts"
import { type Approval, type ApprovalPlan, filled, isFulfilled, namedIn, stepsFor } from "../../core/approval_plan.ts"
import type { Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import { scheduleWords } from "../../core/schedule.ts"
import type { Target } from "../../core/target.ts"
import { checkReach } from "./extensions.ts"
import {
  checkActions,
  checkAsked,
  type Circumstances,
  checkFirstUse,
  givesAtOnce,
  isOneOf,
  mayDecide,
  type Person,
  type Ruling,
  rulingFor,
} from "../policy.ts"
import type { NewRequestRecord, RequestRecord } from "../store.ts"

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
    action: actionOf(record),
    run_at: record.redeemed_at,
    estimate: record.hold?.estimate?.answer ?? null,
    may_decide: status === "pending" && mayDecide(person, record) && countsFor(record, person).length > 0,
    may_review: record.reviewed === null && mayReview(person, record),
  }
}

function actionOf({ hold }: RequestRecord): RequestView["action"] {
  if (hold === null) return null
  const { bound: _bound, rule_digest: _rule, estimate: _estimate, ...action } = hold
  return action
}

/** For a list: of a held action only its beginning. */
export function shortened(view: RequestView): RequestView {
  const { action } = view
  if (action === null) return view
  const { text } = action
  const cut = text.length > limits.hold_list_chars_max ? `${text.slice(0, limits.hold_list_chars_max)}…` : text
  return { ...view, action: { ...action, text: cut, values: [], recent: [] } }
}

/** The people who have approved, each once. A rule's own decision is nobody's. */
export function approvals({ decisions }: Pick<RequestRecord, "decisions">): Approval[] {
  const given = decisions.filter(({ actor, verdict }) => actor === "person" && verdict === "approve")
  return [...new Map(given.map(({ by, steps }) => [by, { by, steps }])).values()]
}

/** The steps of the request's plan for which this person's approval would count beside those of `given`. */
export function countsFor(
  record: RequestRecord,
  { name, groups }: Pick<Person, "name" | "groups">,
  given: readonly Approval[] = approvals(record),
): number[] {
  const escalated = record.escalated ? (record.escalation?.to ?? []) : []
  return stepsFor({ plan: record.plan, escalated, names: [name, ...groups] }, given)
}

function stepsOf(record: RequestRecord): RequestView["steps"] {
  const places = filled(record.plan, approvals(record))
  return record.plan.steps.map(({ by, count }, step) => ({ by: [...by], count, approved_by: [...(places[step] ?? [])] }))
}

/** Nobody reviews what they did themselves. */
export function mayReview(person: Person, { subject, review }: Pick<RequestRecord, "subject" | "review">): boolean {
  return !person.workload && person.name !== subject && review !== null && isOneOf(person, review.by)
}

/** What two requests for the same thing may still differ in. */
export type Times = Pick<NewRequestRecord, "duration_ms" | "starts_at" | "uses" | "first_use_within_ms">

export const isAlike = (one: Times, other: Times): boolean =>
  one.duration_ms === other.duration_ms &&
  one.starts_at === other.starts_at &&
  one.uses === other.uses &&
  one.first_use_within_ms === other.first_use_within_ms

export const isPending = ({ state, lapses_at }: Pick<RequestRecord, "state" | "lapses_at">, now: Millis): boolean =>
  state === "pending" && now < lapses_at

/** Whether a rule answered exactly this a moment ago (a client that tries again), and what it gave stands. */
export function wasJustGiven(last: RequestRecord, asked: Times, now: Millis): boolean {
  const { approvals_needed, state, created_at, grant } = last
  if (state !== "approved" || approvals_needed > 0 || now - created_at > limits.same_question_ms) return false
  return isAlike(last, asked) && grant?.status === "active" && now < grant.ends_at
}

/** The rules as they are, and the one who asks as they are: undefined when they are not there any more. */
export interface RulesNow extends Pick<Config, "policy" | "targets"> {
  readonly asker: Pick<Person, "name" | "groups"> | undefined
  readonly now: Millis
}

/** What the rule as it is wants of approvals. */
export interface StillRuled {
  /** Undefined: it decides by itself now, and nothing is wanted beyond what was when it was asked. */
  readonly plan: ApprovalPlan | undefined
  /** Those who may decide for any step, by now. */
  readonly escalated: readonly string[]
  /** The login that an approval needs. */
  readonly login: FreshLogin | undefined
}

/**
 * A request waits under the rules as they were; the rules as they are must still allow it. Answers what they want. Throws `over` when
 * nobody could ask for it any more.
 */
export function stillRuled({ policy, targets, asker, now }: RulesNow, request: RequestRecord): StillRuled {
  const target = targets.find(({ name }) => name === request.target)
  const about = { target, now, starts_at: request.starts_at, asked: request }
  const ruling = asker && target && rulingFor(policy, asker, { ...about, target })
  if (!target || !ruling) throw (asker && target && outsideHours(policy, asker, { ...about, target })) ?? new GatewayError("over")
  const { as, actions } = coveredBy(ruling, target, { request, now })
  // It was asked for all, and the rule now gives only some: what was asked for can no longer be given.
  if ((as !== null && request.as === null) || (actions !== null && request.actions === null)) throw new GatewayError("over")
  const { approve } = ruling.rule
  if (givesAtOnce(approve)) return { plan: undefined, escalated: [], login: undefined }
  return { plan: approve.plan, escalated: request.escalated ? (approve.escalate?.to ?? []) : [], login: approve.login }
}

/** There is a rule for it, at other hours: which they are. */
function outsideHours(
  policy: Policy,
  asker: Pick<Person, "name" | "groups">,
  about: Circumstances & { readonly target: Target },
): GatewayError | undefined {
  const always = policy.access.map(({ schedule: _schedule, ...rule }) => rule)
  const index = rulingFor({ ...policy, access: always }, asker, about)?.index
  const schedule = index === undefined ? undefined : policy.access[index]?.schedule
  if (!schedule) return undefined
  return new GatewayError("not_now", { what: `the rule for this is in force at other hours: ${scheduleWords(schedule)}` })
}

/** The same of a held action: whom the rule as it is lets approve, where it still holds and names somebody. */
export function stillHeld({ actions }: Config["policy"], { rule: name, plan, hold }: RequestRecord): StillRuled {
  const holding = actions.filter(({ verdict }) => verdict === "hold")
  // The same rule may stand at another place by now.
  const rule = holding.find(({ digest }) => digest === hold?.rule_digest) ?? holding.find((one) => one.name === name)
  const now: ApprovalPlan | undefined = rule?.approve ? { order: "any", steps: [rule.approve] } : rule && plan
  return { plan: now, escalated: [], login: undefined }
}

/** Whether the rule as it is names this person among those who decide. */
export function isNamedNow({ plan, escalated }: StillRuled, person: Pick<Person, "name" | "groups">): boolean {
  return plan === undefined || isOneOf(person, [...namedIn(plan), ...escalated])
}

type Approver = Pick<Person, "name" | "groups" | "workload">

/**
 * The approvals that count now: of people who are there, whom the rule as it is still names, and who still are what they were when
 * they approved for their steps. `people`: whoever is there of those who approved.
 */
export function standingApprovals(ruled: StillRuled, request: RequestRecord, people: ReadonlyMap<string, Approver>): Approval[] {
  const escalated = request.escalated ? (request.escalation?.to ?? []) : []
  return approvals(request).flatMap(({ by, steps }) => {
    const person = people.get(by)
    if (!person || person.workload || !isNamedNow(ruled, person)) return []
    const still = steps.filter((step) => isOneOf(person, [...(request.plan.steps[step]?.by ?? []), ...escalated]))
    return still.length === 0 ? [] : [{ by, steps: still }]
  })
}

/** Whether these approvals are what was wanted when it was asked for, and what the rule as it is wants. */
export function isEnough(
  { plan, escalated }: StillRuled,
  request: RequestRecord,
  { given, people }: { readonly given: readonly Approval[]; readonly people: ReadonlyMap<string, Approver> },
): boolean {
  if (!isFulfilled(request.plan, given)) return false
  if (plan === undefined) return true
  const all = plan.steps.map((_, step) => step)
  const now = given.flatMap(({ by }) => {
    const person = people.get(by)
    return person ? [{ by, steps: all.filter((step) => isOneOf(person, [...(plan.steps[step]?.by ?? []), ...escalated])) }] : []
  })
  return isFulfilled(plan, now)
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
