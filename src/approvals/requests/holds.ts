// Actions that a rule holds: kept as requests of their own kind, decided like any other, and never making a grant. An approval is for
// one action with one digest, taken once; of a held statement or command by the session that waits with it, of an HTTP request by
// who asks for the same again.
import type { HoldStanding, HoldWanted } from "../../api/hold_schema.ts"
import type { CurrentConfig } from "../../config/current_config.ts"
import type { ActionRule } from "../../core/action_rules.ts"
import type { ApprovalPlan } from "../../core/approval_plan.ts"
import type { Clock, Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { GrantId, RequestId, SessionId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import { metrics } from "../../observe/metrics.ts"
import { file } from "./filing.ts"
import type { Asking } from "../grants/grant_uses.ts"
import { type Actor, note } from "../journal.ts"
import type { Change, RequestRecord, Store } from "../store.ts"

/** What shows that a gateway speaks of its own: the session that waits, and the digest of what it waits with. */
export interface HoldProof extends Asking {
  readonly session: SessionId
  readonly digest: string
}

export interface HoldsOptions {
  readonly store: Store
  readonly current: CurrentConfig
  readonly clock: Clock
}

export class Holds {
  readonly #options: HoldsOptions

  constructor(options: HoldsOptions) {
    this.#options = options
  }

  /**
   * Asks for an approval, or finds the one that was asked for the same. Throws `over` when the grant has ended, `rules_differ` when
   * the gateway's rule is not ours, `cannot_be_held` when nobody could approve, `too_many`.
   */
  ask({ action, rule: { index, digest }, binding }: HoldWanted, asking: Asking): Promise<HoldStanding> {
    const { store, current, clock } = this.#options
    return store.change(async (change) => {
      const now = clock.now()
      const grant = await change.grant(action.grant)
      const made = grant && (await change.request(grant.request))
      if (!grant || !made || grant.status !== "active" || now >= grant.ends_at) throw new GatewayError("over")
      const rule = current().policy.actions[index]
      if (rule?.verdict !== "hold" || rule.digest !== digest) throw new GatewayError("rules_differ")
      const bound = binding === "session"
      const question = { subject: grant.subject, target: grant.target, digest: action.digest, grant: grant.id }
      const known = bound ? undefined : await change.reusableHold(question, now)
      // What other rules have held, or another grant was there for, was answered by whom those had named.
      if (known?.hold?.rule_digest === digest) return this.#standing(known, now)
      if ((await change.pendingHolds(grant.subject, now)) >= limits.holds_per_subject_max)
        throw new GatewayError("too_many", { what: "too many of your actions wait for an approval" })
      const plan = planFor(rule, made)
      const session = await change.session(action.session)
      const id = await file(
        change,
        {
          subject: grant.subject,
          groups: made.groups,
          target: grant.target,
          as: session?.as == null ? grant.as : [session.as],
          duration_ms: rule.within_ms,
          starts_at: null,
          reason: made.reason,
          created_at: now,
          lapses_at: Math.min(now + rule.within_ms, grant.ends_at),
          state: "pending",
          rule: rule.name,
          approve_by: plan.steps.flatMap(({ by }) => by),
          approvals_needed: plan.steps.reduce((sum, { count }) => sum + count, 0),
          plan,
          escalation: null,
          review: null,
          actions: null,
          uses: null,
          first_use_within_ms: null,
          extends_grant: null,
          extends_to: null,
          hold: { ...action, bound, rule_digest: digest },
        },
        { actor: byGateway(asking), here: undefined },
      )
      metrics.requested()
      return this.#standing(await held(change, id), now)
    })
  }

  /** Takes the approval: whoever asks second finds it gone. Throws `over`, `not_found` for what is not this session's. */
  redeem(id: RequestId, proof: HoldProof): Promise<HoldStanding> {
    const { store, clock } = this.#options
    return store.change(async (change) => {
      const now = clock.now()
      const request = await ofProof(change, id, proof)
      const { hold, redeemed_at, state } = request
      const grant = hold && (await change.grant(hold.grant))
      const stands = grant?.status === "active" || grant?.status === "spent"
      if (state !== "approved" || redeemed_at !== null || now >= request.lapses_at || !stands || now >= grant.ends_at)
        throw new GatewayError("over")
      await change.redeemHold(id, now)
      await note(change, {
        at: now,
        kind: "hold.redeemed",
        actor: byGateway(proof),
        rule: request.rule,
        request: id,
        grant: grant.id,
        session: proof.session,
        detail: { digest: proof.digest },
      })
      return this.#standing(request, now)
    })
  }

  /** Nobody waits for it any more; what is decided already stays so. Throws `not_found` for what is not this session's. */
  withdraw(id: RequestId, proof: HoldProof): Promise<HoldStanding> {
    const { store, clock } = this.#options
    return store.change(async (change) => {
      const now = clock.now()
      const request = await ofProof(change, id, proof)
      if (request.state === "pending") await withdrawHold(change, request, { actor: byGateway(proof), now, reason: "nobody waits for it" })
      return this.#standing(await held(change, id), now)
    })
  }

  #standing(request: RequestRecord, now: Millis): HoldStanding {
    const status = request.state === "pending" && now >= request.lapses_at ? "lapsed" : request.state
    const { by: of, count } = request.plan.steps[0] ?? { by: [], count: 1 }
    const url = `${this.#options.current().approvals.public_url}/requests/${request.id}`
    return { ...standingOf(request, status), url, approvers: { of: [...of], count } }
  }
}

/** Who approves: whom the rule names, or else who could approve the access itself. */
function planFor({ approve }: ActionRule, { approve_by, subject }: RequestRecord): ApprovalPlan {
  const { by, count } = approve ?? { by: approve_by, count: 1 }
  if (by.every((name) => name === subject))
    throw new GatewayError("cannot_be_held", { what: "this action needs an approval, and nobody is there who could give it" })
  return { order: "any", steps: [{ by, count }] }
}

async function held(change: Change, id: RequestId): Promise<RequestRecord> {
  const request = await change.request(id)
  if (!request?.hold) throw new GatewayError("not_found")
  return request
}

/** By an HTTP session another may stand in, of the same person and for the same. */
export async function ofProof(change: Change, id: RequestId, { session, digest }: HoldProof): Promise<RequestRecord> {
  const request = await held(change, id)
  const { hold } = request
  if (hold?.digest !== digest) throw new GatewayError("not_found")
  if (hold.session === session) return request
  const other = hold.bound ? undefined : await change.session(session)
  if (other?.subject !== request.subject || other.target !== request.target) throw new GatewayError("not_found")
  return request
}

export const byGateway = ({ gateway, from }: Asking): Actor => ({ actor: "gateway", by: gateway, from })

/** As gateways are told of it. */
export function standingOf(request: RequestRecord, status: HoldStanding["status"]): Omit<HoldStanding, "url"> {
  const verdict = status === "denied" ? "deny" : "approve"
  const decisive = request.decisions.filter((decision) => decision.verdict === verdict)
  return {
    id: request.id,
    status,
    by: decisive.map(({ by }) => by),
    reason: decisive.map(({ reason }) => reason).findLast((reason) => reason !== "") ?? "",
    expires_at: request.lapses_at,
  }
}

export interface Settled {
  readonly actor: Actor
  readonly now: Millis
}

/** Tells the gateways what became of a held action; nothing for a request that is for access. */
export async function tellHold(
  change: Change,
  id: RequestId,
  { actor, now, status }: Settled & { readonly status: HoldStanding["status"] },
): Promise<void> {
  const request = await change.request(id)
  if (!request?.hold) return
  const { rule, hold } = request
  const detail = standingOf(request, status)
  await note(change, {
    at: now,
    kind: "hold.settled",
    actor,
    reason: detail.reason,
    rule,
    request: id,
    grant: hold.grant,
    session: hold.session,
    detail,
  })
}

async function withdrawHold(
  change: Change,
  { id, rule }: RequestRecord,
  { actor, now, reason }: Settled & { reason: string },
): Promise<void> {
  await change.setRequestState(id, "withdrawn")
  await note(change, { at: now, kind: "request.withdrawn", actor, reason, rule, request: id, detail: { state: "withdrawn" } })
  await tellHold(change, id, { actor, now, status: "withdrawn" })
}

/** With the grant, or the session that waits, it is over. */
export async function closeHolds(
  change: Change,
  of: { readonly grant: GrantId } | { readonly session: SessionId },
  settled: Settled,
): Promise<void> {
  for (const id of await change.openHolds(of)) {
    const reason = "grant" in of ? "the grant it was to run under has ended" : "the session that waited has ended"
    await withdrawHold(change, await held(change, id), { ...settled, reason })
  }
}
