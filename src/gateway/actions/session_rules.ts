// The rules of `policy.actions` that concern one session, as they are now: after a reload what is open follows the new ones.
import type { StatementReader } from "../../classify/statement_reader.ts"
import { type ActionRule, type Acting, readsStatements, rulesFor } from "../../core/action_rules.ts"

export interface SessionRules {
  /** In their order. */
  readonly rules: readonly ActionRule[]
  /** What reads SQL for them; undefined where none of them looks into it. */
  readonly reader: StatementReader | undefined
}

/** `current`: the policy's rules; another list once they were reloaded. */
export function sessionRules(current: () => readonly ActionRule[], acting: Acting, reader: StatementReader): () => SessionRules {
  let of: readonly ActionRule[] | undefined
  let known: SessionRules = { rules: [], reader: undefined }
  return () => {
    const all = current()
    if (all === of) return known
    const rules = rulesFor(all, acting)
    of = all
    known = { rules, reader: readsStatements(rules) ? reader : undefined }
    return known
  }
}
