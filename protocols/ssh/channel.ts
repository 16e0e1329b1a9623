// One SSH channel (RFC 4254, section 5) as a duplex stream, for both roles. What waits here is bounded by the window we grant
// and by what the transport below has taken: reading grants more, and a write is done when the other side has room for it and
// the socket has swallowed it. ssh2's own channel does neither, and sends a chunk twice when both of its streams wait.
import { Duplex, Readable, Writable } from "node:stream"
import { limits } from "../../src/core/limits.ts"
import { message, pack } from "./codec.ts"
import type { Transport } from "./transport.ts"

const stderr_type = 1 // RFC 4254, section 5.2
const packet_bytes_max = 32 * 1024 // what every implementation must take (RFC 4253, section 6.1)
/** Less would cost us a packet for almost every byte we send. */
export const packet_bytes_min = 256
const window_bytes_max = 2 ** 32 - 1 // RFC 4254, section 5.2
/** What we ask for: so much less that the packet of a connection inside a channel still fits into one of that channel's. */
export const accepted_packet_bytes_max = packet_bytes_max - 256

/** What a channel needs of the connection it is on. */
export interface Carrier {
  readonly transport: Transport
  /** Runs `task` when the socket has room again: now, if it has. */
  whenDrained(task: () => void): void
  forget(channel: Channel): void
}

export interface Remote {
  readonly id: number
  readonly window: number
  readonly packet_bytes_max: number
}

type RequestHandler = (type: string, data: Buffer) => boolean

interface Waiting {
  readonly data: Buffer
  readonly extended: number | undefined
  readonly done: () => void
}

export class Channel extends Duplex {
  /** Our number for it. */
  readonly id: number
  /** Bytes towards the other side's stderr: to write for a server, to read for a client. */
  readonly stderr: Writable
  readonly stderrIn: Readable
  /** Answers one channel request: true succeeds, false fails. Unset, every request fails. */
  onRequest: RequestHandler | undefined
  /** Sees what is sent, to either stream, at the moment it is: what is written may never be. */
  onSent: ((data: Buffer) => void) | undefined
  /** Sees what the other side sends when it comes, whether or not anybody reads it yet. */
  onReceived: ((data: Buffer) => void) | undefined
  /** The other side has closed it, or the connection is gone; what it had sent can still be read. */
  readonly gone: Promise<void>

  readonly #carrier: Carrier
  #remote: Remote | undefined
  #outgoing = 0
  #incoming: number = limits.ssh_window_bytes
  #waiting: Waiting[] = []
  #replies: ((succeeded: boolean) => void)[] = []
  #state: "open" | "close_sent" | "close_received" | "closed" = "open"
  #silent = false
  #eof = false
  #settleGone!: () => void

  constructor(carrier: Carrier, id: number) {
    // Not destroyed by itself when both directions ended: the exit status may come after that.
    super({ highWaterMark: limits.ssh_waiting_bytes, autoDestroy: false })
    this.#carrier = carrier
    this.id = id
    this.gone = new Promise((resolve) => (this.#settleGone = resolve))
    this.stderr = new Writable({
      highWaterMark: limits.ssh_waiting_bytes,
      write: (data: Buffer, _encoding, done) => this.#send({ data, extended: stderr_type, done }),
    })
    this.stderrIn = new Readable({ highWaterMark: limits.ssh_waiting_bytes, read: () => this.#grant() })
    for (const stream of [this, this.stderr, this.stderrIn]) stream.on("error", () => {}) // whoever pumps it sees it; nobody must crash
  }

  get open(): boolean {
    return this.#state === "open"
  }

  /** The other side confirmed it, or asked for it. */
  attach(remote: Remote): void {
    this.#remote = remote
    this.#outgoing = remote.window
  }

  /** Sends a channel request; settles with the answer, true at once when none is wanted. */
  request(type: string, data: Buffer, wantReply = true): Promise<boolean> {
    if (this.#state !== "open" || !this.#remote) return Promise.resolve(false)
    this.#carrier.transport.send(Buffer.concat([Buffer.of(message.channel_request), pack(this.#remote.id, type, wantReply), data]))
    return wantReply ? new Promise((resolve) => this.#replies.push(resolve)) : Promise.resolve(true)
  }

  /** From now on nothing that is written is sent, nor what waits to be; only `lastWords` are. */
  silence(): void {
    this.#silent = true
    this.#dropWaiting()
  }

  /** To the other side's stderr, at once and ahead of anything that waits; dropped when the other side has no room for it. */
  lastWords(text: string): void {
    const data = Buffer.from(text)
    if (this.#state !== "open" || !this.#remote || this.#outgoing < data.length) return
    this.#outgoing -= data.length
    this.#carrier.transport.sendData(this.#remote.id, data, stderr_type)
  }

  /**
   * The other side has dealt with all that was sent before, or is gone. Some do nothing with it when they read a disconnect in the
   * same breath: OpenSSH's client leaves at once, with the last words still in its buffer. An answer to a question that nobody
   * knows comes after they were written (RFC 4254, section 5.4).
   */
  async heard(): Promise<void> {
    await this.request("keepalive@openssh.com", Buffer.alloc(0))
  }

  /** Everything written so far, to both streams, has been sent; or it never will be. */
  async flushed(): Promise<void> {
    const written = [this, this.stderr].map((stream) => new Promise<void>((resolve) => stream.write(Buffer.alloc(0), () => resolve())))
    await Promise.race([Promise.all(written), this.gone])
  }

  /** Sends CLOSE now; what was not sent is dropped. */
  closeNow(): void {
    if (this.#state === "closed" || this.#state === "close_sent") return
    this.#tell(message.channel_close)
    const over = this.#state === "close_received"
    this.#state = over ? "closed" : "close_sent"
    if (over) this.#carrier.forget(this)
    this.#dropWaiting()
  }

  // What the connection delivers.

  /** False: more than we granted, or after the end. */
  deliver(data: Buffer, extended: number | undefined): boolean {
    if (data.length > this.#incoming || this.#eof) return false
    this.#incoming -= data.length
    if (this.#state === "open") {
      if (extended === undefined) {
        this.onReceived?.(data)
        this.push(data)
      } else if (extended === stderr_type) this.stderrIn.push(data)
    }
    this.#grant()
    return true
  }

  /** False: more than a window may be. */
  deliverWindow(bytes: number): boolean {
    if (bytes > window_bytes_max - this.#outgoing) return false
    this.#outgoing += bytes
    this.sendWaiting()
    return true
  }

  /** Sends what waited for room, or for new keys, as far as it goes. */
  sendWaiting(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const each of waiting) this.#send(each)
  }

  deliverEof(): void {
    this.#eof = true
    this.push(null)
    this.stderrIn.push(null)
  }

  deliverRequest(type: string, wantReply: boolean, data: Buffer): void {
    const succeeded = this.#state === "open" && this.onRequest?.(type, data) === true
    if (wantReply && this.#state === "open") this.#tell(succeeded ? message.channel_success : message.channel_failure)
  }

  deliverReply(succeeded: boolean): void {
    this.#replies.shift()?.(succeeded)
  }

  /** CLOSE came, or the whole connection is gone. */
  deliverClose(): void {
    if (this.#state === "open") {
      this.#tell(message.channel_close)
      this.#state = "close_received"
    }
    this.#state = "closed"
    this.#carrier.forget(this)
    this.#dropWaiting()
    this.#replies.splice(0).forEach((reply) => reply(false))
    if (!this.readableEnded) this.push(null)
    this.stderrIn.push(null)
    if (!this.writableEnded) this.end()
    if (!this.stderr.writableEnded) this.stderr.end()
    this.#settleGone()
  }

  override _read(): void {
    this.#grant()
  }

  override _write(data: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#send({ data, extended: undefined, done })
  }

  override _final(done: () => void): void {
    if (this.#state === "open") this.#tell(message.channel_eof)
    done()
  }

  override _destroy(_failure: Error | null, done: (failure?: Error | null) => void): void {
    this.closeNow()
    done(null)
  }

  #tell(kind: number): void {
    if (this.#remote) this.#carrier.transport.send(Buffer.concat([Buffer.of(kind), pack(this.#remote.id)]))
  }

  /** Gives back window as our reader takes what came; in halves, so that it does not cost a message for every packet. */
  #grant(): void {
    if (this.#state !== "open" || !this.#remote) return
    const taken = limits.ssh_window_bytes - this.#incoming - this.readableLength - this.stderrIn.readableLength
    if (taken < limits.ssh_window_bytes / 2) return
    this.#incoming += taken
    this.#carrier.transport.send(Buffer.concat([Buffer.of(message.channel_window_adjust), pack(this.#remote.id, taken)]))
  }

  #send({ data, extended, done }: Waiting): void {
    const remote = this.#remote
    if (this.#state !== "open" || !remote || this.#silent) return done() // nobody is to have it
    const packet = Math.min(remote.packet_bytes_max, packet_bytes_max)
    let at = 0
    while (at < data.length && this.#outgoing > 0 && !this.#carrier.transport.exchanging) {
      const size = Math.min(data.length - at, this.#outgoing, packet)
      const part = size === data.length ? data : data.subarray(at, at + size)
      this.#carrier.transport.sendData(remote.id, part, extended)
      this.onSent?.(part)
      this.#outgoing -= size
      at += size
    }
    if (at < data.length) this.#waiting.push({ data: data.subarray(at), extended, done })
    else this.#carrier.whenDrained(done)
  }

  #dropWaiting(): void {
    for (const { done } of this.#waiting.splice(0)) done()
  }
}
