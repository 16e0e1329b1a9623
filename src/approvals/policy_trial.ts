// Tries an example against the rules, as a request would be: by the same functions, without a service. Pure.
import type { Config } from "../config/config.ts"
import type { PolicyCase } from "../config/policy_cases.ts"
import { namedIn, total } from "../core/approval_plan.ts"
import { GatewayError } from "../core/errors.ts"
import { isBreakGlass, ruleOn, type Ruling } from "./policy.ts"

export interface Outcome {
  /** The code of the refusal; undefined when it can be asked for. */
  readonly refused: string | undefined
  readonly words: string
  readonly rule: number | undefined
  readonly approve: "auto" | "people" | "break_glass" | undefined
  readonly by: readonly string[]
  readonly count: number
  readonly as: readonly string[] | null
}

export function tryCase({ policy, targets }: Pick<Config, "policy" | "targets">, one: PolicyCase): Outcome {
  const nothing = { rule: undefined, approve: undefined, by: [], count: 0, as: null }
  try {
    const target = targets.find(({ name }) => name === one.target)
    const person = { name: one.who, groups: one.groups }
    const ruled = ruleOn({ policy, target, person, proof: one.proof, now: one.at, asked: one })
    return { refused: undefined, words: `it can be asked for, under ${ruled.ruling.name}`, as: ruled.as, ...decided(ruled.ruling) }
  } catch (failure) {
    const { code, message } = GatewayError.from(failure, "internal")
    return { refused: code, words: message, ...nothing }
  }
}

function decided({ rule: { approve }, index }: Ruling): Pick<Outcome, "rule" | "approve" | "by" | "count"> {
  if (approve === "auto") return { rule: index, approve, by: [], count: 0 }
  if (isBreakGlass(approve)) return { rule: index, approve: "break_glass", by: approve.review, count: 0 }
  return { rule: index, approve: "people", by: namedIn(approve.plan), count: total(approve.plan) }
}

/** What is not as it should be, in words; none: the example holds. */
export function differences({ expect }: PolicyCase, outcome: Outcome): string[] {
  if (expect.refused !== outcome.refused) {
    const wanted = expect.refused === undefined ? "it should be possible to ask" : `it should be refused (${expect.refused})`
    const found = outcome.refused === undefined ? outcome.words : `it is refused (${outcome.refused}): ${outcome.words}`
    return [`${wanted}, and ${found}`]
  }
  const said: string[] = []
  const compare = (what: string, wanted: unknown, found: unknown): void => {
    if (wanted !== undefined && JSON.stringify(wanted) !== JSON.stringify(found))
      said.push(`${what} should be ${JSON.stringify(wanted)}, and is ${JSON.stringify(found)}`)
  }
  compare("rule", expect.rule, outcome.rule)
  compare("approve", expect.approve, outcome.approve)
  compare("by", expect.by?.toSorted(), [...outcome.by].sort())
  compare("count", expect.count, outcome.count)
  compare("as", expect.as?.toSorted(), outcome.as)
  return said
}
