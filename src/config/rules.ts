// The section `policy`: who may ask for what, for how long, and who decides. A rule that could never do what it says is a fault
// of the file, and told before somebody waits for an approval that nobody can give.
import { type ActionScope, parseScope } from "../core/action_scope.ts"
import { formatDuration, parseDuration } from "../core/duration.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import type { ProtocolName, Target } from "../core/target.ts"
import { readActionRules } from "./action_rules.ts"
import type { AccessRule, Policy } from "./config.ts"
import { readApprove } from "./rule_approvals.ts"
import { readConditions } from "./rule_conditions.ts"
import type { Reading } from "./reading.ts"
import { type Context, each, type Known, people } from "./rule_people.ts"
import { matched, readAccounts, readTargets } from "./rule_targets.ts"
import { part } from "./schema.ts"
import type { RuleFile } from "./schema.ts"
import type { Path } from "./source.ts"

export function readPolicy(reading: Reading, known: Known): Policy {
  const context = { ...known, reading }
  const frame = reading.section(part.policy, ["policy"])
  const list: Path = ["policy", "access"]
  const access = Array.from({ length: reading.countAt(list) }, (_, index) => readRule(context, [...list, index]))
  const rules = access.filter((rule) => rule !== undefined)
  const actions = readActionRules(context, rules)
  const named = (key: "admins" | "auditors"): string[] => (frame?.[key] === undefined ? [] : people(context, ["policy", key], frame[key]))
  return { access: rules, actions, admins: named("admins"), auditors: named("auditors") }
}

function readRule(context: Context, path: Path): AccessRule | undefined {
  const { reading } = context
  const file = reading.section(part.rule, path)
  if (!file) return undefined
  const who = people(context, [...path, "who"], file.who)
  const targets = readTargets(context, [...path, "targets"], file.targets)
  const as =
    file.as === undefined ? undefined : readAccounts(context, [...path, "as"], { written: file.as, targets: matched(targets, context) })
  return {
    who,
    targets,
    as,
    max_ms: readMax(reading, [...path, "max"], file.max),
    approve: readApprove(context, { path: [...path, "approve"], file, who }),
    reason_required: file.reason === "required",
    ...readConditions(context, path, file),
    actions: readActions(context, { path, file, targets: matched(targets, context) }),
    first_use_ms_max: readFirstUse(reading, [...path, "first_use"], file),
  }
}

function readMax(reading: Reading, path: Path, written: string): number {
  const max_ms = parseDuration(written)
  if (max_ms === undefined) reading.problem(path, "expected a duration, such as 15m, 4h, 1h30m or 2d")
  else if (max_ms < limits.grant_ms_min) reading.problem(path, `at least ${formatDuration(limits.grant_ms_min)}`)
  else if (max_ms > limits.grant_ms_max) reading.problem(path, `at most ${formatDuration(limits.grant_ms_max)}`)
  return max_ms ?? 0
}

interface Acting {
  readonly path: Path
  readonly file: RuleFile
  /** Those that the rule is about. */
  readonly targets: readonly Target[]
}

/** Their words depend on the kind of target, so a rule that has them is about one kind. */
function readActions({ reading }: Context, { path, file, targets }: Acting): ActionScope | null {
  const { actions, methods } = file
  if (actions === undefined && methods === undefined) return null
  const key = actions === undefined ? "methods" : "actions"
  const [protocol, ...others] = new Set(targets.map((target) => target.protocol))
  if (actions !== undefined && methods !== undefined) reading.problem([...path, "methods"], "write either actions or methods")
  else if (others.length > 0) reading.problem([...path, key], "the rule is about several kinds of targets: write one for each kind")
  else if (methods !== undefined && protocol !== undefined && protocol !== "http")
    reading.problem([...path, key], "only HTTP targets have methods")
  if (protocol === undefined || others.length > 0) return [] // of a target that could not be read, or of none: nothing is covered
  const scope: string[] = []
  each([...path, key], actions ?? methods ?? [], (at, written) => {
    scope.push(...readScope(reading, at, { protocol, written: key === "methods" ? `${written} /*` : written }))
  })
  return [...new Set(scope)].sort()
}

function readScope(
  reading: Reading,
  path: Path,
  { protocol, written }: { readonly protocol: ProtocolName; readonly written: string },
): ActionScope {
  try {
    return parseScope(protocol, [written])
  } catch (failure) {
    reading.problem(path, GatewayError.from(failure, "internal").message)
    return []
  }
}

/** With a schedule none waits unless told so: it would begin at an hour that the rule is not there for. */
function readFirstUse(reading: Reading, path: Path, { first_use, schedule }: RuleFile): number {
  const written = first_use ?? (schedule === undefined ? "24h" : "deny")
  if (written === "deny") return 0
  const wait_ms = parseDuration(written)
  if (wait_ms === undefined) reading.problem(path, "expected deny, or a duration, such as 8h")
  else if (wait_ms > limits.first_use_within_ms_max) reading.problem(path, `at most ${formatDuration(limits.first_use_within_ms_max)}`)
  return wait_ms ?? 0
}
