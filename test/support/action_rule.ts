// A rule for single actions, as a test needs one.
import type { ActionRule } from "../../src/core/action_rules.ts"

/** Holds every action of everybody, for a minute, unless `change` says otherwise. */
export const actionRule = (change: Partial<ActionRule> = {}): ActionRule => ({
  name: "policy.actions[0]",
  index: 0,
  digest: "the rule as it is",
  who: undefined,
  targets: undefined,
  as: undefined,
  about: undefined,
  verdict: "hold",
  say: undefined,
  approve: undefined,
  within_ms: 60_000,
  ...change,
})
