// How many people of which groups must approve, in which order, and whether they have. One person counts once, however many groups
// they are in. Pure.
import type { Millis } from "../core/clock.ts"

export interface Step {
  /** Groups and people. */
  readonly by: readonly string[]
  /** Distinct people. */
  readonly count: number
}

export interface ApprovalPlan {
  /** "sequence": a step waits for those before it. */
  readonly order: "any" | "sequence"
  readonly steps: readonly Step[]
}

/** From `at` on, these may decide for any step as well. */
export interface Escalation {
  readonly at: Millis
  readonly to: readonly string[]
}

/** One person's approval, with the steps it may count for. */
export interface Approval {
  readonly by: string
  readonly steps: readonly number[]
}

export const total = ({ steps }: ApprovalPlan): number => steps.reduce((sum, { count }) => sum + count, 0)

/** Everybody whom some step names, each once. */
export const namedIn = ({ steps }: ApprovalPlan): string[] => [...new Set(steps.flatMap(({ by }) => by))]

/**
 * Who approved for which step. Of the ways to count somebody for one of several steps the one is taken that fills most: two people
 * of which one is in both groups fill a place in each.
 */
export function filled({ steps }: ApprovalPlan, approvals: readonly Approval[]): readonly (readonly string[])[] {
  const places: string[][] = steps.map(() => [])
  const of = new Map(approvals.map((approval) => [approval.by, approval]))
  // Augmenting paths (Kuhn): a place that is taken is freed when its holder finds one in another step.
  const seat = (who: string, tried: Set<number>): boolean => {
    for (const step of of.get(who)?.steps ?? []) {
      const [rule, held] = [steps[step], places[step]]
      if (!rule || !held || tried.has(step)) continue
      tried.add(step)
      if (held.length < rule.count) return held.push(who) > 0
      const mover = held.findIndex((holder) => seat(holder, tried))
      if (mover < 0) continue
      held[mover] = who
      return true
    }
    return false
  }
  for (const who of of.keys()) seat(who, new Set())
  return places
}

export function isFulfilled(plan: ApprovalPlan, approvals: readonly Approval[]): boolean {
  const places = filled(plan, approvals)
  return plan.steps.every(({ count }, step) => (places[step]?.length ?? 0) >= count)
}

/** The steps that wait for somebody now. */
export function openSteps(plan: ApprovalPlan, approvals: readonly Approval[]): number[] {
  const places = filled(plan, approvals)
  const open = plan.steps.flatMap(({ count }, step) => ((places[step]?.length ?? 0) < count ? [step] : []))
  return plan.order === "sequence" ? open.slice(0, 1) : open
}

/** The steps for which an approval by somebody who goes by `names` would count now; none: they have no say. */
export function stepsFor(
  { plan, escalated, names }: { readonly plan: ApprovalPlan; readonly escalated: readonly string[]; readonly names: readonly string[] },
  approvals: readonly Approval[],
): number[] {
  const anyStep = escalated.some((name) => names.includes(name))
  const all = plan.steps.map((_, step) => step)
  const next = openSteps(plan, approvals)
  // Steps that are full count as well, unless they come one after the other: who sits there may be needed elsewhere. When all are
  // full, it is a rule that has become stricter which still waits.
  return (plan.order === "sequence" && next.length > 0 ? next : all).filter(
    (step) => anyStep || plan.steps[step]?.by.some((name) => names.includes(name)),
  )
}
