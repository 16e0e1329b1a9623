// What time alone does, told and put on record: a request that nobody decided lapses, or more people may decide about it; a
// break-glass that nobody reviewed is overdue; a gateway that is not heard is lost. Looked for now and then, and done once, whoever of several services finds it first:
// inside a change the request is looked at again.
import { setImmediate as nextTurn } from "node:timers/promises"
import type { Clock, Millis, Timer } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import type { Log } from "../observe/log.ts"
import type { GatewayWatch } from "./gateways/gateway_watch.ts"
import { tellHold } from "./requests/holds.ts"
import { byRule, note } from "./journal.ts"
import type { Change, DueRequest, Store } from "./store.ts"

export interface SweeperOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  readonly watch: Pick<GatewayWatch, "look">
}

/** Of each kind, told in one change: what waits for its turn meanwhile waits no longer than for a few decisions. */
const at_once_max = 8

export class Sweeper {
  readonly #options: SweeperOptions
  #timer: Timer | undefined
  #sweeping: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: SweeperOptions) {
    this.#options = options
  }

  start(): void {
    this.#sweeping = this.#sweep()
      .catch((err: unknown) => this.#options.log.warn({ err }, "could not look for what is due; trying again"))
      .finally(() => {
        if (!this.#stopped) this.#timer = this.#options.clock.after(limits.sweep_ms, () => this.start())
      })
  }

  async close(): Promise<void> {
    this.#stopped = true
    this.#timer?.cancel()
    await this.#sweeping
  }

  /** All that is due, a few at a time: those who ask and decide have their turns between them. */
  async #sweep(): Promise<void> {
    const { store, clock, watch } = this.#options
    await watch.look()
    const until = clock.now() + limits.sweep_ms // then the gateways are looked at again
    while (!this.#stopped && clock.now() < until && (await store.dueRequests(clock.now(), 1)).length > 0) {
      await store.change(async (change) => {
        const now = clock.now()
        for (const one of await change.dueRequests(now, at_once_max)) await tell(change, one, now)
      })
      await nextTurn()
    }
  }
}

async function tell(change: Change, { id, why }: DueRequest, at: Millis): Promise<void> {
  const request = await change.request(id)
  if (!request) return
  const { rule, grant } = request
  const about = { at, actor: byRule(rule), rule, request: id }
  switch (why) {
    case "lapsed":
      await change.markTold(id, why)
      await note(change, { ...about, kind: "request.lapsed", detail: { lapses_at: request.lapses_at } })
      return tellHold(change, id, { actor: about.actor, now: at, status: "lapsed" })
    case "escalate": {
      const to = request.escalation?.to ?? []
      await change.escalateRequest(id, [...new Set([...request.approve_by, ...to])])
      return void (await note(change, { ...about, kind: "request.escalated", detail: { to } }))
    }
    case "review_overdue":
      await change.markTold(id, why)
      return void (await note(change, { ...about, kind: "break_glass.overdue", grant: grant?.id ?? null, detail: request.review }))
  }
}
