// Two ends of an in-memory connection that behave as a socket's: what was written before an end was destroyed still arrives,
// then comes the end of the stream.
import { Duplex, duplexPair } from "node:stream"

export interface Wire {
  readonly near: Duplex
  readonly far: Duplex
}

/** What is written to one end is read from the other; destroying one end ends the other. */
export function wire(): Wire {
  const [near, far] = duplexPair()
  for (const [end, other] of [
    [near, far],
    [far, near],
  ] as const) {
    end.on("error", () => {})
    end.on("close", () => {
      if (other.destroyed) return
      if (!end.writableEnded) other.push(null)
      if (other.readableEnded) other.destroy()
      else other.once("end", () => other.destroy())
    })
  }
  return { near, far }
}
