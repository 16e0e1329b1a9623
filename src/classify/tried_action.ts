// What the rules for actions say to an action by itself, away from a gateway: for examples, and for what was recorded.
import type { Config } from "../config/config.ts"
import type { Action } from "../core/action.ts"
import { type ActionRuling, decideAction, rulesFor } from "../core/action_rules.ts"
import { unseen } from "../core/statement.ts"
import type { StatementReader } from "./statement_reader.ts"

export interface Tried {
  readonly person: { readonly name: string; readonly groups: readonly string[] }
  readonly target: string
  readonly as: string | undefined
  readonly action: Action
}

/** Undefined: the config has no such target. */
export async function tryAction(
  { policy, targets }: Pick<Config, "policy" | "targets">,
  { person, target: name, as, action }: Tried,
  reader: StatementReader,
): Promise<ActionRuling | undefined> {
  const target = targets.find((one) => one.name === name)
  if (!target) return undefined
  const rules = rulesFor(policy.actions, { person, target, as })
  const seen = action.kind === "postgres.statement" && !action.unresolved && !action.ambiguous && action.sql_bytes === undefined
  return decideAction(rules, action, seen ? await reader.read(action.sql) : unseen("it is not known for certain"))
}
