// What one session decides about single actions: whether its grant is for them, what the rules say, whether a use is left; and what
// was decided goes on record before it is answered. What can be said at once is, so that an action nobody looks at costs nothing.
// How an action is held is `held_action.ts`.
import type { StatementReader } from "../../classify/statement_reader.ts"
import type { Action } from "../../core/action.ts"
import { type ActionRule, decideAction } from "../../core/action_rules.ts"
import { canonicalText, digestOf, scopeMatcher } from "../../core/action_scope.ts"
import { type CutCode, GatewayError } from "../../core/errors.ts"
import type { Grant } from "../../core/grant.ts"
import type { SessionId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import { type StatementFacts, unseen } from "../../core/statement.ts"
import { metrics } from "../../observe/metrics.ts"
import type { Recorder } from "../../record/recorder.ts"
import type { Decided, Decision, Estimate, Exact } from "../contract.ts"
import type { GrantService } from "../control_plane/grant_service.ts"
import { holdAction, type Holder } from "./held_action.ts"
import type { SessionRules } from "./session_rules.ts"
import { recentAction } from "./shown_action.ts"
import { Wait } from "../waiting.ts"

export interface DecisionsOptions extends Omit<Holder, "recent"> {
  readonly session: SessionId
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
  /** An action that a rule flags is on record. */
  onFlagged(flagged: { readonly rule: string; readonly text: string }): void
}

/** With what an action goes on record. */
interface Marks {
  readonly rule?: string
  readonly flagged?: true
  readonly held?: number
}

/** An action that somebody wants, and what is known of it. */
interface Wanted {
  readonly action: Action
  readonly exact: (() => Promise<Exact>) | undefined
  readonly estimate: (() => Promise<Estimate>) | undefined
  /** Of an action that was allowed. */
  readonly part?: true
}

/** The end of deciding, or what still takes its time. */
type Step = Decided | ((wait: Wait) => Promise<Decided>)

export class Decisions {
  readonly #options: DecisionsOptions
  /** Undefined: the grant names no actions, so it covers all. */
  readonly #named: ((action: Action) => boolean) | undefined
  /** What was asked for and is not decided yet. */
  readonly #open = new Set<Promise<Decided>>()
  /** The last actions that ran, for who decides about the next; kept where rules may ask somebody. */
  readonly #recent: string[] = []
  #spent = false

  constructor(options: DecisionsOptions) {
    this.#options = options
    const { actions } = options.grant()
    this.#named = actions === null ? undefined : scopeMatcher(options.protocol, actions)
  }

  decide(wanted: Wanted): Decision {
    const { action } = wanted
    const over = this.#options.ending()
    if (over) return { verdict: "deny", error: over }
    if (!this.covers(action)) return this.#deny(action, this.#uncovered(action))
    const { rules, reader } = this.#options.rules()
    if (rules.length === 0) return this.#now(this.#spent ? this.#deny(action, this.#options.reason("spent")) : this.#take(wanted, {}))
    const facts = factsOf(action, reader)
    if (!(facts instanceof Promise)) return this.#now(this.#rule(wanted, facts))
    return this.#now(async (wait) => {
      const step = this.#rule(wanted, await facts)
      return typeof step === "function" ? step(wait) : step
    })
  }

  /** By the rules alone: that it may happen as such was decided before, and a use taken for it. */
  decidePart(action: Action): Decision {
    const over = this.#options.ending()
    if (over) return { verdict: "deny", error: over }
    const { verdict, rule } = decideAction(this.#options.rules().rules, action, undefined)
    if (verdict === "deny") return this.#deny(action, this.#forbidden(rule), marksOf(rule))
    if (verdict !== "hold" || !rule || this.#named !== undefined) return this.#allow(action, marksOf(rule, verdict === "flag"))
    const part = { action, exact: undefined, estimate: undefined, part: true } as const
    return this.#now((wait) => this.#hold(part, { facts: undefined, rule, wait }))
  }

  covers(action: Action): boolean {
    return this.#named === undefined || this.#named(action)
  }

  /** No action may begin any more; settles when those asked for are decided. */
  async spend(): Promise<void> {
    this.#spent = true
    await Promise.all(this.#open)
  }

  /** Each place that waited comes here again: it may be over by now. */
  #rule(wanted: Wanted, facts: StatementFacts | undefined): Step {
    const { action } = wanted
    const over = this.#options.ending()
    if (over) return { verdict: "deny", error: over }
    if (this.#spent) return this.#deny(action, this.#options.reason("spent"))
    const { verdict, rule } = decideAction(this.#options.rules().rules, action, facts)
    if (verdict === "deny") return this.#deny(action, this.#forbidden(rule), marksOf(rule))
    // A grant that names its actions was approved with them in sight.
    if (verdict === "hold" && rule && this.#named === undefined) return (wait) => this.#hold(wanted, { facts, rule, wait })
    return this.#take(wanted, marksOf(rule, verdict === "flag"))
  }

  async #hold(
    wanted: Wanted,
    { facts, rule, wait }: { readonly facts: StatementFacts | undefined; readonly rule: ActionRule; readonly wait: Wait },
  ): Promise<Decided> {
    const { action } = wanted
    const marks = marksOf(rule)
    const { rules } = this.#options.rules()
    const changed = (): Promise<GatewayError | undefined> => this.#changed(action, { rules, rule })
    const held = await holdAction({ ...this.#options, recent: this.#recent }, { ...wanted, facts, rule, wait, changed })
    const refused = held.error ?? (await changed())
    const over = this.#options.ending()
    if (over) return { verdict: "deny", error: over }
    const numbered = held.held === undefined ? marks : { ...marks, held: held.held }
    if (refused) return this.#deny(action, refused, numbered)
    if (this.#spent) return this.#deny(action, this.#options.reason("spent"), numbered)
    const step = this.#take(wanted, numbered)
    return typeof step === "function" ? step(wait) : step
  }

  /**
   * Why an action that was approved may not run any more: the rules were reloaded while it waited, and those that there are now deny
   * it, or want another approval of it.
   */
  async #changed(
    action: Action,
    since: { readonly rules: readonly ActionRule[]; readonly rule: ActionRule },
  ): Promise<GatewayError | undefined> {
    for (;;) {
      const { rules, reader } = this.#options.rules()
      if (rules === since.rules) return undefined
      const facts = await factsOf(action, reader)
      if (this.#options.rules().rules !== rules) continue // and again, while it was read
      const { verdict, rule } = decideAction(rules, action, facts)
      if (verdict === "deny") return this.#forbidden(rule)
      if (verdict !== "hold" || rule?.digest === since.rule.digest) return undefined
      return new GatewayError("hold_over", { session: this.#options.session, what: other_rules })
    }
  }

  /** Takes a use, where they are counted. */
  #take({ action, part }: Wanted, marks: Marks): Step {
    if (part || this.#options.grant().uses_left === null) return this.#allow(action, marks)
    return () => this.#claim(action, marks)
  }

  #now(step: Step): Decision {
    if (typeof step !== "function") return step
    const wait = new Wait()
    const open = step(wait).finally(() => {
      this.#open.delete(open)
      wait.tell(undefined)
    })
    this.#open.add(open)
    return wait.decision(open)
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
    const { recorder, reason, rules } = this.#options
    const number = recorder.next
    if (!recorder.write({ kind: "action", verdict: "allow", action, ...marks }))
      return { verdict: "deny", error: reason("recorder_failed") }
    metrics.decided("allow")
    if (marks.flagged && marks.rule !== undefined) this.#options.onFlagged({ rule: marks.rule, text: recentAction(action) })
    if (rules().rules.length > 0 && this.#recent.push(recentAction(action)) > limits.hold_recent_max) this.#recent.shift()
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

const other_rules = "the rules have changed while this waited, and want another approval of it: run it again to ask for that"

function marksOf(rule: ActionRule | undefined, flagged = false): Marks {
  if (rule === undefined) return {}
  return flagged ? { rule: rule.name, flagged } : { rule: rule.name }
}

/** What the rules look at of an SQL text; undefined where none does. */
function factsOf(action: Action, reader: StatementReader | undefined): StatementFacts | undefined | Promise<StatementFacts> {
  if (!reader || action.kind !== "postgres.statement") return undefined
  if (action.how === "function_call") return unseen("it calls a function by its number")
  if (action.unresolved) return unseen("what its name stands for is not known for certain")
  if (action.sql_bytes !== undefined) return unseen("it is too long to be looked at")
  if (action.ambiguous) return unseen("the server's settings may make another text of it")
  if (action.inexact && !action.secret) return unseen("its text is not UTF-8")
  return reader.read(action.sql)
}
