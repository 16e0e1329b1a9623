// The one place where bytes pass from one side to the other. It forwards nothing after the session's signal, it records
// before it forwards, and it stops reading while the other side is full, so what waits in memory is one chunk.
import type { Readable, Writable } from "node:stream"
import type { Session } from "./contract.ts"

export interface Flow {
  readonly from: Readable
  readonly to: Writable
  readonly session: Pick<Session, "signal" | "count">
  readonly direction: "up" | "down"
  /**
   * Sees each chunk before it is forwarded, puts on record what must be, and answers what to forward: the chunk, a part or
   * parts of it in order, or null for nothing. Throwing ends the flow.
   */
  readonly pass?: (chunk: Buffer) => Buffer | readonly Buffer[] | null
  /** Whether the end of `from` ends `to`; true unless told. */
  readonly end?: boolean
}

/** Settles when `from` has ended and `to` has taken all of it, or at the session's end. Rejects when a side or `pass` fails. */
export function pump({ from, to, session, direction, pass, end = true }: Flow): Promise<void> {
  const { signal } = session
  return new Promise((resolve, reject) => {
    const settle = (failure?: unknown): void => {
      signal.removeEventListener("abort", onAbort)
      from.off("data", onData).off("end", onEnd).off("error", settle).off("close", onFromClose)
      to.off("drain", onDrain).off("error", settle).off("close", onToClose)
      if (failure === undefined) resolve()
      else reject(failure)
    }
    const forward = (part: Buffer): boolean => {
      session.count(direction, part.length)
      return to.write(part)
    }
    const onData = (chunk: Buffer): void => {
      if (signal.aborted) return
      let parts: Buffer | readonly Buffer[] | null
      try {
        parts = pass ? pass(chunk) : chunk
      } catch (failure) {
        from.pause()
        return settle(failure)
      }
      // `pass` may have found that this must not be forwarded, and cut the session.
      if (parts === null || signal.aborted) return
      let taken = true
      if (Buffer.isBuffer(parts)) taken = forward(parts)
      else {
        to.cork() // one write for all of them
        for (const part of parts) taken = forward(part)
        to.uncork()
      }
      if (!taken) from.pause()
    }
    const onDrain = (): void => {
      if (!signal.aborted) from.resume()
    }
    const onEnd = (): void => {
      if (end && !signal.aborted) to.end()
      settle()
    }
    const onAbort = (): void => {
      from.pause()
      settle()
    }
    // A stream that closes without `end` was destroyed: there is nothing more to forward.
    const onFromClose = (): void => settle()
    const onToClose = (): void => {
      from.pause()
      settle()
    }
    if (signal.aborted) return resolve()
    signal.addEventListener("abort", onAbort, { once: true })
    from.on("data", onData).on("end", onEnd).on("error", settle).on("close", onFromClose)
    to.on("drain", onDrain).on("error", settle).on("close", onToClose)
  })
}
