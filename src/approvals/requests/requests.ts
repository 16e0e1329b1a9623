// Asking and deciding. Everything that matters happens inside one change of the store, after reading what is there: two who
// decide at once come one after the other, and the second finds what the first has done.
import type { z } from "zod"
import type { RequestView } from "../../api/schema.ts"
import type * as schema from "../../api/schema.ts"
import type { CurrentConfig } from "../../config/current_config.ts"
import type { Clock, Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { GrantId, RequestId, WaiterId } from "../../core/ids.ts"
import { metrics } from "../../observe/metrics.ts"
import { askedBefore } from "./asked_before.ts"
import { checkReach, checkStands, extendGrant, extensionOf } from "./extensions.ts"
import { makeGrant } from "../grants/grants.ts"
import { type Asked, checkBounds, checkStart, file, type Here, newRecord } from "./filing.ts"
import { tellHold } from "./holds.ts"
import { type Actor, byPerson, byRule, type Caller, note } from "../journal.ts"
import {
  checkActions,
  ruleOn,
  checkAsked,
  mayDecide,
  personOf,
  maySee,
  type Person,
  type Ruling,
  rulingFor,
  seenBy,
  checkLogin,
  givesAtOnce,
} from "../policy.ts"
import { type Page, type Paged, pageOf } from "../page.ts"
import type { People } from "../people/people.ts"
import { countsFor, isEnough, isNamedNow, mayReview, shortened, standingApprovals, stillHeld, stillRuled, viewOf } from "./request_state.ts"
import type { Change, DecisionRecord, NewRequestRecord, RequestRecord, Store } from "../store.ts"

export interface RequestsOptions {
  readonly store: Store
  readonly current: CurrentConfig
  readonly people: People
  readonly clock: Clock
}

type Approver = Pick<Person, "name" | "groups" | "workload">

interface Filed {
  readonly caller: Caller
  /** The caller, as they are known in this change. */
  readonly person: Person
  readonly ruling: Ruling
  readonly record: NewRequestRecord
  /** What must hold for a new one, and need not for one that is found again. */
  check?(): void
  readonly here?: Here | undefined
}

export class Requests {
  readonly #store: Store
  readonly #current: CurrentConfig
  readonly #people: People
  readonly #clock: Clock

  constructor({ store, current, people, clock }: RequestsOptions) {
    this.#store = store
    this.#current = current
    this.#people = people
    this.#clock = clock
  }

  /** Files a request, or finds the one that asks the same. A rule may answer it at once. Throws `not_askable`, `too_long`, `invalid`, `too_many`. */
  ask(caller: Caller, asked: Asked, here?: Here): Promise<RequestView> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      const person = await this.#present(change, caller)
      const { policy, targets } = this.#current()
      const known = targets.find(({ name }) => name === asked.target)
      const question = { policy, target: known, person, proof: caller.proof, now, asked }
      const { ruling, as, actions } = ruleOn(question)
      checkStart(asked, now)
      return this.#file(change, { caller, person, ruling, record: newRecord({ person, asked, as, actions, ruling, now }), here })
    })
  }

  /**
   * Files a request for a later end of the caller's own grant, under the rule that would give it now; or finds the one that asks
   * for that. Throws `grant_over`, `forbidden`, `not_found`, and as `ask` does.
   */
  extend(caller: Caller, id: GrantId, { duration_ms, reason }: z.output<typeof schema.extension>): Promise<RequestView> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      const person = await this.#present(change, caller)
      const grant = await change.grant(id)
      const made = grant && (await change.request(grant.request))
      if (!grant || !made || !maySee(person, made)) throw new GatewayError("not_found")
      if (grant.subject !== person.name) throw new GatewayError("forbidden")
      const extension = extensionOf(grant, duration_ms, now)
      const { policy, targets } = this.#current()
      const target = targets.find(({ name }) => name === grant.target)
      const ruling = target && rulingFor(policy, person, { target, now, asked: { duration_ms, reason } })
      if (!target || !ruling) throw new GatewayError("not_askable")
      checkLogin(ruling.rule.login, caller.proof, now)
      const { as, actions } = grant
      const asked = { target: target.name, duration_ms, reason, ...(as === null ? {} : { as }) }
      // All was given, and the rule now gives only some: it would get longer for more than can be asked for.
      if (checkAsked(ruling, target, asked) !== null && as === null) throw new GatewayError("not_askable")
      if (checkActions(ruling, target, actions) !== null && actions === null) throw new GatewayError("not_askable")
      const record = newRecord({ person, asked, as, actions, extension, ruling, now })
      return this.#file(change, { caller, person, ruling, record, check: () => checkReach(extension, ruling.rule.max_ms, now) })
    })
  }

  /** Who calls, as the config and the store know them in this change: since the call began they may have become somebody else, or nobody. */
  async #present(change: Change, { person: { name } }: Caller): Promise<Person> {
    const known = await this.#people.find(name, change)
    if (!known) throw new GatewayError("unauthenticated")
    return personOf(known, this.#current().policy)
  }

  async #file(change: Change, filing: Filed): Promise<RequestView> {
    const { here, record } = filing
    const { view, filed } = await this.#fileOrFind(change, filing)
    if (here) await change.addWait({ ...here, request: view.id, now: record.created_at, filed })
    return view
  }

  async #fileOrFind(
    change: Change,
    { caller, person, ruling, record, check, here }: Filed,
  ): Promise<{ view: RequestView; filed: boolean }> {
    const now = record.created_at
    const given = givesAtOnce(ruling.rule.approve)
    const { answer, instead } = await askedBefore(change, { record, given, joins: here !== undefined, now })
    if (answer) return { view: viewOf(answer, person, now), filed: false }
    check?.()
    await checkBounds(change, { subject: person.name, ruling, now })
    const id = await file(change, record, { actor: byPerson(caller), here })
    metrics.requested()
    if (instead) {
      await change.setRequestState(instead.id, "withdrawn")
      const reason = `asked again as request ${id}, which a rule gives by now`
      await note(change, {
        at: now,
        kind: "request.withdrawn",
        actor: byPerson(caller),
        reason,
        request: instead.id,
        detail: { state: "withdrawn" },
      })
    }
    if (record.review !== null)
      await note(change, {
        at: now,
        kind: "break_glass.used",
        actor: byPerson(caller),
        reason: record.reason,
        rule: record.rule,
        request: id,
        detail: record,
      })
    if (given) return { view: viewOf(await this.#decideByRule(change, id, { ruling, now }), person, now), filed: true }
    return { view: await this.#view(change, id, { person, now }), filed: true }
  }

  /** One more person approves; enough of them make the grant. Throws `own_request`, `forbidden`, `decided`, `over`, `not_found`. */
  approve(caller: Caller, id: RequestId, reason: string): Promise<RequestView> {
    return this.#decide(caller, id, { verdict: "approve", reason })
  }

  /** One person's no ends it. Throws as `approve` does. */
  deny(caller: Caller, id: RequestId, reason: string): Promise<RequestView> {
    return this.#decide(caller, id, { verdict: "deny", reason })
  }

  /** Throws `decided`, `over`, `forbidden`, `not_found`. */
  withdraw(caller: Caller, id: RequestId): Promise<RequestView> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      const { person } = caller
      const request = seen(await change.request(id), person)
      if (request.subject !== person.name) throw new GatewayError("forbidden")
      if (request.state === "withdrawn") return viewOf(request, person, now)
      checkPending(request, now)
      await takeBack(change, id, { caller, now })
      return this.#view(change, id, { person, now })
    })
  }

  /**
   * Somebody waits no more in the tool they asked in. What was asked there is taken back with the last who waits for it, unless
   * somebody has decided already. Throws `not_found`.
   */
  leave(caller: Caller, id: RequestId, waiter: WaiterId): Promise<RequestView> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      const { person } = caller
      const request = await change.request(id)
      if (request?.subject !== person.name) throw new GatewayError("not_found")
      const { filed: asked, waiting } = await change.endWait({ waiter, request: id, now })
      const untouched = request.state === "pending" && now < request.lapses_at && request.decisions.length === 0
      if (asked && waiting === 0 && untouched) await takeBack(change, id, { caller, now })
      return this.#view(change, id, { person, now })
    })
  }

  /** Throws `not_found`, also for one that is not the person's to see. */
  async get(person: Person, id: RequestId): Promise<RequestView> {
    return viewOf(seen(await this.#store.request(id), person), person, this.#clock.now())
  }

  /** Newest first. */
  async list(
    person: Person,
    { which, ...paged }: Paged<RequestId> & { readonly which: "all" | "pending" | "unreviewed" },
  ): Promise<Page<RequestView, RequestId>> {
    const now = this.#clock.now()
    const live_at = which === "pending" ? now : undefined
    const unreviewed = which === "unreviewed"
    const wanted = { seen: seenBy(person), live_at, unreviewed }
    const { items, next } = await pageOf(
      paged,
      (limit, before) => this.#store.requests({ ...wanted, limit, before }),
      ({ id }) => id,
    )
    return { items: items.map((request) => shortened(viewOf(request, person, now))), next }
  }

  #decide(caller: Caller, id: RequestId, { verdict, reason }: Pick<DecisionRecord, "verdict" | "reason">): Promise<RequestView> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      // In one go, and so who asked too, who counts only when it is an approval.
      const [person, found, asker] = await Promise.all([
        this.#present(change, caller),
        change.request(id),
        verdict === "approve" ? this.#people.asker(id, change) : undefined,
      ])
      const request = seen(found, person)
      if (request.subject === person.name) throw new GatewayError(verdict === "approve" ? "own_request" : "forbidden")
      if (!mayDecide(person, request)) throw new GatewayError("forbidden")
      const said = request.decisions.some(
        (earlier) => earlier.actor === "person" && earlier.by === person.name && earlier.verdict === verdict,
      )
      const pending = request.state === "pending" && now < request.lapses_at
      if (said && (verdict === "deny" || !pending)) return viewOf(request, person, now) // sent again: nothing changes
      if (verdict === "approve" && request.extends_grant !== null) checkStands(request.grant, now)
      checkPending(request, now)
      const [people] = await Promise.all([
        this.#approvers(change, request, person),
        verdict === "approve" && request.hold ? checkHeld(change, request.hold.grant, now) : undefined,
      ])
      const ruled =
        verdict !== "approve"
          ? undefined
          : request.hold
            ? stillHeld(this.#current().policy, request)
            : stillRuled({ ...this.#current(), now, asker }, request)
      if (ruled && !isNamedNow(ruled, person)) throw new GatewayError("forbidden")
      const given = ruled && standingApprovals(ruled, request, people)
      if (said) {
        // Nothing new, unless approvals that had ceased to count do so again.
        const again = ruled && given && isEnough(ruled, request, { given, people })
        const state = again ? "approved" : undefined
        return viewOf(await settle(change, request, { state, actor: byPerson(caller), reason, now }), person, now)
      }
      const steps = countsFor(request, person, given)
      if (ruled && steps.length === 0) throw new GatewayError("not_your_turn")
      if (ruled) checkLogin(ruled.login, caller.proof, now)

      const decision: DecisionRecord = { by: person.name, actor: "person", verdict, reason, at: now, steps }
      const actor = byPerson(caller)
      await change.addDecision(id, decision)
      await note(change, { at: now, kind: "request.decision", actor, reason, rule: request.rule, request: id, detail: decision })
      metrics.judged(verdict)
      const enough = ruled && given && isEnough(ruled, request, { given: [...given, { by: person.name, steps }], people })
      const state = verdict === "deny" ? "denied" : enough ? "approved" : undefined
      const decided = { ...request, decisions: [...request.decisions, decision] }
      return viewOf(await settle(change, decided, { state, actor, reason, now }), person, now)
    })
  }

  /** Somebody else has looked at what a break-glass was used for. Throws `forbidden`, `decided`, `not_found`. */
  review(caller: Caller, id: RequestId, words: string): Promise<RequestView> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      const person = await this.#present(change, caller)
      const request = seen(await change.request(id), person)
      if (!mayReview(person, request)) throw new GatewayError("forbidden")
      if (request.reviewed !== null) throw new GatewayError("decided")
      if (words === "") throw new GatewayError("invalid", { what: "a review says what was found" })
      const review = { by: person.name, at: now, note: words }
      await change.reviewRequest(id, review)
      const actor = byPerson(caller)
      await note(change, { at: now, kind: "break_glass.reviewed", actor, reason: words, rule: request.rule, request: id, detail: review })
      return this.#view(change, id, { person, now })
    })
  }

  /** Those who have approved and `decider`, as they are now; whoever is not there any more, or was disabled, is left out. */
  async #approvers(change: Change, { decisions }: RequestRecord, decider: Person): Promise<ReadonlyMap<string, Approver>> {
    const people = new Map<string, Approver>([[decider.name, decider]])
    const others = new Set(decisions.flatMap(({ by, actor }) => (actor === "person" && by !== decider.name ? [by] : [])))
    const known = await Promise.all([...others].map((name) => this.#people.find(name, change)))
    for (const one of known) if (one) people.set(one.name, one)
    return people
  }

  /** The rule itself is the decision. It is kept with `actor: "policy"`, so that it is never counted among the people who approved. */
  async #decideByRule(
    change: Change,
    id: RequestId,
    { ruling, now }: { readonly ruling: Ruling; readonly now: Millis },
  ): Promise<RequestRecord> {
    const decision: DecisionRecord = { by: ruling.name, actor: "policy", verdict: "approve", reason: "", at: now, steps: [] }
    await change.addDecision(id, decision)
    metrics.judged(decision.verdict)
    return settle(change, await filed(change, id), { state: "approved", actor: byRule(ruling.name), reason: "", now })
  }

  async #view(change: Change, id: RequestId, { person, now }: { readonly person: Person; readonly now: Millis }): Promise<RequestView> {
    return viewOf(await filed(change, id), person, now)
  }
}

/** An action is approved for the grant it would run under. Throws `over`. */
async function checkHeld(change: Change, id: GrantId, now: Millis): Promise<void> {
  const grant = await change.grant(id)
  if (grant?.status !== "active" || now >= grant.ends_at) throw new GatewayError("over")
}

/** What is not there and what is not theirs to see are the same to them. */
function seen(request: RequestRecord | undefined, person: Person): RequestRecord {
  if (!request || !maySee(person, request)) throw new GatewayError("not_found")
  return request
}

async function filed(change: Change, id: RequestId): Promise<RequestRecord> {
  const request = await change.request(id)
  if (!request) throw new Error(`request ${id} was filed and is not there`)
  return request
}

async function takeBack(change: Change, id: RequestId, { caller, now }: { readonly caller: Caller; readonly now: Millis }): Promise<void> {
  await change.setRequestState(id, "withdrawn")
  await note(change, { at: now, kind: "request.withdrawn", actor: byPerson(caller), request: id, detail: { state: "withdrawn" } })
  await tellHold(change, id, { actor: byPerson(caller), now, status: "withdrawn" })
}

function checkPending(request: RequestRecord, now: Millis): void {
  if (request.state === "withdrawn" || (request.state === "pending" && now >= request.lapses_at)) throw new GatewayError("over")
  if (request.state !== "pending") throw new GatewayError("decided")
}

interface Settling {
  /** Undefined: it still waits for others. */
  readonly state: "approved" | "denied" | undefined
  readonly actor: Actor
  readonly reason: string
  readonly now: Millis
}

/** Answers what the request is then. */
async function settle(change: Change, request: RequestRecord, { state, actor, reason, now }: Settling): Promise<RequestRecord> {
  if (state === undefined) return request
  const { id, rule } = request
  await change.setRequestState(id, state)
  await note(change, { at: now, kind: `request.${state}`, actor, reason, rule, request: id, detail: { state } })
  const settled = { ...request, state }
  if (request.hold) await tellHold(change, id, { actor, now, status: state })
  else if (state === "approved")
    return { ...settled, grant: await (request.extends_grant === null ? makeGrant : extendGrant)(change, request, { actor, now }) }
  return settled
}
