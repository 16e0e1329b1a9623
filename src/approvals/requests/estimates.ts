// How much a held SQL statement would do, for who decides about it: asked for here, answered by the gateway that holds it, which has the
// target's planner guess without running anything. The answer is kept with the request.
import type { Estimate } from "../../api/hold_schema.ts"
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { RequestId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import { byGateway, type HoldProof, ofProof } from "./holds.ts"
import { byPerson, type Caller, note } from "../journal.ts"
import { mayDecide, maySee } from "../policy.ts"
import type { Store } from "../store.ts"

export interface EstimatesOptions {
  readonly store: Store
  readonly clock: Clock
}

export class Estimates {
  readonly #options: EstimatesOptions

  constructor(options: EstimatesOptions) {
    this.#options = options
  }

  /**
   * Asks the gateways. False: the answer to an earlier question is still good. Throws `over` when it does not wait any more, `invalid`
   * for what no planner knows, `forbidden`, `not_found`.
   */
  ask(caller: Caller, id: RequestId): Promise<boolean> {
    const { store, clock } = this.#options
    return store.change(async (change) => {
      const now = clock.now()
      const { person } = caller
      const request = await change.request(id)
      if (!request || !maySee(person, request)) throw new GatewayError("not_found")
      if (request.subject === person.name || !mayDecide(person, request)) throw new GatewayError("forbidden")
      const { hold } = request
      if (hold?.protocol !== "postgres") throw new GatewayError("invalid", { what: "only an SQL statement that waits can be estimated" })
      if (request.state !== "pending" || now >= request.lapses_at) throw new GatewayError("over")
      const { estimate } = hold
      if (estimate && now - estimate.asked_at < limits.estimate_again_ms) return estimate.answer === null
      await change.setHold(id, { ...hold, estimate: { asked_at: now, answer: null } })
      const { rule } = request
      const about = { rule, request: id, grant: hold.grant, session: hold.session }
      await note(change, { at: now, kind: "hold.estimate_asked", actor: byPerson(caller), ...about, detail: { digest: hold.digest } })
      return true
    })
  }

  /** Of the gateway whose session waits. Throws `not_found` for what is not this session's, `over` when nobody asked. */
  answer(id: RequestId, { estimate, ...proof }: HoldProof & { readonly estimate: Estimate }): Promise<void> {
    const { store, clock } = this.#options
    return store.change(async (change) => {
      const now = clock.now()
      const request = await ofProof(change, id, proof)
      const { hold, rule } = request
      if (hold?.estimate?.answer !== null) throw new GatewayError("over")
      await change.setHold(id, { ...hold, estimate: { ...hold.estimate, answer: estimate } })
      const about = { rule, request: id, grant: hold.grant, session: proof.session }
      await note(change, { at: now, kind: "hold.estimated", actor: byGateway(proof), ...about, detail: estimate })
    })
  }
}
