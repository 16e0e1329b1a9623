// A request's body on its way to the target, as the stream undici reads: counted, held back when the target is slow, and stopped
// at the session's end.
import type { IncomingMessage } from "node:http"
import { Readable } from "node:stream"
import { limits } from "../../src/core/limits.ts"
import type { Session } from "../../src/gateway/contract.ts"

export class Upload extends Readable {
  /** Bytes that were forwarded. */
  bytes = 0
  readonly #request: IncomingMessage
  readonly #session: Session
  readonly #onData = (chunk: Buffer): void => this.#forward(chunk)
  readonly #onEnd = (): void => void this.push(null)
  readonly #onClose = (): void => {
    if (!this.#request.complete) this.destroy(new Error("the client stopped sending"))
  }

  constructor(request: IncomingMessage, session: Session) {
    super({ highWaterMark: request.readableHighWaterMark })
    this.#request = request
    this.#session = session
    request.on("data", this.#onData).on("end", this.#onEnd).on("close", this.#onClose).on("error", this.#onClose).pause()
  }

  override _read(): void {
    this.#request.resume()
  }

  /** The target has answered without reading all of it, or is gone: a small rest is dropped, a large one drops the connection. */
  override _destroy(failure: Error | null, callback: (failure: Error | null) => void): void {
    const request = this.#request
    request.off("data", this.#onData).off("end", this.#onEnd).off("close", this.#onClose)
    if (!request.complete && !request.destroyed) {
      let discarded = 0
      request.on("data", (chunk: Buffer) => {
        discarded += chunk.length
        if (discarded > limits.http_discarded_bytes_max) request.socket.destroy()
      })
      request.resume()
    }
    callback(failure)
  }

  #forward(chunk: Buffer): void {
    if (this.#session.signal.aborted) return void this.#request.pause()
    this.bytes += chunk.length
    this.#session.count("up", chunk.length)
    if (!this.push(chunk)) this.#request.pause()
  }
}
