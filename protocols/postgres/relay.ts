// Both directions of one logged-in connection, from the first query to the end of either side. It forwards through the pump and
// keeps the client's stream readable to the last: what Sluice itself says goes between two messages of the server, or not at all.
import type { Duplex } from "node:stream"
import type { Action } from "../../src/core/action.ts"
import type { Clock } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { PostgresPooler } from "../../src/core/target.ts"
import type { Estimate, Session } from "../../src/gateway/contract.ts"
import { pump } from "../../src/gateway/pump.ts"
import { Backend } from "./backend.ts"
import { byteOf, nothing } from "./codec.ts"
import type { ColumnValues } from "./column_values.ts"
import { Conversation } from "./conversation.ts"
import { Frontend } from "./frontend.ts"
import { header_bytes, Scanner } from "./scanner.ts"

export interface Sides {
  readonly client: Duplex
  readonly upstream: Duplex
  readonly session: Session
  readonly clock: Clock
  readonly pooler: PostgresPooler
  /** Of a target with protected columns. */
  readonly columns: ColumnValues | undefined
  /** How much a statement would do. Never rejects. */
  estimate(action: Action): Promise<Estimate>
}

export class Relay {
  readonly #sides: Sides
  readonly #talk: Conversation
  readonly #frontend: Frontend
  readonly #backend: Backend
  readonly #up: Scanner
  readonly #down: Scanner
  /** What is to be said when the server's message is over. */
  #unsaid: Buffer[] = []
  #waits = false
  /** What the client sent while a statement waits for a decision, with that statement. */
  #kept: Buffer[] | undefined
  #keptBytes = 0

  constructor(sides: Sides) {
    this.#sides = sides
    const { session, clock, pooler, columns, estimate } = sides
    this.#talk = new Conversation(session, clock, pooler)
    this.#frontend = new Frontend(this.#talk, { readOn: () => this.#readOn(), say: (words) => this.say(words), columns, estimate })
    this.#backend = new Backend(this.#talk)
    this.#up = new Scanner(this.#frontend)
    this.#down = new Scanner(this.#backend)
  }

  /** What the server said at the login, message by message: its settings among it. */
  hear(greeting: readonly Buffer[]): void {
    for (const message of greeting) if (message[0] === byteOf("S")) this.#talk.reading.hear(message.subarray(header_bytes))
  }

  /** Whether something runs on the target. */
  get busy(): boolean {
    return this.#talk.busy
  }

  /** Whether the target waits for more of a COPY. */
  get copying(): boolean {
    return this.#talk.copying
  }

  /** Whether words of ours can be read by the client now: the last message it got is whole. */
  get between(): boolean {
    return this.#down.between
  }

  /** Whether a statement waited for a decision; it is taken back. */
  withdraw(): boolean {
    return this.#frontend.withdraw()
  }

  /** Settles when nothing runs on the target any more and the client has the answers. */
  async finished(): Promise<void> {
    const { client } = this.#sides
    await this.#talk.finished()
    if (client.writable) await new Promise((resolve) => client.write(nothing, resolve))
  }

  /**
   * At the session's end: what the target still says is read, to see when nothing runs there any more, and goes nowhere. Settles then,
   * or when its connection is gone.
   */
  drain(): Promise<void> {
    const { upstream } = this.#sides
    return new Promise((resolve) => {
      if (!this.busy || upstream.destroyed) return resolve()
      const onData = (chunk: Buffer): void => {
        try {
          this.#down.pass(chunk)
        } catch (failure) {
          upstream.destroy(failure instanceof Error ? failure : undefined)
        }
        if (!this.busy) resolve()
      }
      upstream.on("data", onData).once("close", resolve).once("end", resolve).resume()
    })
  }

  /** A notice, now or after the message that is on its way. */
  say(words: Buffer): void {
    if (this.between) this.#sides.client.write(words)
    else this.#unsaid.push(words)
  }

  /**
   * Settles when the client has left, the server has closed after saying why, or the session was cut. Rejects with what the
   * client should be told: `protocol_broken`, `too_large`, `target_broke`.
   */
  async run(): Promise<void> {
    const { client, upstream, session } = this.#sides
    session.signal.addEventListener("abort", () => this.#talk.close(isCut(session.signal) ? "cut" : "lost"), { once: true })
    const up = pump({ from: client, to: upstream, session, direction: "up", end: false, pass: (chunk) => this.#passUp(chunk) })
    const down = pump({ from: upstream, to: client, session, direction: "down", end: false, pass: (chunk) => this.#passDown(chunk) })
    const first = await Promise.race([
      up.then(
        () => "client" as const,
        (failure: unknown) => this.#clientBroke(failure),
      ),
      down.then(
        () => "target" as const,
        (failure: unknown) => this.#targetBroke(failure),
      ),
    ])
    if (session.signal.aborted) return
    this.#talk.close("lost")
    if (first === "target" && !this.#backend.saidFatal && !this.#frontend.terminated) throw new GatewayError("target_broke")
  }

  #passUp(chunk: Buffer): Buffer | Buffer[] | null {
    if (this.#kept) return this.#keep(chunk, null)
    const parts = this.#up.pass(chunk)
    this.#frontend.tellPrepared()
    const unread = this.#up.takeUnread()
    if (unread) {
      this.#waits = true
      // Until somebody has decided, or the server has answered enough, the client is read on only to see that it leaves: then what waits
      // never runs, and what runs does not go on for nobody.
      return this.#keep(unread, parts)
    }
    return parts
  }

  #keep(chunk: Buffer, parts: Buffer | Buffer[] | null): Buffer | Buffer[] | null {
    this.#kept ??= []
    this.#kept.push(chunk)
    this.#keptBytes += chunk.length
    if (this.#keptBytes > limits.postgres_held_bytes_max) this.#sides.client.pause()
    return parts
  }

  #passDown(chunk: Buffer): Buffer | Buffer[] | null {
    const parts = this.#down.pass(chunk)
    this.#readOn()
    if (this.#unsaid.length === 0 || !this.between) return parts
    const said = this.#unsaid
    this.#unsaid = []
    return [...(parts === null ? [] : Buffer.isBuffer(parts) ? [parts] : parts), ...said]
  }

  /** What waited is looked at again. */
  #readOn(): void {
    if (!this.#waits || (this.#talk.held && this.#kept && !this.#frontend.decided)) return
    if (this.#talk.oneByOne && this.#talk.answering) return
    const { client } = this.#sides
    this.#waits = false
    if (this.#kept) {
      client.pause()
      client.unshift(Buffer.concat(this.#kept))
      this.#kept = undefined
      this.#keptBytes = 0
    }
    setImmediate(() => client.resume())
  }

  /** A socket that fails is a client that left; only what it wrote can be against the protocol. */
  #clientBroke(failure: unknown): "client" {
    if (failure instanceof GatewayError) this.#refuse(failure)
    return "client"
  }

  /** What the client had sent may turn out wrong only by what the server says to it. */
  #targetBroke(failure: unknown): never {
    if (failure instanceof GatewayError && failure.kind !== "protocol") this.#refuse(failure)
    throw new GatewayError("target_broke", {}, failure)
  }

  #refuse(failure: GatewayError): never {
    this.#sides.session.recorder.write({ kind: "refused", what: failure.message })
    throw failure
  }
}

/** A session also ends because its client left. */
const isCut = ({ reason }: AbortSignal): boolean => reason instanceof GatewayError && reason.kind === "ended"
