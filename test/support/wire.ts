// Two ends of an in-memory connection.
import { Duplex, duplexPair } from "node:stream"

export interface Wire {
  readonly near: Duplex
  readonly far: Duplex
}

/** What is written to one end is read from the other; destroying one end ends the other, as a socket's peer sees it. */
export function wire(): Wire {
  const [near, far] = duplexPair()
  near.on("close", () => far.destroy())
  far.on("close", () => near.destroy())
  for (const end of [near, far]) end.on("error", () => {})
  return { near, far }
}
