// `approve` of an access rule: who decides. An approval that nobody could ever give is a fault of the file.
import type { ApprovalPlan, Step } from "../core/approval_plan.ts"
import { limits } from "../core/limits.ts"
import type { AccessRule, Approve, BreakGlass } from "./config.ts"
import { namedBy } from "./people.ts"
import { readFreshLogin, readWait } from "./rule_conditions.ts"
import { type Context, people } from "./rule_people.ts"
import type { RuleFile } from "./schema.ts"
import type { Path } from "./source.ts"

type ApproveFile = Exclude<RuleFile["approve"], "auto">

interface Approving {
  readonly path: Path
  readonly file: RuleFile
  readonly who: readonly string[]
}

export function readApprove(context: Context, { path, file, who }: Approving): AccessRule["approve"] {
  const written = file.approve
  if (written === "auto") return "auto"
  const { reading } = context
  if (written.break_glass) return readBreakGlass(context, { path, written, file, who })
  const plan = readPlan(context, path, written)
  checkPossible(context, { path, plan, who })
  const approve: Approve = { plan }
  const { escalate, login } = written
  return {
    ...approve,
    ...(escalate && {
      escalate: {
        after_ms: readWait(reading, [...path, "escalate", "after"], { written: escalate.after, ms_max: limits.pending_ms_max }),
        to: people(context, [...path, "escalate", "to"], escalate.to),
      },
    }),
    ...(login && { login: readFreshLogin(reading, [...path, "login"], login) }),
  }
}

function readBreakGlass(context: Context, { path, written, file, who }: Approving & { readonly written: ApproveFile }): BreakGlass {
  const { reading } = context
  const { break_glass, ...others } = written
  for (const [key, value] of Object.entries(others))
    if (value !== undefined) reading.problem([...path, key], "nobody approves a break-glass: it is reviewed")
  if (file.reason !== "required") reading.problem(path, "a break-glass needs a reason: write reason: required")
  const review = people(context, [...path, "break_glass", "review"], break_glass?.review ?? [])
  checkPossible(context, { path, plan: { order: "any", steps: [{ by: review, count: 1 }] }, who })
  return {
    review,
    within_ms: readWait(reading, [...path, "break_glass", "within"], { written: break_glass?.within ?? "", ms_max: limits.review_ms_max }),
  }
}

function readPlan(context: Context, path: Path, { by, count, steps, order }: ApproveFile): ApprovalPlan {
  const { reading } = context
  if (steps === undefined) {
    if (by === undefined) reading.problem(path, "write by, steps or break_glass: somebody has to approve")
    if (order !== undefined) reading.problem([...path, "order"], "only steps have an order")
    return { order: "sequence", steps: [{ by: by === undefined ? [] : people(context, [...path, "by"], by), count: count ?? 1 }] }
  }
  for (const key of ["by", "count"] as const)
    if ((key === "by" ? by : count) !== undefined) reading.problem([...path, key], "write it in the steps")
  return {
    order: order ?? "sequence",
    steps: steps.map((step, index): Step => ({ by: people(context, [...path, "steps", index, "by"], step.by), count: step.count })),
  }
}

/** That the approvals can be had, as far as the file knows who is in a group: with a company login only the login does. */
export function checkPossible(
  { reading, users, company }: Context,
  { path, plan, who }: { readonly path: Path; readonly plan: ApprovalPlan; readonly who: readonly string[] },
): void {
  if (company) return
  const asking = namedBy(who, users)
  const approvers = plan.steps.map(({ by }) => namedBy(by, users))
  if (approvers.some((some) => some.length === 0)) return // a name that is not there was told already
  const enough = (without?: unknown): boolean =>
    plan.steps.every(({ count }, step) => others(approvers[step] ?? [], without).length >= count)
  const distinct = (without?: unknown): boolean =>
    others([...new Set(approvers.flat())], without).length >= plan.steps.reduce((sum, { count }) => sum + count, 0)
  const short = plan.steps.find(({ count }, step) => (approvers[step]?.length ?? 0) < count)
  if (short)
    reading.problem([...path, "count"], `${short.count} approvals can never be had: ${some(namedBy(short.by, users).length)} could approve`)
  else if (!distinct()) reading.problem(path, "one person counts once: there are too few people for all the steps")
  else if (asking.length > 0 && asking.every((user) => !enough(user) || !distinct(user))) {
    const one = plan.steps.every(({ count }) => count === 1)
    reading.problem(path, `nobody approves their own request, so for those who may ask, ${one ? "nobody" : "too few"} could approve`)
  }
}

const others = <T>(all: readonly T[], without: unknown): T[] => all.filter((one) => one !== without)

const some = (count: number): string => (count === 1 ? "only one person" : `only ${count} people`)
