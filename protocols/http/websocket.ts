// An upgraded connection: bytes both ways after the target's 101, and never before; at a cut a close frame with the reason, put
// between two frames of the target's, where the browser can read it (RFC 6455).
import type { Duplex } from "node:stream"
import type { GatewayError } from "../../src/core/errors.ts"
import type { Session } from "../../src/gateway/contract.ts"
import { pump } from "../../src/gateway/pump.ts"
import { closeFrame, FrameScanner } from "./websocket_frames.ts"

export const isWebSocket = (upgrade: string | string[] | undefined): boolean =>
  typeof upgrade === "string" && upgrade.toLowerCase() === "websocket"

export interface TunnelEnds {
  readonly session: Session
  readonly client: Duplex
  /** What the client sent before it could know that it may; kept by the parser, so no larger than one read. */
  readonly head: Buffer
  readonly upstream: Duplex
}

export class Tunnel {
  readonly bytes = { up: 0, down: 0 }
  readonly #ends: TunnelEnds
  readonly #frames = new FrameScanner()

  constructor(ends: TunnelEnds) {
    this.#ends = ends
  }

  /** `headers`: of the target's 101, those that pass. Settles when either side has ended; rejects when one broke. */
  async run(headers: readonly string[]): Promise<void> {
    const { session, client, head, upstream } = this.#ends
    let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    for (let i = 0; i < headers.length; i += 2) answer += `${headers[i]}: ${headers[i + 1]}\r\n`
    client.write(`${answer}\r\n`, "latin1")
    if (head.length > 0) client.unshift(head)
    client.on("error", () => {}) // the pump hears it, and after it nobody needs to
    upstream.on("error", () => {})
    const up = (chunk: Buffer): Buffer => {
      this.bytes.up += chunk.length
      return chunk
    }
    const down = (chunk: Buffer): Buffer => {
      this.bytes.down += chunk.length
      this.#frames.see(chunk)
      return chunk
    }
    try {
      await Promise.race([
        pump({ from: upstream, to: client, session, direction: "down", pass: down }),
        pump({ from: client, to: upstream, session, direction: "up", pass: up }),
      ])
    } finally {
      // A WebSocket has no half-closed state. At a cut the client's side is left for the farewell.
      if (!session.signal.aborted) client.end(() => client.destroy())
      upstream.destroy()
    }
  }

  /** Settles when the client's kernel has the close frame. */
  async farewell(reason: GatewayError): Promise<void> {
    const { client } = this.#ends
    if (!this.#frames.atBoundary) return void client.destroy()
    const frame = closeFrame(reason.code === "shutdown" ? 1012 : 1008, reason.say)
    await new Promise<void>((resolve) => void client.end(frame, resolve).once("close", resolve))
  }
}
