// Two ends of an in-memory connection.
import { Duplex } from "node:stream"

export interface Wire {
  readonly near: Duplex
  readonly far: Duplex
}

/**
 * What is written to one end is read from the other; destroying one end ends the other, as a socket's peer sees it. As on a
 * network, nothing arrives while it is still being written: an answer never overtakes the end of what it answers.
 */
export function wire(): Wire {
  const near = new End()
  const far = new End()
  near.peer = far
  far.peer = near
  near.on("close", () => far.destroy())
  far.on("close", () => near.destroy())
  for (const end of [near, far]) end.on("error", () => {})
  return { near, far }
}

class End extends Duplex {
  peer!: End
  #taken: (() => void) | undefined

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    setImmediate(() => {
      if (this.peer.push(chunk)) done()
      else this.peer.#taken = done
    })
  }

  override _final(done: () => void): void {
    setImmediate(() => {
      this.peer.push(null)
      done()
    })
  }

  override _read(): void {
    const taken = this.#taken
    this.#taken = undefined
    taken?.()
  }

  override _destroy(failure: Error | null, done: (failure?: Error | null) => void): void {
    this.#taken?.()
    done(failure)
  }
}
