// Requests that wait while the rules change. Each is looked at once under the rules as they are: one that nobody could ask for any
// more, or that waits for people whom its rule does not name any more, lapses, with words; an approval whose giver is not named any more
// is taken away, so that nobody counts on it. Whether a grant may be made is checked at each decision anyway: this only tells people.
import type { AccessRule } from "../../config/config.ts"
import type { CurrentConfig } from "../../config/current_config.ts"
import { namedIn } from "../../core/approval_plan.ts"
import type { Clock, Millis, Timer } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { RequestId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import { byService, note } from "../journal.ts"
import type { Known, People } from "../people/people.ts"
import { approvals, type RulesNow, standingApprovals, stillRuled, type StillRuled } from "./request_state.ts"
import type { Change, RequestRecord, Store } from "../store.ts"

export interface WaitingOptions {
  readonly store: Store
  readonly current: CurrentConfig
  readonly people: People
  readonly clock: Clock
  readonly log: Log
}

export class Waiting {
  readonly #options: WaitingOptions
  #looking: Promise<void> = Promise.resolve()
  #timer: Timer | undefined
  #stopped = false

  constructor(options: WaitingOptions) {
    this.#options = options
  }

  /** Looks at all of them, from now on; when the store cannot be used, again after a while. */
  look(): void {
    this.#timer?.cancel()
    this.#looking = this.#looking
      .then(() => this.#all())
      .catch((err: unknown) => {
        this.#options.log.warn({ err }, "could not look at the requests that wait; trying again")
        if (!this.#stopped) this.#timer = this.#options.clock.after(limits.sweep_ms, () => this.look())
      })
  }

  async close(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#looking
  }

  /** A few in each change: others decide in between. */
  async #all(): Promise<void> {
    const { store, clock } = this.#options
    for (let last = 0; !this.#stopped;) {
      const some = await store.pendingRequests({ after: last as RequestId, now: clock.now(), limit: limits.waiting_requests_max })
      if (some.length === 0) return
      await store.change(async (change) => {
        for (const id of some) await this.#look(change, id)
      })
      last = some.at(-1) ?? last
    }
  }

  async #look(change: Change, id: RequestId): Promise<void> {
    const { current, people, clock } = this.#options
    const now = clock.now()
    const request = await change.request(id)
    if (request?.state !== "pending" || now >= request.lapses_at) return
    const rules = { ...current(), asker: await people.find(request.subject, change), now }
    const reason = pointless(rules, request)
    if (reason !== undefined) {
      await change.lapseRequest(id, now)
      await note(change, {
        at: now,
        kind: "request.lapsed",
        actor: byService,
        reason,
        rule: request.rule,
        request: id,
        detail: { lapses_at: now },
      })
      return
    }
    const ruled = orUndefined(() => stillRuled(rules, request))
    if (ruled) await this.#takeAway(change, request, { ruled, now })
  }

  async #takeAway(
    change: Change,
    request: RequestRecord,
    { ruled, now }: { readonly ruled: StillRuled; readonly now: Millis },
  ): Promise<void> {
    const there = new Map<string, Known>()
    const given = approvals(request).map(({ by }) => by)
    for (const by of given) {
      const known = await this.#options.people.find(by, change)
      if (known) there.set(by, known)
    }
    const standing = new Set(standingApprovals(ruled, request, there).map(({ by }) => by))
    for (const by of given.filter((one) => !standing.has(one))) {
      await change.dropApproval(request.id, by)
      const reason = "the rule does not let them decide any more"
      await note(change, {
        at: now,
        kind: "request.unapproved",
        actor: byService,
        reason,
        rule: request.rule,
        request: request.id,
        detail: { by },
      })
    }
  }
}

const noRule = "no rule lets it be asked for any more"
const otherPeople = "its rule names other people now: ask again"

/** Why there is nothing left to decide. The hours of a rule are no reason: they come again. */
function pointless(rules: RulesNow, request: RequestRecord): string | undefined {
  const names = new Set([...request.approve_by, ...(request.escalation?.to ?? [])])
  let reason = noRule
  for (const rule of rules.policy.access.map(always)) {
    const ruled = orUndefined(() => stillRuled({ ...rules, policy: { ...rules.policy, access: [rule] } }, request))
    if (!ruled) continue
    const named = ruled.plan === undefined ? undefined : [...namedIn(ruled.plan), ...ruled.escalated]
    if (named === undefined || named.some((name) => names.has(name))) return undefined
    reason = otherPeople
  }
  return reason
}

function always({ schedule: _schedule, ...rule }: AccessRule): AccessRule {
  return rule
}

/** What `ask` answers; undefined when it refuses. */
function orUndefined<T>(ask: () => T): T | undefined {
  try {
    return ask()
  } catch (failure) {
    if (failure instanceof GatewayError) return undefined
    throw failure
  }
}
