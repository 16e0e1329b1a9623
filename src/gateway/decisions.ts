// What one session decides about single actions: whether its grant is for them, what the rules say, whether a use is left; and what
// was decided goes on record before it is answered. What can be said at once is, so that an action nobody looks at costs nothing.
import type { Action } from "../core/action.ts"
import { type ActionRule, decideAction } from "../core/action_rules.ts"
import { canonicalText, digestOf, scopeMatcher } from "../core/action_scope.ts"
import { type CutCode, GatewayError } from "../core/errors.ts"
import type { Grant } from "../core/grant.ts"
import type { SessionId } from "../core/ids.ts"
import { type StatementFacts, unseen } from "../core/statement.ts"
import type { StatementReader } from "../classify/statement_reader.ts"
import { metrics } from "../observe/metrics.ts"
import type { Recorder } from "../record/recorder.ts"
import type { Decided, Decision } from "./contract.ts"
import type { GrantService } from "./grant_service.ts"
import type { SessionRules } from "./session_rules.ts"

export interface DecisionsOptions {
  readonly session: SessionId
  readonly protocol: Parameters<typeof scopeMatcher>[0]
  readonly recorder: Pick<Recorder, "write"> & { readonly next: number }
  readonly service: Pick<GrantService, "use">
  /** As they are now. */
  rules(): SessionRules
  grant(): Grant
  /** Why the session is over, if it is: looked at by the clock. */
  ending(): GatewayError | undefined
  /** The words for an end. */
  reason(code: CutCode): GatewayError
  /** A line that asks for access. */
  readonly ask: string
}

/** With what an action goes on record. */
interface Marks {
  readonly rule?: string
  readonly flagged?: true
}

export class Decisions {
  readonly #options: DecisionsOptions
  /** Undefined: the grant names no actions, so it covers all. */
  readonly #named: ((action: Action) => boolean) | undefined
  /** What was asked for and is not decided yet. */
  readonly #open = new Set<Promise<Decided>>()
  #spent = false

  constructor(options: DecisionsOptions) {
    this.#options = options
    const { actions } = options.grant()
    this.#named = actions === null ? undefined : scopeMatcher(options.protocol, actions)
  }

  decide(action: Action): Decision {
    const over = this.#options.ending()
    if (over) return { verdict: "deny", error: over }
    if (!this.covers(action)) return this.#deny(action, this.#uncovered(action))
    if (this.#spent) return this.#deny(action, this.#options.reason("spent"))
    const { rules, reader } = this.#options.rules()
    if (rules.length === 0) return this.#take(action, {})
    const facts = factsOf(action, reader)
    if (!(facts instanceof Promise)) return this.#rule(action, facts)
    return this.#later(facts.then((read) => this.#ruleNow(action, read)))
  }

  covers(action: Action): boolean {
    return this.#named === undefined || this.#named(action)
  }

  /** No action may begin any more; settles when those asked for are decided. */
  async spend(): Promise<void> {
    this.#spent = true
    await Promise.all(this.#open)
  }

  #rule(action: Action, facts: StatementFacts | undefined): Decision {
    const { rule, verdict } = decideAction(this.#options.rules().rules, action, facts)
    const marks: Marks = rule === undefined ? {} : verdict === "flag" ? { rule: rule.name, flagged: true } : { rule: rule.name }
    if (verdict === "deny") return this.#deny(action, this.#forbidden(rule), marks)
    return this.#take(action, marks)
  }

  /** After a wait: it may be over by now. */
  #ruleNow(action: Action, facts: StatementFacts): Decided | Promise<Decided> {
    const over = this.#options.ending()
    if (over) return { verdict: "deny", error: over }
    if (this.#spent) return this.#deny(action, this.#options.reason("spent"))
    const decision = this.#rule(action, facts)
    return decision.verdict === "hold" ? decision.decided : decision
  }

  /** Takes a use, where they are counted. */
  #take(action: Action, marks: Marks): Decision {
    if (this.#options.grant().uses_left === null) return this.#allow(action, marks)
    return this.#later(this.#claim(action, marks))
  }

  #later(decided: Promise<Decided>): Decision {
    const open = decided.finally(() => this.#open.delete(open))
    this.#open.add(open)
    return { verdict: "hold", decided: open }
  }

  /** Takes one of the grant's uses before the action may happen. Without an answer it does not happen, and the use may be lost. */
  async #claim(action: Action, marks: Marks): Promise<Decided> {
    const { service, grant, session, reason } = this.#options
    const text = canonicalText(action)
    const refused = await service.use(grant().id, { session, action: text === undefined ? undefined : digestOf(text) }).then(
      () => undefined,
      (failure: unknown) => GatewayError.from(failure, "stale"),
    )
    const over = this.#options.ending()
    if (over) return { verdict: "deny", error: over }
    if (refused === undefined) return this.#allow(action, marks)
    return this.#deny(action, refused.code === "over" ? reason("spent") : refused.with({ session }), marks)
  }

  #allow(action: Action, marks: Marks): Decided {
    const { recorder, reason } = this.#options
    const number = recorder.next
    if (!recorder.write({ kind: "action", verdict: "allow", action, ...marks }))
      return { verdict: "deny", error: reason("recorder_failed") }
    metrics.decided("allow")
    return { verdict: "allow", action: number }
  }

  #deny(action: Action, error: GatewayError, marks: Marks = {}): Decided {
    const { recorder, reason } = this.#options
    if (!recorder.write({ kind: "action", verdict: "deny", action, ...marks })) return { verdict: "deny", error: reason("recorder_failed") }
    metrics.decided("deny")
    return { verdict: "deny", error }
  }

  /** A shell is more than one action, so no scope names it: said to the one who wonders. */
  #uncovered({ kind }: Action): GatewayError {
    const shell = kind === "ssh.shell" ? { what: "it is for single commands, and a shell cannot be held to them" } : {}
    return new GatewayError("action_denied", { session: this.#options.session, ask: this.#options.ask, ...shell })
  }

  #forbidden(rule: ActionRule | undefined): GatewayError {
    const { session } = this.#options
    return new GatewayError("rule_denied", rule?.say === undefined ? { session } : { session, what: rule.say })
  }
}

/** What the rules look at of an SQL text; undefined where none does. */
function factsOf(action: Action, reader: StatementReader | undefined): StatementFacts | undefined | Promise<StatementFacts> {
  if (!reader || action.kind !== "postgres.statement") return undefined
  if (action.how === "function_call") return unseen("it calls a function by its number")
  if (action.unresolved) return unseen("what its name stands for is not known for certain")
  if (action.sql_bytes !== undefined) return unseen("it is too long to be looked at")
  return reader.read(action.sql)
}
