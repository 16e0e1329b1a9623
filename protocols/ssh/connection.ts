// The connection layer of SSH (RFC 4254) above one transport, for both roles: it opens, numbers and bounds channels, answers
// global requests, and hands everything to its owner. It decides nothing: what may be opened is the owner's answer.
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { type Carrier, Channel, accepted_packet_bytes_max, packet_bytes_min, type Remote } from "./channel.ts"
import { message, pack, Reader } from "./codec.ts"
import { disconnectReason, type Transport } from "./transport.ts"

/** Of a refused channel (RFC 4254, section 5.1). */
export const openFailure = { prohibited: 1, connect_failed: 2, unknown_type: 3, shortage: 4 } as const

/** The other side wants a channel. One of `accept` and `refuse` must be called, once; later is fine. */
export interface ChannelOpening {
  /** "session", "direct-tcpip", … */
  readonly type: string
  /** What the type adds. */
  readonly data: Buffer
  accept(): Channel
  refuse(reason: number, words: string): void
}

export type GlobalAnswer = boolean | Buffer

/** Why the other side opened no channel: the cause of a `target_broke`. */
export class ChannelRefused extends Error {
  /** One of `openFailure`, or another number. */
  readonly reason: number

  constructor(reason: number) {
    super(`the other side refused a channel (${reason})`)
    this.reason = reason
  }
}

export interface ConnectionOwner {
  onOpen(opening: ChannelOpening): void
  /** Answers a global request: true succeeds, and a buffer does with what it says. Answers go out in the order of the requests. */
  onGlobal(name: string, data: Buffer): GlobalAnswer | Promise<GlobalAnswer>
  /** The peer broke the protocol; the connection is being closed. */
  onBroken(why: GatewayError): void
}

/** The last answer that has to wait, and how many refusals are to follow it. */
interface Answers {
  readonly settled: Promise<void>
  refused: number
}

export class Connection implements Carrier {
  readonly transport: Transport
  /** The socket is closed; every channel is gone. */
  readonly closed: Promise<void>
  readonly #owner: ConnectionOwner
  readonly #channels = new Map<number, Channel>()
  readonly #pending = new Map<number, (opened: Channel | GatewayError) => void>()
  #opening = 0
  #ended = false
  #next = 0
  #drains: (() => void)[] = []
  /** Answers to global requests that wait for the one before them. */
  #answers: Answers | undefined
  #globals = 0

  constructor(transport: Transport, owner: ConnectionOwner) {
    this.transport = transport
    this.#owner = owner
    const { socket } = transport
    this.closed = new Promise((resolve) => socket.once("close", resolve)).then(() => this.#over())
    socket.on("drain", () => {
      if (!this.#full) this.#drained()
    })
    transport.onKeys = () => this.#renewed()
    transport.intercept((payload) => this.#receive(payload))
  }

  get channels(): Iterable<Channel> {
    return this.#channels.values()
  }

  openSession(): Promise<Channel> {
    return this.#open("session", Buffer.alloc(0))
  }

  /**
   * Asks for a channel; `data` is what its type adds. Throws `target_broke` when it is refused, and when there are so many already: one
   * whose other end has gone lives on until this side has taken what was its.
   */
  open(type: string, data: Buffer): Promise<Channel> {
    if (this.#channels.size < limits.ssh_channels_max) return this.#open(type, data)
    return Promise.reject(new GatewayError("target_broke", {}, new ChannelRefused(openFailure.shortage)))
  }

  #open(type: string, data: Buffer): Promise<Channel> {
    if (this.#ended) return Promise.reject(new GatewayError("target_broke"))
    const channel = new Channel(this, this.#next++)
    this.#channels.set(channel.id, channel)
    return new Promise((resolve, reject) => {
      this.#pending.set(channel.id, (opened) => (opened instanceof GatewayError ? reject(opened) : resolve(opened)))
      this.transport.send(
        Buffer.concat([Buffer.of(message.channel_open), pack(type, channel.id, limits.ssh_window_bytes, accepted_packet_bytes_max), data]),
      )
    })
  }

  /**
   * Sends a global request. `read` makes something of the answer (undefined: it failed, or the connection ended) before the next
   * message is looked at; what it made is the answer here.
   */
  request<T>(name: string, data: Buffer, read: (said: Buffer | undefined) => T): Promise<T> {
    if (this.#ended) return Promise.resolve(read(undefined))
    return new Promise((resolve) => this.transport.request(name, data, (said) => resolve(read(said))))
  }

  whenDrained(task: () => void): void {
    if (this.#full) this.#drains.push(task)
    else task()
  }

  forget(channel: Channel): void {
    this.#channels.delete(channel.id)
  }

  get #full(): boolean {
    return this.transport.exchanging || this.transport.socket.writableNeedDrain
  }

  #renewed(): void {
    for (const channel of this.#channels.values()) channel.sendWaiting()
    if (!this.#full) this.#drained()
  }

  #drained(): void {
    for (const task of this.#drains.splice(0)) task()
  }

  #over(): void {
    this.#ended = true
    for (const channel of this.#channels.values()) channel.deliverClose()
    for (const settle of this.#pending.values()) settle(new GatewayError("target_broke"))
    this.#pending.clear()
    this.#drained()
  }

  /** True: dealt with. Everything below the connection layer is ssh2's. */
  #receive(payload: Buffer): boolean {
    const kind = payload[0]!
    // More answers than anybody would leave unread, or an exchange of keys that never ends.
    if (this.transport.unsent > limits.ssh_unsent_bytes_max || this.transport.overdue) {
      this.transport.socket.destroy()
      return true
    }
    if (kind < message.global_request || kind === message.request_success || kind === message.request_failure) return false
    try {
      if (!this.transport.authenticated) throw broken(`message ${kind} before the login`)
      this.#dispatch(kind, new Reader(payload, 1))
    } catch (failure) {
      const error = GatewayError.from(failure, "protocol_broken")
      this.#owner.onBroken(error)
      this.transport.disconnect(disconnectReason.protocol_error, error.say)
      this.transport.socket.destroy()
    }
    return true
  }

  #dispatch(kind: number, reader: Reader): void {
    switch (kind) {
      case message.channel_data:
        return this.#data(this.#channel(reader), undefined, reader)
      case message.channel_extended_data: {
        const channel = this.#channel(reader)
        return this.#data(channel, reader.uint32(), reader)
      }
      case message.channel_window_adjust: {
        const channel = this.#channel(reader)
        if (channel?.deliverWindow(reader.uint32()) === false) throw broken("a window larger than there can be")
        return
      }
      case message.channel_request: {
        const channel = this.#channel(reader)
        const type = reader.text()
        const wantReply = reader.bool()
        return channel?.deliverRequest(type, wantReply, reader.rest())
      }
      case message.channel_eof:
        return this.#channel(reader)?.deliverEof()
      case message.channel_close:
        return this.#channel(reader)?.deliverClose()
      case message.channel_success:
        return this.#channel(reader)?.deliverReply(true)
      case message.channel_failure:
        return this.#channel(reader)?.deliverReply(false)
      case message.channel_open:
        return this.#asked(reader)
      case message.channel_open_confirmation:
      case message.channel_open_failure:
        return this.#answered(kind, reader)
      case message.global_request:
        return this.#global(reader)
      default:
        throw broken(`message ${kind} is not known`)
    }
  }

  /** Undefined for one that we have forgotten: its last messages may still be under way. */
  #channel(reader: Reader): Channel | undefined {
    const id = reader.uint32()
    if (id >= this.#next || this.#pending.has(id)) throw broken(`no channel ${id}`)
    return this.#channels.get(id)
  }

  #data(channel: Channel | undefined, extended: number | undefined, reader: Reader): void {
    const data = reader.bytes()
    if (channel && !channel.deliver(data, extended)) {
      throw broken("more data than the window allows, or after its end")
    }
  }

  #asked(reader: Reader): void {
    const type = reader.text()
    const remote = readRemote(reader)
    const data = Buffer.from(reader.rest())
    const refuse = (reason: number, words: string): void =>
      this.transport.send(Buffer.concat([Buffer.of(message.channel_open_failure), pack(remote.id, reason, words, "")]))
    if (this.#channels.size + this.#opening >= limits.ssh_channels_max) return refuse(openFailure.shortage, "too many channels")
    this.#opening++
    this.#owner.onOpen({
      type,
      data,
      refuse: (reason, words) => {
        this.#opening--
        refuse(reason, words)
      },
      accept: () => {
        this.#opening--
        const channel = new Channel(this, this.#next++)
        this.#channels.set(channel.id, channel)
        channel.attach(remote)
        if (this.#ended) {
          channel.deliverClose()
          return channel
        }
        this.transport.send(
          Buffer.concat([
            Buffer.of(message.channel_open_confirmation),
            pack(remote.id, channel.id, limits.ssh_window_bytes, accepted_packet_bytes_max),
          ]),
        )
        return channel
      },
    })
  }

  #answered(kind: number, reader: Reader): void {
    const id = reader.uint32()
    const settle = this.#pending.get(id)
    const channel = this.#channels.get(id)
    if (!settle || !channel) throw broken("an answer to no question")
    this.#pending.delete(id)
    if (kind === message.channel_open_confirmation) {
      channel.attach(readRemote(reader))
      return settle(channel)
    }
    this.#channels.delete(id)
    settle(new GatewayError("target_broke", {}, new ChannelRefused(reader.uint32())))
  }

  #global(reader: Reader): void {
    const name = reader.text()
    const wantReply = reader.bool()
    const answer = this.#owner.onGlobal(name, Buffer.from(reader.rest()))
    const send = (given: GlobalAnswer): void => {
      if (!wantReply) return
      const said = Buffer.isBuffer(given) ? given : Buffer.alloc(0)
      this.transport.send(Buffer.concat([Buffer.of(given === false ? message.request_failure : message.request_success), said]))
    }
    if (!(answer instanceof Promise) && !this.#answers) return send(answer)
    if (this.#answers) this.transport.ignore() // who only asks whether we are alive must not wait for others' answers: clients count anything as a sign
    // They go on asking for as long as somebody else takes to decide, so such an answer is only counted.
    if (answer === false && this.#answers) return void (wantReply && this.#answers.refused++)
    if (++this.#globals > limits.ssh_globals_max) throw broken("more global requests than anybody waits for")
    const settled = Promise.all([answer, this.#answers?.settled]).then(([given]) => {
      this.#globals--
      if (this.#answers === answers) this.#answers = undefined
      send(given)
      for (; answers.refused > 0 && !this.transport.over; answers.refused--) this.transport.send(Buffer.of(message.request_failure))
    })
    const answers: Answers = { settled, refused: 0 }
    this.#answers = answers
  }
}

function readRemote(reader: Reader): Remote {
  const remote = { id: reader.uint32(), window: reader.uint32(), packet_bytes_max: reader.uint32() }
  if (remote.packet_bytes_max < packet_bytes_min) throw broken("a channel whose packets hold next to nothing")
  return remote
}

const broken = (what: string): GatewayError => new GatewayError("protocol_broken", {}, new Error(what))
