// The approval service as far as held actions go: what a gateway asks it, and what people answer. A test says the answers.
import type { HeldAction } from "../../src/api/hold_schema.ts"
import type { Clock } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import type { RequestId } from "../../src/core/ids.ts"
import type { Hold, HoldEnd, HoldService } from "../../src/gateway/actions/hold_book.ts"

export const hold_ms = 15 * 60_000

export class FakeHolds implements HoldService {
  readonly asked: FakeHold[] = []
  /** Nobody answers there. */
  away = false
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async hold({ action }: Parameters<HoldService["hold"]>[0]): Promise<Hold> {
    await new Promise(setImmediate)
    if (this.away) throw new GatewayError("stale")
    const one = new FakeHold(this.asked.length + 57, action, this.#clock)
    this.asked.push(one)
    return one
  }
}

export class FakeHold implements Hold {
  readonly request: RequestId
  readonly url: string
  readonly approvers = { of: ["oncall"], count: 1 }
  readonly expires_at: number
  readonly open = true
  readonly ended: Promise<HoldEnd>
  readonly action: HeldAction
  withdrawn = false
  left = false
  redeemed = 0
  /** The approval is gone when it is to be used. */
  gone = false
  readonly #end: (end: HoldEnd) => void

  constructor(number: number, action: HeldAction, clock: Clock) {
    this.request = number as RequestId
    this.url = `https://access.test/requests/${number}`
    this.action = action
    this.expires_at = clock.now() + hold_ms
    const { promise, resolve } = Promise.withResolvers<HoldEnd>()
    this.ended = promise
    this.#end = resolve
    clock.after(hold_ms, () => resolve({ how: "lapsed", by: [], reason: "" }))
  }

  approve(): void {
    this.#end({ how: "approved", by: ["bob@example.com"], reason: "" })
  }

  deny(reason: string): void {
    this.#end({ how: "denied", by: ["bob@example.com"], reason })
  }

  async redeem(): Promise<void> {
    await new Promise(setImmediate)
    if (this.gone || this.redeemed > 0 || this.withdrawn) throw new GatewayError("over")
    this.redeemed++
  }

  withdraw(): void {
    this.withdrawn = true
    this.#end({ how: "withdrawn", by: [], reason: "" })
  }

  leave(): void {
    this.left = true
    this.#end({ how: "withdrawn", by: [], reason: "" })
  }
}
