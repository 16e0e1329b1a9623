// The access rules: who may ask for what, who decides about it, who sees it. Pure: the config, a person and a value in, an answer
// out. Nothing here knows how a request is kept or how it came.
import type { AccessRule, Approve, BreakGlass, FreshLogin, Policy, User } from "../config/config.ts"
import { namedIn } from "../core/approval_plan.ts"
import type { Millis } from "../core/clock.ts"
import { type ActionScope, narrowScope, parseScope } from "../core/action_scope.ts"
import { formatDuration } from "../core/duration.ts"
import { GatewayError } from "../core/errors.ts"
import { accountsOf, type Target } from "../core/target.ts"
import { matchesTarget } from "../core/target_match.ts"
import { inForce } from "../core/schedule.ts"
import type { Proof } from "./journal.ts"
import type { Seen } from "./store.ts"

/** Somebody who uses the service, as the config knows them now. */
export interface Person {
  readonly name: string
  readonly groups: readonly string[]
  /** A machine: it asks, and never decides, nor ends what is others'. */
  readonly workload?: true
  /** Sees everything, may revoke and kill. It makes nobody an approver. */
  readonly admin: boolean
  /** Sees everything, and changes nothing by that. */
  readonly auditor: boolean
  /** Their name and groups, as far as some rule lets these decide: where to look for what they may decide about. */
  readonly decides_as: readonly string[]
}

export interface Ruling {
  readonly rule: AccessRule
  /** As people and records name it: "policy.access[0]". */
  readonly name: string
  readonly index: number
}

export function personOf(user: Pick<User, "name" | "groups"> & Pick<Person, "workload">, policy: Policy): Person {
  const { name, groups, workload } = user
  if (workload) return { name, groups, workload, admin: false, auditor: false, decides_as: [] }
  const ofActions = policy.actions.flatMap(({ approve }) => approve?.by ?? [])
  const deciders = new Set([...policy.access.flatMap(({ approve }) => decidersOf(approve)), ...ofActions])
  const is = (names: readonly string[]): boolean => isOneOf({ name, groups }, names)
  const decides_as = [name, ...groups].filter((one) => deciders.has(one))
  return { name, groups, admin: is(policy.admins), auditor: is(policy.auditors), decides_as }
}

/** Everybody whom a rule lets decide or review, sooner or later. */
function decidersOf(approve: Approve): readonly string[] {
  if (approve === "auto") return []
  return "review" in approve ? approve.review : [...namedIn(approve.plan), ...(approve.escalate?.to ?? [])]
}

export const isBreakGlass = (approve: Approve): approve is BreakGlass => approve !== "auto" && "review" in approve
/** Whether the rule itself is the decision. */
export const givesAtOnce = (approve: Approve): approve is "auto" | BreakGlass => approve === "auto" || isBreakGlass(approve)

/** Whether `names`, of groups and people, mean this person. */
export function isOneOf(person: Pick<Person, "name" | "groups">, names: readonly string[]): boolean {
  return names.some((name) => name === person.name || person.groups.includes(name))
}

/** What a rule may depend on besides who asks and for what. */
export interface Circumstances {
  readonly now: Millis
  /** The later start that is asked for, if one is. */
  readonly starts_at?: Millis | null | undefined
  /** What is asked for; undefined where nobody asks yet: then a rule that wants to know it does not match. */
  readonly asked: { readonly duration_ms: number; readonly reason: string } | undefined
  /** Asked for at once, by that name. */
  readonly break_glass?: boolean
}

/** The first rule that speaks of this person and this target in these circumstances. None: it cannot be asked for. */
export function rulingFor(
  policy: Policy,
  person: Pick<Person, "name" | "groups">,
  { target, ...circumstances }: Circumstances & { readonly target: Target },
): Ruling | undefined {
  const index = policy.access.findIndex(
    (rule) => isOneOf(person, rule.who) && matchesTarget(rule.targets, target) && holds(rule, circumstances),
  )
  const rule = policy.access[index]
  return rule && { rule, name: `policy.access[${index}]`, index }
}

export interface Question {
  readonly policy: Policy
  /** Undefined: there is none of that name. */
  readonly target: Target | undefined
  readonly person: Pick<Person, "name" | "groups">
  readonly proof: Proof | null
  readonly now: Millis
  readonly asked: Asked & {
    readonly starts_at?: Millis | undefined
    readonly actions?: readonly string[] | undefined
    readonly first_use_within_ms?: number | undefined
    readonly break_glass?: boolean | undefined
  }
}

/** The rule that answers for what is asked, and what a grant for it would cover. Throws as the checks below do. */
export function ruleOn({ policy, target, person, proof, now, asked }: Question): {
  readonly target: Target
  readonly ruling: Ruling
  readonly as: readonly string[] | null
  readonly actions: ActionScope | null
} {
  const ruling =
    target && rulingFor(policy, person, { target, now, starts_at: asked.starts_at, asked, break_glass: asked.break_glass ?? false })
  if (!target || !ruling) throw new GatewayError("not_askable")
  checkLogin(ruling.rule.login, proof, now)
  const as = checkAsked(ruling, target, asked)
  const actions = checkActions(ruling, target, asked.actions ?? null)
  checkFirstUse(ruling, asked.first_use_within_ms ?? null)
  return { target, ruling, as, actions }
}

function holds({ approve, schedule, when }: AccessRule, { now, starts_at, asked, break_glass = false }: Circumstances): boolean {
  if (isBreakGlass(approve) !== break_glass) return false
  // The hours of the access, not of the question: else a night could be had by asking for it at noon.
  if (schedule && !inForce(schedule, Math.max(now, starts_at ?? now))) return false
  if (!when) return true
  return asked !== undefined && asked.duration_ms <= (when.for_ms ?? Infinity) && (when.reason?.isIn(asked.reason) ?? true)
}

/** The accounts on `target` that `rule` lets one ask for; empty where the protocol has none. */
export function askableAccounts(rule: AccessRule, target: Target): readonly string[] {
  const offered = accountsOf(target)
  return rule.as === undefined ? offered : offered.filter((account) => rule.as?.includes(account))
}

/** Whether the rule leaves anything to ask for: one that names only accounts the target lacks does not. */
export function isAskable(rule: AccessRule, target: Target): boolean {
  return accountsOf(target).length === 0 || askableAccounts(rule, target).length > 0
}

export interface Asked {
  readonly as?: readonly string[] | undefined
  readonly duration_ms: number
  readonly reason: string
}

/**
 * What a grant for `asked` covers: sorted accounts, or null for all that the target offers. Throws `not_askable` for accounts
 * the rule or the target does not have, `too_long`, and `invalid` when the reason is missing.
 */
export function checkAsked({ rule }: Ruling, target: Target, asked: Asked): readonly string[] | null {
  const accounts = askableAccounts(rule, target)
  const wanted = asked.as ?? (rule.as === undefined || accountsOf(target).length === 0 ? undefined : accounts)
  if (!isAskable(rule, target) || wanted?.some((account) => !accounts.includes(account))) throw new GatewayError("not_askable")
  if (asked.duration_ms > rule.max_ms)
    throw new GatewayError("too_long", { what: `this target can be asked for at most ${formatDuration(rule.max_ms)}` })
  if (rule.reason_required && asked.reason === "") throw new GatewayError("invalid", { what: "this target asks for a reason" })
  if (rule.ticket && !rule.ticket.isIn(asked.reason))
    throw new GatewayError("invalid", { what: `this target asks for a reason with a ticket in it: ${rule.ticket.source}` })
  return wanted ? [...new Set(wanted)].sort() : null
}

/**
 * The actions a grant for `asked` covers; null for all. Throws `invalid` for what is no action, `not_askable` for one that the rule
 * does not give.
 */
export function checkActions({ rule }: Ruling, { protocol }: Target, asked: readonly string[] | null): ActionScope | null {
  const covered = narrowScope(protocol, rule.actions, asked === null ? null : parseScope(protocol, asked))
  if (covered === undefined) throw new GatewayError("not_askable")
  return covered
}

/** Throws `too_long` when the rule's grants do not wait so long for their first use, or not at all. */
export function checkFirstUse({ rule: { first_use_ms_max } }: Ruling, within_ms: number | null): void {
  if (within_ms === null || within_ms <= first_use_ms_max) return
  const wait = first_use_ms_max === 0 ? "do not wait" : `wait at most ${formatDuration(first_use_ms_max)}`
  throw new GatewayError("too_long", { what: `grants of this target ${wait} for their first use` })
}

/** Throws `login_needed`, with what to do, when the login behind a call is not as fresh or as strong as a rule wants it. */
export function checkLogin(wanted: FreshLogin | undefined, proof: Proof | null, now: Millis): void {
  if (!wanted) return
  const { max_age_ms, acr } = wanted
  const fresh = max_age_ms === undefined ? "" : ` of the last ${formatDuration(max_age_ms)}`
  const strong = acr === undefined ? "" : ` (${acr.join(" or ")})`
  const enough = proof !== null && now - proof.at <= (max_age_ms ?? Infinity) && (acr?.includes(proof.acr ?? "") ?? true)
  if (enough) return
  // A browser that is signed in already hands on the login that it has: what is wanted must be asked for.
  const flags = `${max_age_ms === undefined ? "" : " --fresh"}${acr === undefined ? "" : ` --acr ${acr[0]}`}`
  const what = `this needs a company login${fresh}${strong}: run \`sluice login${flags}\`, then this again`
  const prove = { ...(max_age_ms !== undefined && { max_age: String(Math.floor(max_age_ms / 1000)) }), ...(acr?.[0] && { acr: acr[0] }) }
  throw new GatewayError("login_needed", { what, prove })
}

/** What rights about a request, its grant and its sessions depend on. */
export interface Subjected {
  readonly subject: string
  /** Who the rule lets decide; empty when the rule decides by itself. */
  readonly approve_by: readonly string[]
}

/** Nobody decides about their own request, whatever else they are. */
export function mayDecide(person: Person, { subject, approve_by }: Subjected): boolean {
  return person.name !== subject && !person.workload && isOneOf(person, approve_by)
}

export function maySee(person: Person, about: Subjected): boolean {
  return person.admin || person.auditor || person.name === about.subject || mayDecide(person, about)
}

/** The same as a question to the store, for lists. */
export function seenBy({ name, admin, auditor, decides_as }: Person): Seen {
  return admin || auditor ? "all" : { subject: name, names: decides_as }
}

/** Whose rows they may end something about, as a question to the store: what an auditor sees is more. */
export function endableBy({ name, admin, decides_as }: Person): Seen {
  return admin ? "all" : { subject: name, names: decides_as }
}

/** To end a grant early, or a session. */
export function mayEnd(person: Person, about: Subjected): boolean {
  return person.admin || mayDecide(person, about)
}
