// Two sides and the bytes between them, each way until it ends, as a forwarded connection is. It counts and keeps nothing. What may
// be connected, and that it is on record, is settled before; what a cut says to either side is its owner's.
import { once } from "node:events"
import type { Duplex } from "node:stream"
import type { Session } from "./contract.ts"
import { pump } from "./pump.ts"

export interface Side {
  readonly stream: Duplex
  /** Settles when it takes no more; what it sent can still be read. */
  readonly gone: Promise<void>
}

export interface BothWays {
  readonly session: Pick<Session, "signal" | "count">
  readonly near: Side
  readonly far: Side
  /** Which way the bytes of `near` go. */
  readonly direction: "up" | "down"
}

export interface Passed {
  readonly bytes_up: number
  readonly bytes_down: number
}

/** Settles when both sides have ended and have taken what was theirs, or one has gone, or at the session's end. Never rejects. */
export async function passBothWays({ session, near, far, direction }: BothWays): Promise<Passed> {
  const bytes = { up: 0, down: 0 }
  const cut = Promise.withResolvers<void>()
  const onCut = (): void => cut.resolve()
  session.signal.addEventListener("abort", onCut, { once: true })
  if (session.signal.aborted) onCut()
  const flow = (from: Side, to: Side, way: "up" | "down"): Promise<void> => {
    const pass = (chunk: Buffer): Buffer => {
      bytes[way] += chunk.length
      return chunk
    }
    // A side that has gone takes no more: that ends a direction, and is no failure of the other one.
    return pump({ from: from.stream, to: to.stream, session, direction: way, pass }).catch(() => {})
  }
  const there = flow(near, far, direction)
  const back = flow(far, near, direction === "up" ? "down" : "up")
  // What a side sent before it left is still the other's.
  await Promise.race([Promise.all([there, back]), near.gone.then(() => there), far.gone.then(() => back), cut.promise])
  await Promise.race([Promise.all([taken(near), taken(far)]), cut.promise])
  session.signal.removeEventListener("abort", onCut)
  return { bytes_up: bytes.up, bytes_down: bytes.down }
}

/** All that was written to the side has been sent, or it has gone. */
async function taken({ stream, gone }: Side): Promise<void> {
  if (!stream.writableEnded) stream.end()
  if (!stream.writableFinished && !stream.destroyed) await Promise.race([once(stream, "finish").catch(() => {}), gone])
}
