// One secured SSH connection as ssh2 gives it, and in one place what ssh2 leaves out: words in a DISCONNECT, a banner at any
// moment of the login, the signature algorithms named right, keys that are renewed before they are worn (`key_renewal.ts`), and
// every decrypted payload before ssh2 sees it. Key exchange, encryption and the login messages stay ssh2's; the connection layer
// above is ours (`connection.ts`).
//
// While keys are exchanged nothing but the exchange may be sent (RFC 4253, section 7.1). Small messages wait in ssh2's queue;
// channel data waits in its channel, where a full peer makes the writer wait and a cut drops it (`exchanging`, `onKeys`).
//
// ssh2 1.17 has no public door to any of this, so its `Protocol` object is described here as far as it is used; the tests in
// test/unit/ssh/transport.test.ts fail when a new version moves it.
import type { Duplex } from "node:stream"
import type { Clock } from "../../src/core/clock.ts"
import { limits } from "../../src/core/limits.ts"
import { message, pack } from "./codec.ts"
import { type CertifiedKey, logInCertified } from "./certificate_login.ts"
import { readAsPlainKey } from "./host_trust.ts"
import { offerHybrid } from "./hybrid_exchange.ts"
import { KeepAlive } from "./keep_alive.ts"
import { forgetExchange, propose } from "./key_exchange.ts"
import { type KeyLife, KeyRenewal } from "./key_renewal.ts"

/** The part of ssh2's `lib/protocol/Protocol.js` that is used. */
export interface Ssh2Protocol {
  _onPayload(payload: Buffer): number | boolean | undefined
  _onPacket(): void
  _onHandshakeComplete(negotiated: Negotiated): void
  /** Proposes an exchange of keys, unless one is under way. */
  rekey(): void
  _kex: KeyExchange | undefined
  readonly _server: boolean
  _decipher: { _onPayload(payload: Buffer): number | boolean | undefined } | undefined
  /** What we propose: ssh2's `KexInit`, made from the lists it shows. */
  _offer: { readonly lists: OfferLists; constructor: unknown }
  _hostKeys: Record<string, unknown> | undefined
  /** Defined during a key exchange: what is sent then waits in `_queue`. */
  _kexinit: Buffer | undefined
  _queue: Buffer[] | undefined
  readonly _authenticated: boolean
  readonly _cipher: { encrypt(packet: Buffer): void }
  readonly _packetRW: {
    readonly write: {
      readonly allocStart: number
      readonly allocStartKEX: number
      alloc(payload_bytes: number, force?: boolean): Buffer
      finalize(packet: Buffer, force?: boolean): Buffer
    }
  }
  /** Client: which login each answer to come is about. */
  readonly _authsQueue: string[]
  authNone(username: string): void
  channelData(channel: number, data: Buffer): void
  channelExtData(channel: number, data: Buffer, type: number): void
}

interface OfferLists {
  readonly kex: { array: readonly string[] }
  readonly serverHostKey: OfferList
  readonly cs: { readonly cipher: OfferList; readonly mac: OfferList; readonly compress: OfferList; readonly lang: OfferList }
}

interface OfferList {
  readonly array: readonly string[]
}

export interface Negotiated {
  readonly kex: string
  serverHostKey: string
}

/** Of ssh2's `lib/protocol/kex.js`; which functions it calls and when is what `hybrid_exchange.ts` builds on. */
export interface KeyExchange {
  readonly negotiated: Negotiated
  remoteExtInfoEnabled: boolean
  /** The peer's KEXINIT, as it goes into the exchange hash. */
  _remoteKexinit: Buffer | undefined
  /** Of the first exchange's hash; what logins sign. */
  readonly sessionID: Buffer | undefined
  /** Client: what the server showed. */
  _hostKey: Buffer | undefined
  hashName: string
  generateKeys(): void
  /** What is sent for the exchange; a server is asked after `computeSecret`. */
  getPublicKey(): Buffer
  convertPublicKey(message: Buffer): Buffer
  /** The secret K, as it goes into the exchange hash behind its length. */
  computeSecret(message: Buffer): Buffer | Error
}

/** What ssh2's server connection and its client have in common. */
export interface Ssh2Connection {
  readonly _protocol?: Ssh2Protocol
  /** Client: who waits for the answer to a global request, in order. ssh2's server makes none, and reads over the answers. */
  readonly _callbacks?: ((failed: boolean | Error, said?: Buffer | null) => void)[]
  readonly _sock?: Duplex
}

/** Of `disconnect`'s reasons (RFC 4253, section 11.1), those that are used. */
export const disconnectReason = {
  protocol_error: 2,
  service_not_available: 7,
  by_application: 11,
  too_many_connections: 12,
  no_more_auth_methods: 14,
} as const

/** Public key algorithms a client may sign its login with (RFC 8308, section 3.1). ssh2's own list lacks a comma and has SHA-1 in it. */
const signatureAlgorithms = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
] as const

/** What a message in a queue costs beside its payload. */
const queued_overhead_bytes = 128

export class Transport {
  readonly socket: Duplex
  /** New keys are in use; called after each exchange, when what waited for it has been sent. */
  onKeys: (() => void) | undefined
  /** For how long nothing had come when the other side was given up; undefined as long as it was not. */
  silent_ms: number | undefined
  readonly #clock: Clock
  readonly #keepalive_ms: number
  readonly #protocol: Ssh2Protocol
  readonly #connection: Ssh2Connection
  readonly #renewal: KeyRenewal
  #over = false
  #queued = 0
  /** Of messages since the socket was full. */
  #untaken = 0

  constructor(connection: Ssh2Connection, clock: Clock, life: KeyLife) {
    const { _protocol: protocol, _sock: socket } = connection
    if (!protocol || !socket) throw new TypeError("not a connection of ssh2")
    this.#protocol = protocol
    this.#connection = connection
    this.socket = socket
    this.#clock = clock
    this.#keepalive_ms = life.keepalive_ms ?? limits.ssh_keepalive_ms
    socket.once("close", () => (this.#over = true))
    socket.on("drain", () => (this.#untaken = 0))
    this.#renewal = new KeyRenewal(clock, life)
    const complete = protocol._onHandshakeComplete
    protocol._onHandshakeComplete = (negotiated) => {
      this.#renewal.renewed()
      this.#queued = 0
      complete(negotiated)
      forgetExchange(protocol)
      this.onKeys?.()
    }
  }

  /** Nothing can be sent any more. */
  get over(): boolean {
    return this.#over
  }

  /** Keys are being exchanged: what is sent now waits until that is over. */
  get exchanging(): boolean {
    return this.#protocol._kexinit !== undefined
  }

  /** The peer goes on talking and does not take part in an exchange of keys. */
  get overdue(): boolean {
    return this.exchanging && this.#renewal.overdue
  }

  /** Bytes that wait: for the socket, or for the end of an exchange. */
  get unsent(): number {
    return this.socket.writableLength + this.#queued
  }

  /** Whether the login is over. */
  get authenticated(): boolean {
    return this.#protocol._authenticated
  }

  /** Shows every decrypted payload to `handle` first; what it answers true to, ssh2 does not see. Only before the key exchange. */
  intercept(handle: (payload: Buffer) => boolean): void {
    const protocol = this.#protocol
    const pass = protocol._onPayload
    protocol._onPayload = (payload) => {
      this.#count("received", payload.length)
      if (payload.length === 0 || !handle(payload)) return pass(payload)
      protocol._onPacket() // ssh2 calls it for what it sees
      return undefined
    }
  }

  /** Watches whether the other side is there, from the login on. `onSilent`: it is not, and `silent_ms` says for how long. */
  keepAlive(onSilent: () => void): void {
    const watch = new KeepAlive({
      clock: this.#clock,
      interval_ms: this.#keepalive_ms,
      ask: () => this.request("keepalive@openssh.com", Buffer.alloc(0), () => {}),
      onSilent: (for_ms) => {
        this.silent_ms = for_ms
        onSilent()
      },
    })
    this.#protocol._onPacket = () => watch.heard()
    this.socket.once("close", () => watch.stop())
  }

  /** Server: proposes these ciphers and no others. Only before the key exchange. */
  offerCiphers(ciphers: readonly string[]): void {
    propose(this.#protocol, { ciphers })
  }

  /** Client: takes these kinds of host keys, certificates with them, and no others. Only before the key exchange. */
  takeHostKeys(algorithms: readonly string[]): void {
    propose(this.#protocol, { hostKeys: algorithms })
    readAsPlainKey(this.#protocol)
  }

  /** Client: logs in with a certificate where ssh2 would try `none`. */
  logInCertified(certified: CertifiedKey): void {
    logInCertified(this.#protocol, this, certified)
  }

  /** Proposes the post-quantum exchange before all others. Behind other changes of the proposal, and before the key exchange. */
  offerHybrid(): void {
    offerHybrid(this.#protocol)
  }

  /** Server: tells the client which signatures it may make, as the first message under the new keys. Only before the key exchange. */
  announceSignatureAlgorithms(): void {
    const protocol = this.#protocol
    const complete = protocol._onHandshakeComplete
    let first = true
    protocol._onHandshakeComplete = (negotiated) => {
      const wanted = first && protocol._kex?.remoteExtInfoEnabled === true
      first = false
      if (protocol._kex) protocol._kex.remoteExtInfoEnabled = false
      if (wanted) this.send(Buffer.concat([Buffer.of(message.ext_info), pack(1, "server-sig-algs", signatureAlgorithms.join(","))]))
      complete(negotiated)
    }
  }

  /** Not for data, which waits: what a peer that takes nothing is told is bounded here, whoever provokes it. */
  send(payload: Buffer): void {
    if (this.#over) return
    if (this.socket.writableNeedDrain && (this.#untaken += payload.length + queued_overhead_bytes) > limits.ssh_untaken_bytes_max) {
      this.#over = true // at once: there may be many more to send in this turn, and a destroyed socket says that it takes them
      return void this.socket.destroy()
    }
    const protocol = this.#protocol
    const { write } = protocol._packetRW
    const packet = write.alloc(payload.length)
    packet.set(payload, write.allocStart)
    const final = write.finalize(packet)
    if (protocol._kexinit === undefined) {
      protocol._cipher.encrypt(final)
      this.#count("sent", payload.length)
    } else {
      ;(protocol._queue ??= []).push(final)
      this.#queued += payload.length + queued_overhead_bytes
    }
  }

  /** What waits for the end of an exchange is never sent. */
  dropWaiting(): void {
    if (this.#protocol._queue) this.#protocol._queue = []
    this.#queued = 0
  }

  /**
   * A global request (RFC 4254, section 4), behind ssh2's own. `onAnswer` gets what the answer says, or undefined when it failed or the
   * connection ended; it is called before the message after the answer is read.
   */
  request(name: string, data: Buffer, onAnswer: (said: Buffer | undefined) => void): void {
    this.#connection._callbacks?.push((failed, said) => onAnswer(failed === false ? (said ?? Buffer.alloc(0)) : undefined))
    this.send(Buffer.concat([Buffer.of(message.global_request), pack(name, true), data]))
  }

  /** Channel data by ssh2's own shorter way. */
  sendData(channel: number, data: Buffer, extended: number | undefined): void {
    if (this.#over) return
    if (extended === undefined) this.#protocol.channelData(channel, data)
    else this.#protocol.channelExtData(channel, data, extended)
    this.#count("sent", data.length)
  }

  /** Text a client prints while it logs in (RFC 4252, section 5.4). */
  banner(text: string): void {
    this.send(Buffer.concat([Buffer.of(message.userauth_banner), pack(`${text}\r\n`, "")]))
  }

  /** A message that says nothing (RFC 4253, section 11.2): to be heard. */
  ignore(): void {
    this.send(Buffer.concat([Buffer.of(message.ignore), pack("")]))
  }

  /** Words for whoever wants to see them (RFC 4253, section 11.3): OpenSSH shows them with -v, others in a log of theirs. */
  debug(words: string): void {
    this.send(Buffer.concat([Buffer.of(message.debug), pack(true, words, "")]))
  }

  /** The last message, with words; it overtakes a key exchange in progress, as it may. The socket ends behind it. */
  disconnect(reason: number, words: string): void {
    if (this.#over) return
    this.dismiss(reason, words)
    this.socket.end()
  }

  /**
   * The same, and the other side is to close: one that is writing at that moment would find its way gone, and die of that before it has
   * read why. Whoever calls it bounds the wait.
   */
  dismiss(reason: number, words: string): void {
    if (this.#over) return
    this.#over = true
    const payload = Buffer.concat([Buffer.of(message.disconnect), pack(reason, words, "")])
    const { write } = this.#protocol._packetRW
    const packet = write.alloc(payload.length, true)
    packet.set(payload, write.allocStartKEX)
    this.#protocol._cipher.encrypt(write.finalize(packet, true))
    this.#protocol._queue = undefined
  }

  /** Only once somebody is logged in: before that there is little to protect, and one more exchange to provoke. */
  #count(direction: "sent" | "received", payload_bytes: number): void {
    this.#renewal.count(direction, payload_bytes)
    if (!this.exchanging && !this.#over && this.authenticated && this.#renewal.worn) this.#protocol.rekey()
  }
}
