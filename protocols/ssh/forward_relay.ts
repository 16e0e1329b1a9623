// One forwarded connection: two channels, one on either side, and the bytes between them, which are counted and not kept. What
// may be forwarded, and that it is on record, is settled before this begins.
import { GatewayError } from "../../src/core/errors.ts"
import { type Passed, passBothWays, type Side } from "../../src/gateway/both_ways.ts"
import type { Session } from "../../src/gateway/contract.ts"
import type { Outcome } from "../../src/record/events.ts"
import type { Channel } from "./channel.ts"
import { type ChannelOpening, ChannelRefused, openFailure } from "./connection.ts"
import { refusalOf } from "./refusal.ts"

export interface Forward {
  readonly session: Session
  /** Of the side that asks; it is answered once the other side has answered. */
  readonly opening: ChannelOpening
  /** Which way the asking side's bytes go: "up" from the client. */
  readonly direction: "up" | "down"
  /** Opens the channel on the other side. */
  open(): Promise<Channel>
}

export type Forwarded = Pick<Outcome, "status" | "bytes_up" | "bytes_down" | "duration_ms">

/** Settles when both channels are closed; never rejects. */
export async function relayForward({ session, opening, direction, open }: Forward): Promise<Forwarded> {
  const began = performance.now()
  const told = (status: Outcome["status"], passed: Passed = { bytes_up: 0, bytes_down: 0 }): Forwarded => ({
    status: session.signal.aborted ? "cut" : status,
    ...passed,
    duration_ms: Math.round(performance.now() - began),
  })
  let far: Channel
  try {
    far = await open()
  } catch (failure) {
    opening.refuse(...refusalOf(failureOf(failure).with({ session: session.id })))
    return told("error")
  }
  if (session.signal.aborted) {
    far.closeNow()
    opening.refuse(...refusalOf(GatewayError.from(session.signal.reason, "target_broke")))
    return told("cut")
  }
  const near = opening.accept()
  const onCut = (): void => {
    for (const side of [near, far]) {
      side.silence()
      side.closeNow()
    }
  }
  session.signal.addEventListener("abort", onCut, { once: true })
  const passed = await passBothWays({ session, near: sideOf(near), far: sideOf(far), direction })
  session.signal.removeEventListener("abort", onCut)
  near.destroy()
  far.destroy()
  return told("ok", passed)
}

const sideOf = (channel: Channel): Side => ({ stream: channel, gone: channel.gone })

function failureOf(failure: unknown): GatewayError {
  const error = GatewayError.from(failure, "target_broke")
  if (!(error.cause instanceof ChannelRefused)) return error
  const { reason } = error.cause
  if (reason === openFailure.shortage) return new GatewayError("too_many", {}, error)
  const not = reason === openFailure.prohibited || reason === openFailure.unknown_type
  return new GatewayError("forward_failed", not ? { what: "the target itself does not allow this forward" } : {}, error)
}
