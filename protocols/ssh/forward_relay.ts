// One forwarded connection: two channels, one on either side, and the bytes between them, which are counted and not kept. What
// may be forwarded, and that it is on record, is settled before this begins.
import { once } from "node:events"
import { GatewayError } from "../../src/core/errors.ts"
import type { Session } from "../../src/gateway/contract.ts"
import { pump } from "../../src/gateway/pump.ts"
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
  const bytes = { up: 0, down: 0 }
  const told = (status: Outcome["status"]): Forwarded => ({
    status: session.signal.aborted ? "cut" : status,
    bytes_up: bytes.up,
    bytes_down: bytes.down,
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
  const pass = (way: "up" | "down") => (chunk: Buffer) => {
    bytes[way] += chunk.length
    return chunk
  }
  const back = direction === "up" ? "down" : "up"
  // A side that has gone takes no more: that ends a direction, and is no failure of the other one.
  const toFar = pump({ from: near, to: far, session, direction, pass: pass(direction) }).catch(() => {})
  const toNear = pump({ from: far, to: near, session, direction: back, pass: pass(back) }).catch(() => {})
  const cut = Promise.withResolvers<void>()
  const onCut = (): void => {
    for (const side of [near, far]) {
      side.silence()
      side.closeNow()
    }
    cut.resolve()
  }
  session.signal.addEventListener("abort", onCut, { once: true })
  await Promise.race([
    Promise.all([toFar, toNear]),
    far.gone.then(() => toNear),
    near.gone.then(() => toFar), // what the client sent before it left is still the target's
    cut.promise,
  ])
  await Promise.race([Promise.all([taken(near), taken(far)]), cut.promise])
  session.signal.removeEventListener("abort", onCut)
  near.destroy()
  far.destroy()
  return told("ok")
}

/** All that was written to `side` has been sent, or it has gone. */
async function taken(side: Channel): Promise<void> {
  if (!side.writableEnded) side.end()
  if (!side.writableFinished) await Promise.race([once(side, "finish").catch(() => {}), side.gone])
}

function failureOf(failure: unknown): GatewayError {
  const error = GatewayError.from(failure, "target_broke")
  if (!(error.cause instanceof ChannelRefused)) return error
  const { reason } = error.cause
  if (reason === openFailure.shortage) return new GatewayError("too_many", {}, error)
  const not = reason === openFailure.prohibited || reason === openFailure.unknown_type
  return new GatewayError("forward_failed", not ? { what: "the target itself does not allow this forward" } : {}, error)
}
