// A client's connection to the gateway: who is it, and what for. `ssh gateway …` runs verbs, `ssh -J gateway login@target`
// opens channels in which a target is served (`jump.ts`), and `ssh login@target@gateway` is a target's connection at once.
import type { Duplex } from "node:stream"
import type { AuthContext } from "ssh2"
import { GatewayError } from "../../src/core/errors.ts"
import type { Identity } from "../../src/core/identity.ts"
import type { Gate, Host, Visit } from "../../src/gateway/contract.ts"
import { Reader } from "./codec.ts"
import type { ChannelOpening, Connection, ConnectionOwner, GlobalAnswer } from "./connection.ts"
import { recordable } from "./environment.ts"
import { type LoginAnswer, serveHandshake } from "./handshake.ts"
import type { HostKeys } from "./host_keys.ts"
import { serveJump } from "./jump.ts"
import type { KeyLife } from "./key_renewal.ts"
import { keyLogin, loginMethods } from "./key_login.ts"
import { OpenRate } from "./open_rate.ts"
import { refusalOf } from "./refusal.ts"
import { routeOf } from "./route.ts"
import { isConversation, TargetLogin } from "./target_login.ts"
import { TargetSession } from "./target_session.ts"
import { serveVerb } from "./verb_channel.ts"

export interface DownstreamOptions {
  readonly client: Duplex
  readonly gate: Gate
  readonly host: Host
  readonly keys: HostKeys
  readonly life: KeyLife
}

interface Way {
  readonly identity: Identity
  readonly target: string
  readonly port: number
}

export class Downstream implements ConnectionOwner {
  readonly #options: DownstreamOptions
  readonly #session: TargetSession
  readonly #toTarget: TargetLogin
  /** Who has shown a key, whether or not that was enough to come in. */
  #proven: Identity | undefined
  /** Connections to targets inside this one. */
  readonly #inside = new Set<Promise<void>>()
  readonly #rate: OpenRate
  #connection: Connection | undefined
  #identity: Identity | undefined
  /** Set once a login went to a target: from then on all channels are its. */
  #target: TargetSession | undefined

  constructor(options: DownstreamOptions) {
    this.#options = options
    const { gate, host, life } = options
    this.#session = new TargetSession(host, gate, life)
    this.#toTarget = new TargetLogin({ gate, host, life, session: this.#session, onAsking: () => gate.settled() })
    this.#rate = new OpenRate(options.host.clock)
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
      onConnection: (connection) => {
        this.#connection = connection
        this.#session.attach(connection)
        this.#toTarget.attach(connection)
      },
      login: (attempt) => this.#login(attempt),
    })
    await Promise.all([...this.#inside, this.#target?.ended])
  }

  onOpen(opening: ChannelOpening): void {
    if (this.#target) return this.#target.onOpen(opening)
    const identity = this.#identity
    if (!identity) return opening.refuse(...refusalOf(new GatewayError("unauthenticated")))
    if (opening.type === "session") return this.#verbs(opening, identity)
    if (opening.type === "direct-tcpip") {
      const reader = new Reader(opening.data) // what it throws closes the connection; in a promise it would end the process
      const way = { identity, target: reader.text(), port: reader.uint32() }
      if (this.#rate.take() !== "taken") return opening.refuse(...refusalOf(new GatewayError("too_many")))
      return void this.#through(opening, way)
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

  async #login(attempt: AuthContext): Promise<LoginAnswer> {
    const { gate } = this.#options
    const route = routeOf(attempt.username)
    if (isConversation(attempt)) {
      const identity = this.#proven
      if (!identity || route.to !== "target") return loginMethods
      return this.#entered(identity, await this.#toTarget.converse(attempt, { identity, ...route }))
    }
    const identity = await keyLogin(attempt, gate)
    if (identity === undefined) return loginMethods
    if (identity === "asked") return true // ssh2 then answers that the key would do, and nothing more
    this.#proven = identity
    if (route.to === "target") return this.#entered(identity, await this.#toTarget.enter({ identity, ...route }, { proven: true }))
    this.#identity = identity
    gate.settled()
    return true
  }

  #entered(identity: Identity, answer: LoginAnswer): LoginAnswer {
    if (answer !== true) return answer
    this.#target = this.#session
    this.#identity = identity
    this.#options.gate.settled()
    return true
  }

  #verbs(opening: ChannelOpening, identity: Identity): void {
    const { host, gate } = this.#options
    serveVerb({ channel: opening.accept(), identity, verbs: host.verbs, log: gate.log })
  }

  /**
   * Whether there is a grant, or one may be asked for, is checked before the channel is confirmed: of a login's target as far as it
   * can be without the login's name.
   */
  async #through(opening: ChannelOpening, { identity, target, port }: Way): Promise<void> {
    const { host, gate, keys, life } = this.#options
    const carrier = this.#connection!.transport
    const jump = (): Promise<void> => serveJump({ channel: opening.accept(), carrier, identity, target, gate, host, keys, life })
    let served: Promise<void>
    try {
      if (await gate.reaches(identity, target, port)) served = jump()
      else {
        const serve = await gate.carried(identity, target, port)
        if (serve) served = serve(this.#visit(opening))
        else if (await gate.offer({ identity, target, as: undefined, port })) served = jump()
        else {
          gate.log.info({ subject: identity.subject, target: recordable(target), port }, "no grant reaches this target")
          throw new GatewayError("no_grant", { ask: host.ask(recordable(target), identity.subject) })
        }
      }
    } catch (failure) {
      return opening.refuse(...refusalOf(GatewayError.from(failure, "stale")))
    }
    const tracked = served
      .catch((err: unknown) => gate.log.error({ err }, "a connection inside a connection failed"))
      .finally(() => this.#inside.delete(tracked))
    this.#inside.add(tracked)
  }

  #visit(opening: ChannelOpening): Omit<Visit, "identity" | "target"> {
    const { transport, closed } = this.#connection!
    return {
      accept: () => {
        const channel = opening.accept()
        return { client: channel, gone: channel.gone }
      },
      refuse: (why) => opening.refuse(...refusalOf(why)),
      tell: (words) => transport.debug(words),
      gone: closed,
      silent_ms: () => transport.silent_ms,
    }
  }
}
