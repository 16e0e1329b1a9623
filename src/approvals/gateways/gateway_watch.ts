// Gateways that are not heard any more: after a bound they are given up, and their sessions are marked in the catalogue. Each is given
// up once, whichever of several services sees it first: inside the change it is looked at again. Silence counts only while we could
// have heard: a service that has just begun, was stopped or slept, or had no store, waits the whole bound first.
import type { Clock, Millis } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import type { GatewayRecord } from "./gateway_record.ts"
import { type Actor, note } from "../journal.ts"
import { endLost } from "../grants/sessions.ts"
import type { Store } from "../store.ts"

/** Sessions that one change ends: others must get their turn. */
const at_once_max = 500

export class GatewayWatch {
  readonly #store: Store
  readonly #clock: Clock
  /** Since when silence counts. */
  #listening: Millis
  #looked: Millis

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#store = store
    this.#clock = clock
    this.#listening = this.#looked = clock.now()
  }

  /** To be called every `sweep_ms`. Rejects when the store cannot be used. */
  async look(): Promise<void> {
    const now = this.#clock.now()
    if (now - this.#looked > limits.gateway_lost_ms / 2) this.#listening = now
    const [gateways, open] = await Promise.all([this.#store.gateways(), this.#store.openSessionCounts()])
    this.#looked = now
    if (now - this.#listening < limits.gateway_lost_ms) return
    const due = gateways.filter((one) => isSilent(one, now) || (one.lost_at !== null && open.has(one.name)))
    for (const { name } of due) await this.#giveUp(name)
    if (gateways.some((one) => isForgotten(one, now))) await this.#forget(now)
  }

  async #giveUp(name: string): Promise<void> {
    let more = true
    while (more)
      more = await this.#store.change(async (change) => {
        const now = this.#clock.now()
        const gateway = await change.gateway(name)
        if (!gateway || (gateway.lost_at === null && !isSilent(gateway, now))) return false // it was heard meanwhile
        if (gateway.lost_at === null) {
          await change.putGateway({ ...gateway, lost_at: now })
          const { instance, service, from, seen_at } = gateway
          const actor: Actor = { actor: "gateway", by: name, from: null }
          await note(change, { at: now, kind: "gateway.lost", actor, detail: { instance, service, from, seen_at } })
        }
        const sessions = await change.openSessions(name)
        for (const id of sessions.slice(0, at_once_max)) await endLost(change, id, now)
        return sessions.length > at_once_max
      })
  }

  async #forget(now: Millis): Promise<void> {
    await this.#store.change(async (change) => {
      const gateways = await change.gateways()
      await change.removeGateways(gateways.filter((one) => isForgotten(one, now)).map(({ name }) => name))
    })
  }
}

const isForgotten = ({ lost_at }: GatewayRecord, now: Millis): boolean => lost_at !== null && now - lost_at > limits.gateway_forgotten_ms
const isSilent = ({ lost_at, seen_at }: GatewayRecord, now: Millis): boolean => lost_at === null && now - seen_at >= limits.gateway_lost_ms
