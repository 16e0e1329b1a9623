// A client's connection to the gateway: who is it, and what for. `ssh gateway …` runs verbs, `ssh -J gateway login@target`
// opens channels in which a target is served (`jump.ts`), and `ssh login@target@gateway` is a target's connection at once.
import type { Duplex } from "node:stream"
import type { AuthContext } from "ssh2"
import { GatewayError } from "../../src/core/errors.ts"
import type { Identity } from "../../src/core/identity.ts"
import type { Gate, Host } from "../../src/gateway/contract.ts"
import { Reader } from "./codec.ts"
import type { ChannelOpening, Connection, ConnectionOwner, GlobalAnswer } from "./connection.ts"
import { recordable } from "./environment.ts"
import { serveHandshake } from "./handshake.ts"
import type { HostKeys } from "./host_keys.ts"
import { serveJump } from "./jump.ts"
import type { KeyLife } from "./key_renewal.ts"
import { keyLogin, loginMethods, noMethod } from "./key_login.ts"
import { refusalOf } from "./refusal.ts"
import { routeOf } from "./route.ts"
import { TargetSession } from "./target_session.ts"
import { serveVerb } from "./verb_channel.ts"

export interface DownstreamOptions {
  readonly client: Duplex
  readonly gate: Gate
  readonly host: Host
  readonly keys: HostKeys
  readonly life: KeyLife
}

interface JumpTo {
  readonly identity: Identity
  readonly target: string
  readonly port: number
}

export class Downstream implements ConnectionOwner {
  readonly #options: DownstreamOptions
  readonly #jumps = new Set<Promise<void>>()
  #connection: Connection | undefined
  #identity: Identity | undefined
  /** Set once a login went to a target: from then on all channels are its. */
  #target: TargetSession | undefined

  constructor(options: DownstreamOptions) {
    this.#options = options
  }

  /** First byte to last. */
  async serve(): Promise<void> {
    const { client, gate, host, keys, life } = this.#options
    await serveHandshake({
      socket: client,
      keys: keys.for(host.name),
      owner: this,
      log: gate.log,
      clock: host.clock,
      life,
      onConnection: (connection) => (this.#connection = connection),
      login: (attempt) => this.#login(attempt),
    })
    await Promise.all([...this.#jumps, this.#target?.ended])
  }

  onOpen(opening: ChannelOpening): void {
    if (this.#target) return this.#target.onOpen(opening)
    const identity = this.#identity
    if (!identity) return opening.refuse(...refusalOf(new GatewayError("unauthenticated")))
    if (opening.type === "session") return this.#verbs(opening, identity)
    if (opening.type === "direct-tcpip") {
      const reader = new Reader(opening.data) // what it throws closes the connection; in a promise it would end the process
      return void this.#jump(opening, { identity, target: reader.text(), port: reader.uint32() })
    }
    this.#options.gate.log.info({ subject: identity.subject, refused: recordable(opening.type) }, "a kind of channel that is not offered")
    opening.refuse(...refusalOf(new GatewayError("unsupported", { what: "this kind of channel" })))
  }

  onGlobal(name: string, data: Buffer): GlobalAnswer | Promise<GlobalAnswer> {
    if (this.#target) return this.#target.onGlobal(name, data)
    if (name === "no-more-sessions@openssh.com") return true
    if (/forward/.test(name)) this.#options.gate.log.info({ refused: recordable(name) }, "remote forwarding is not offered")
    return false
  }

  onBroken(why: GatewayError): void {
    this.#options.gate.log.info({ err: why }, "the client broke the protocol")
  }

  async #login(attempt: AuthContext): Promise<true | readonly string[]> {
    const { gate, host, life } = this.#options
    const identity = await keyLogin(attempt, gate)
    if (identity === undefined) return loginMethods
    if (identity === "asked") return true // ssh2 then answers that the key would do, and nothing more
    const route = routeOf(attempt.username)
    if (route.to === "target") {
      const target = new TargetSession(host, gate, life)
      target.attach(this.#connection!)
      try {
        await target.open({ identity, target: route.target, login: route.login })
      } catch (failure) {
        return this.#cannotOpen(failure)
      }
      this.#target = target
    }
    this.#identity = identity
    gate.settled()
    return true
  }

  #cannotOpen(failure: unknown): readonly string[] {
    if (!(failure instanceof GatewayError)) throw failure
    this.#connection?.transport.banner(failure.say)
    return noMethod
  }

  #verbs(opening: ChannelOpening, identity: Identity): void {
    const { host, gate } = this.#options
    serveVerb({ channel: opening.accept(), identity, verbs: host.verbs, log: gate.log })
  }

  /** The grant is checked before the channel is confirmed, as far as it can be without the login's name. */
  async #jump(opening: ChannelOpening, { identity, target, port }: JumpTo): Promise<void> {
    const { host, gate, keys, life } = this.#options
    try {
      if (!(await gate.reaches(identity, target, port))) {
        gate.log.info({ subject: identity.subject, target: recordable(target), port }, "no grant reaches this target")
        throw new GatewayError("no_grant", { ask: host.ask(recordable(target)) })
      }
    } catch (failure) {
      return opening.refuse(...refusalOf(GatewayError.from(failure, "stale")))
    }
    const served = serveJump({ channel: opening.accept(), identity, target, gate, host, keys, life })
      .catch((err: unknown) => gate.log.error({ err }, "a connection inside a connection failed"))
      .finally(() => this.#jumps.delete(served))
    this.#jumps.add(served)
  }
}
