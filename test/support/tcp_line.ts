// A TCP line to a server that a test can make deaf, as a network is that has gone without a word, or keep waiting; or that is
// slow by nature.
import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"
import type { LocalAddress } from "./port.ts"

export interface TcpLine {
  /** "127.0.0.1:52044", where to connect to in place of the server. */
  readonly at: string
  readonly port: number
  /** From now on nothing arrives, either way, and nobody is told: whoever sends thinks that it was taken. */
  swallow(): void
  /** From now on nothing is taken, either way, until `go`: whoever sends must wait. */
  stall(): void
  go(): void
  close(): Promise<void>
}

export interface LineOptions {
  /** How fast what the server says arrives, of each connection. */
  readonly bytes_per_second?: number
}

const portion_ms = 50

export async function tcpLine(server: LocalAddress, { bytes_per_second = Infinity }: LineOptions = {}): Promise<TcpLine> {
  const sockets = new Set<Socket>()
  const state = { deaf: false, stalled: false }
  const carry = (from: Socket, to: Socket, portion_bytes: number): void => {
    from.on("data", (bytes: Buffer) => {
      if (!state.deaf) to.write(bytes)
      if (portion_bytes === Infinity) return
      from.pause()
      setTimeout(() => state.stalled || from.resume(), (bytes.length / portion_bytes) * portion_ms).unref()
    })
    from.on("error", () => {})
    from.on("close", () => {
      sockets.delete(from)
      if (!state.deaf) to.destroy()
    })
    if (state.stalled) from.pause()
    sockets.add(from)
  }
  const portion = (bytes_per_second * portion_ms) / 1000
  const listener = createServer((near) => {
    const far = connect({ ...server, noDelay: true })
    carry(near, far, Infinity)
    carry(far, near, portion)
  })
  listener.unref().listen(0, "127.0.0.1")
  await once(listener, "listening")
  const bound = listener.address()
  if (bound === null || typeof bound === "string") throw new Error("no port")
  return {
    at: `127.0.0.1:${bound.port}`,
    port: bound.port,
    swallow: () => void (state.deaf = true),
    stall() {
      state.stalled = true
      for (const socket of sockets) socket.pause()
    },
    go() {
      state.stalled = false
      for (const socket of sockets) socket.resume()
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      listener.close()
      await once(listener, "close")
    },
  }
}
