// What may be shown once alone at all services of a store together, remembered there until it is over by itself. It costs a write:
// for what is bound to one service, `once.ts` does.
import type { Clock, Millis } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import { digestOf } from "./login/logins.ts"
import type { Store } from "./store.ts"

const kind = "assertion"

export class SharedOnce {
  readonly #store: Store
  readonly #clock: Clock

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#store = store
    this.#clock = clock
  }

  /** False: it was taken before. Throws `too_many` when there is no room to remember it, or what the store throws: it is not taken then. */
  take(id: string, until: Millis): Promise<boolean> {
    const digest = digestOf(id)
    // The clock of the service that forgets may be ahead of the one where it is shown again.
    const expires_at = until + limits.token_clock_skew_ms_max + 1
    return this.#store.change(async (change) => {
      await change.dropCodes(this.#clock.now())
      if (await change.code(kind, digest)) return false
      if ((await change.codeCount(kind)) >= limits.gateway_assertions_shared_max) throw new GatewayError("too_many")
      await change.addCode({ digest, kind, user_code: null, expires_at, detail: {} })
      return true
    })
  }
}
