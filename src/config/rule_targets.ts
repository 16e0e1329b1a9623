// Which targets a rule is about, and which of their accounts: what access rules and action rules have in common.
import { accountsOf, type Target } from "../core/target.ts"
import type { TargetMatch } from "../core/target_match.ts"
import type { Path } from "./source.ts"
import { type Context, each, type Known } from "./rule_people.ts"
import type { RuleFile } from "./schema.ts"

export function readTargets({ reading, names }: Context, path: Path, written: RuleFile["targets"]): TargetMatch {
  if (typeof written !== "string" && !Array.isArray(written)) {
    const labels = written as Readonly<Record<string, string>>
    if (Object.keys(labels).length === 0) reading.problem(path, "at least one label is needed")
    return { labels }
  }
  return {
    names: each(path, written, (at, name) => {
      if (!names.includes(name)) reading.unknown(at, "a target", names)
    }),
  }
}

/** The targets a rule is about; none when some target could not be read, because it might be that one. */
export function matched(match: TargetMatch, { targets, names }: Known): Target[] {
  if (targets.length !== names.length) return []
  if ("names" in match) return targets.filter(({ name }) => match.names.includes(name))
  return targets.filter(({ labels }) => Object.entries(match.labels).every(([key, value]) => labels[key] === value))
}

interface Accounts {
  readonly written: string | readonly string[]
  /** Those that the rule is about. */
  readonly targets: readonly Target[]
}

/** Accounts that at least one of the rule's targets offers; any, when there is no such target. */
export function readAccounts({ reading }: Context, path: Path, { written, targets }: Accounts): string[] {
  const offered = [...new Set(targets.flatMap(accountsOf))]
  return each(path, written, (at, account) => {
    if (targets.length > 0 && !offered.includes(account)) reading.unknown(at, "a login or role of the rule's targets", offered)
  })
}
