// Actions of this gateway that wait for somebody's approval: asked for at the approval service, and settled by its feed, which brings
// every decision once and in order. What is not heard of in its time is over. It keeps no truth: whether an approval may be used is
// asked when it is used, and the service says yes once.
import { LRUCache } from "lru-cache"
import type { ApiClient } from "../../api/client.ts"
import type { Estimate, HeldAction, HoldStanding, HoldWanted } from "../../api/hold_schema.ts"
import type { Clock, Millis } from "../../core/clock.ts"
import type { RequestId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import { noEstimate } from "./row_estimate.ts"

type Standing = Omit<HoldStanding, "url" | "approvers">

/** What a hold became: decided, over by its time, or taken back by us. */
export type HoldEnd = Pick<Standing, "by" | "reason"> & { readonly how: "approved" | "denied" | "lapsed" | "withdrawn" }

export interface Hold {
  readonly request: RequestId
  readonly url: string
  readonly expires_at: Millis
  /** So many of these groups and people approve; undefined: not known. */
  readonly approvers: HoldStanding["approvers"]
  /** Whether somebody has still to decide. */
  readonly open: boolean
  /** Never rejects. */
  readonly ended: Promise<HoldEnd>
  /** Takes the approval. Throws `over` when it is gone, `stale` when there is no answer: then it may be lost. */
  redeem(): Promise<void>
  /** Nobody waits for it any more: an approval comes to nothing. */
  withdraw(): void
  /** We wait no longer; who asks again may still find it. */
  leave(): void
}

export interface HoldService {
  /** Throws what the service says, or `stale`. */
  hold(wanted: {
    readonly action: HeldAction
    readonly rule: HoldWanted["rule"]
    readonly binding: HoldWanted["binding"]
    /** How much it would do, for who asks that at the service. Never rejects. */
    estimate(request: RequestId, by: string): Promise<Estimate>
  }): Promise<Hold>
}

export interface HoldBookOptions {
  readonly gateway: string
  readonly api: Pick<ApiClient, "call">
  readonly clock: Clock
}

export class HoldBook implements HoldService {
  readonly #options: HoldBookOptions
  readonly #waiting = new Map<RequestId, Set<(end: HoldEnd) => void>>()
  /** What was heard, for those whose question is not answered yet. */
  readonly #heard = new LRUCache<RequestId, Standing>({ max: limits.holds_settled_max })

  /** What waits, for who wants it estimated. */
  readonly #estimators = new Map<RequestId, (by: string) => Promise<void>>()
  #estimating = 0

  constructor(options: HoldBookOptions) {
    this.#options = options
  }

  async hold({ action, rule, binding, estimate }: Parameters<HoldService["hold"]>[0]): Promise<Hold> {
    const { gateway, api, clock } = this.#options
    const standing = await api.call("hold", { body: { gateway, action, rule, binding } })
    const { id, url, expires_at } = standing
    const body = { gateway, session: action.session, digest: action.digest }
    const { promise: ended, resolve } = Promise.withResolvers<HoldEnd>()
    const timer = clock.after(Math.max(0, expires_at - clock.now()), () => end({ how: "lapsed", by: [], reason: "" }))
    const others = this.#waiting.get(id) ?? new Set()
    this.#waiting.set(id, others)
    const end = (how: HoldEnd): void => {
      timer.cancel()
      others.delete(end)
      if (this.#estimators.get(id) === estimator) this.#estimators.delete(id)
      if (others.size === 0 && this.#waiting.get(id) === others) this.#waiting.delete(id)
      resolve(how)
    }
    const estimator = async (by: string): Promise<void> => {
      const found = await this.#inTime(() => estimate(id, by))
      // Unheard, who asked is told nothing, and may ask again.
      await api.call("estimated", { id, body: { ...body, estimate: found } }).catch(() => {})
    }
    this.#estimators.set(id, estimator)
    others.add(end)
    const known = standing.status === "pending" ? this.#heard.get(id) : standing
    if (known) end(endOf(known))
    const takeBack = (): void => {
      end({ how: "withdrawn", by: [], reason: "" })
      // Unheard, it lapses by itself; and nobody but this session could use it.
      api.call("withdrawHold", { id, body }).catch(() => {})
    }
    return {
      request: id,
      url,
      expires_at,
      approvers: standing.approvers,
      open: known === undefined,
      ended,
      redeem: async () => void (await api.call("redeemHold", { id, body })),
      withdraw: takeBack,
      leave: () => end({ how: "withdrawn", by: [], reason: "" }),
    }
  }

  /** The feed told what became of one. */
  settle(standing: Standing): void {
    this.#heard.set(standing.id, standing)
    for (const end of this.#waiting.get(standing.id) ?? []) end(endOf(standing))
  }

  /** Somebody who may decide about one asks how much it would do. */
  estimate(request: RequestId, by: string): void {
    void this.#estimators.get(request)?.(by)
  }

  async #inTime(estimate: () => Promise<Estimate>): Promise<Estimate> {
    if (this.#estimating >= limits.estimates_max) return noEstimate("too many statements are estimated at once; try again in a moment")
    this.#estimating++
    const late = Promise.withResolvers<Estimate>()
    const timer = this.#options.clock.after(limits.estimate_ms_max, () => late.resolve(noEstimate("the target did not answer in time")))
    const found = estimate().finally(() => this.#estimating--)
    const first = await Promise.race([found, late.promise])
    timer.cancel()
    return first
  }

  /** The service tells another history: what was asked for is not there any more. */
  otherHistory(): void {
    this.#heard.clear()
    for (const all of this.#waiting.values()) for (const end of all) end({ how: "lapsed", by: [], reason: "" })
  }
}

function endOf({ status, by, reason }: Standing): HoldEnd {
  return { how: status === "pending" ? "lapsed" : status, by, reason }
}
