// Which targets a rule is about, by name or by labels. Pure.
import type { Target } from "./target.ts"

export type TargetMatch = { readonly names: readonly string[] } | { readonly labels: Readonly<Record<string, string>> }

export function matchesTarget(match: TargetMatch, target: Pick<Target, "name" | "labels">): boolean {
  if ("names" in match) return match.names.includes(target.name)
  return Object.entries(match.labels).every(([label, value]) => Object.hasOwn(target.labels, label) && target.labels[label] === value)
}
