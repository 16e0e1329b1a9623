// Reading a conversation before the relay begins: exactly as many bytes as are asked for, never more, under one bound for the
// whole of it. It stops at the byte it was asked for; `release` leaves the rest in the stream for whoever reads next.
import type { Duplex } from "node:stream"
import { GatewayError } from "../../src/core/errors.ts"
import { nothing } from "./codec.ts"

export interface Message {
  /** The type's letter. */
  readonly type: string
  readonly body: Buffer
}

export class Inlet {
  readonly #stream: Duplex
  #left: number
  #taken = nothing

  /** At most `bytes_max` are read in all; more throws `too_large`. */
  constructor(stream: Duplex, bytes_max: number) {
    this.#stream = stream
    this.#left = bytes_max
  }

  /** Bytes that have arrived and were not asked for yet. */
  get waiting(): number {
    return this.#taken.length + this.#stream.readableLength
  }

  /** The next `count` bytes, or undefined when the stream ends before them. */
  async bytes(count: number): Promise<Buffer | undefined> {
    if (count > this.#left) throw new GatewayError("too_large")
    while (this.#taken.length < count) {
      const chunk = this.#stream.read() as Buffer | null
      if (chunk) this.#taken = Buffer.concat([this.#taken, chunk])
      else if (!(await this.#readable())) return undefined
    }
    this.#left -= count
    const wanted = this.#taken.subarray(0, count)
    this.#taken = this.#taken.subarray(count)
    return wanted
  }

  /** The next message with a type; undefined when the stream ends before it. */
  async message(length_max: number): Promise<Message | undefined> {
    const header = await this.bytes(5)
    if (!header) return undefined
    const length = header.readInt32BE(1)
    if (length < 4) throw new GatewayError("protocol_broken", {}, new Error(`a message of length ${length}`))
    if (length > length_max) throw new GatewayError("too_large")
    const body = await this.bytes(length - 4)
    return body && { type: header.toString("latin1", 0, 1), body }
  }

  /** Gives back what was read and not asked for. */
  release(): void {
    if (this.#taken.length > 0) this.#stream.unshift(this.#taken)
    this.#taken = nothing
  }

  /**
   * Calls `task` when the other side ends, or speaks where it should listen, for as long as nothing else is read. Answers how to stop
   * looking; what it said is still there.
   */
  onEnd(task: () => void): () => void {
    const stream = this.#stream
    const look = (): void => {
      stream.read(0) // an end is only seen by who reads
      if (this.waiting > 0 || stream.destroyed || stream.readableEnded) task()
    }
    stream.on("readable", look).on("end", task).on("close", task).on("error", task)
    look()
    return () => void stream.off("readable", look).off("end", task).off("close", task).off("error", task)
  }

  /** Waits until there may be something to read; false when nothing more will come. */
  #readable(): Promise<boolean> {
    const stream = this.#stream
    return new Promise((resolve) => {
      if (stream.destroyed || stream.readableEnded) return resolve(false)
      const settle = (more: boolean) => {
        stream.off("readable", onReadable).off("end", onEnd).off("close", onEnd).off("error", onEnd)
        resolve(more)
      }
      const onReadable = () => settle(true)
      const onEnd = () => settle(false)
      stream.on("readable", onReadable).on("end", onEnd).on("close", onEnd).on("error", onEnd)
    })
  }
}
