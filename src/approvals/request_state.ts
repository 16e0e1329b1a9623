// What a request is at a given time, read from its record. Pure.
import type { RequestView } from "../api/schema.ts"
import type { Config } from "../config/config.ts"
import type { Millis } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import type { Target } from "../core/target.ts"
import { checkActions, checkAsked, checkFirstUse, isOneOf, mayDecide, type Person, type Ruling, rulingFor } from "./policy.ts"
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
    grant: record.grant,
    may_decide: status === "pending" && mayDecide(person, record),
  }
}

/** How many distinct people have approved. A rule's own decision is nobody's. */
export function approvals({ decisions }: RequestRecord): number {
  return new Set(decisions.filter(({ actor, verdict }) => actor === "person" && verdict === "approve").map(({ by }) => by)).size
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
}

/**
 * A request waits under the rules as they were; the rules as they are must still allow it and still let `decider` approve.
 * Answers how many they want. Throws `over` when nobody could ask for it any more, `forbidden` when it is only `decider` who lost the right.
 */
export function stillRuledBy(
  { policy, targets, asker }: RulesNow,
  request: RequestRecord,
  decider: Person,
): { readonly approvals_needed: number } {
  const target = targets.find(({ name }) => name === request.target)
  const ruling = asker && target && rulingFor(policy, asker, target)
  if (!target || !ruling) throw new GatewayError("over")
  const { as, actions } = coveredBy(ruling, target, request)
  // It was asked for all, and the rule now gives only some: what was asked for can no longer be given.
  if ((as !== null && request.as === null) || (actions !== null && request.actions === null)) throw new GatewayError("over")
  const { approve } = ruling.rule
  if (approve === "auto") return { approvals_needed: 0 }
  if (!isOneOf(decider, approve.by)) throw new GatewayError("forbidden")
  return { approvals_needed: approve.count }
}

function coveredBy(ruling: Ruling, target: Target, request: RequestRecord): Pick<RequestRecord, "as" | "actions"> {
  const { as, duration_ms, reason, first_use_within_ms } = request
  try {
    checkFirstUse(ruling, first_use_within_ms)
    return {
      as: checkAsked(ruling, target, { as: as ?? undefined, duration_ms, reason }),
      actions: checkActions(ruling, target, request.actions),
    }
  } catch (failure) {
    throw new GatewayError("over", {}, failure)
  }
}
