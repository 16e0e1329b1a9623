// Gateways that speak for another: refused, and put on record, each now and then so that no gateway can fill the audit log.
import type { Clock, Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import type { GatewayCaller } from "./gateway_credentials.ts"
import { note } from "../journal.ts"
import type { Store } from "../store.ts"

export class GatewayRefusals {
  readonly #options: { readonly store: Store; readonly clock: Clock; readonly log: Log }
  /** When each was last put on record. Its keys are names of the list, and one for all that share a key. */
  readonly #noted = new Map<string, Millis>()

  constructor(options: { readonly store: Store; readonly clock: Clock; readonly log: Log }) {
    this.#options = options
  }

  /** Always throws `forbidden`. */
  async refuse({ name }: GatewayCaller, claimed: string, from: string): Promise<never> {
    const { store, clock, log } = this.#options
    const at = clock.now()
    const by = name ?? "the shared gateway_key"
    if (at - (this.#noted.get(by) ?? -Infinity) >= limits.gateway_refused_ms) {
      this.#noted.set(by, at)
      log.warn({ by, claimed, from }, "a gateway spoke under a name that is not its own")
      await store.change((change) =>
        note(change, { at, kind: "gateway.refused", actor: { actor: "gateway", by, from }, detail: { claimed } }),
      )
    }
    throw new GatewayError("forbidden")
  }
}
