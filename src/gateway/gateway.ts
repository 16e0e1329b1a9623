// The data plane, whole. Read this first: a client comes to a listener, stands before a gate, is identified, has its grant
// checked against the cache, and gets a session, which the register keeps until it ends. The feed brings what changes.
import assert from "node:assert/strict"
import { createApiClient, type ApiClient, type Credential } from "../api/client.ts"
import { StatementReader } from "../classify/statement_reader.ts"
import { ValueFinder } from "../classify/value_finder.ts"
import { formatAddress } from "../config/address.ts"
import type { Config } from "../config/config.ts"
import type { CurrentConfig } from "../config/current_config.ts"
import { askWith } from "../config/ways_in.ts"
import { readsStatements } from "../core/action_rules.ts"
import type { Clock } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import type { Keys } from "../core/keys.ts"
import { limits } from "../core/limits.ts"
import type { Address, ProtocolName } from "../core/target.ts"
import { createTokenVerifier, type TokenVerifier } from "../identity/tokens.ts"
import type { Log } from "../observe/log.ts"
import { recoverRecordings } from "../record/recover.ts"
import { type AskingService, askingService } from "./control_plane/asking_service.ts"
import { Authorities } from "./control_plane/authorities.ts"
import { boundedBy } from "./bounded.ts"
import type { AnyProtocol, Host, ServeCarried, Verbs } from "./contract.ts"
import { sessionRules } from "./actions/session_rules.ts"
import { connectTcp } from "./dial.ts"
import { Directory, type Somebody } from "./control_plane/directory.ts"
import { Feed } from "./control_plane/feed.ts"
import type { Threshold } from "./gate.ts"
import { GrantCache } from "./control_plane/grant_cache.ts"
import { grantService } from "./control_plane/grant_service.ts"
import { HoldBook } from "./actions/hold_book.ts"
import { LeaseBook } from "./lease_book.ts"
import { Listener } from "./listener.ts"
import { Presence } from "./control_plane/presence.ts"
import { Reporter } from "./control_plane/reporter.ts"
import { openServiceDoor } from "./control_plane/service_door.ts"
import { SessionRegister } from "./session_register.ts"
import { makeSettings, type Settings } from "./settings.ts"
import { TokenKeyring } from "./control_plane/token_keyring.ts"
import { alone, type Siblings, siblingsFor } from "./siblings.ts"
import { WaitingRoom } from "./waiting_room.ts"

export interface GatewayOptions {
  /** As it is at the start; `prepare` takes the next ones. */
  readonly config: Config
  readonly protocols: readonly AnyProtocol[]
  /** Where the approval service is, and what shows it that we are a gateway. */
  readonly approvals: { readonly url: string; readonly public_url: string; readonly credential: Credential }
  readonly keys: Keys
  readonly clock: Clock
  readonly log: Log
  /** The processes that share its ports; left out: it is the only one. */
  readonly siblings?: Siblings
  /** The verbs that come by ssh; they get the gateway's own client of the approval service, and ask what the config says now. */
  verbs(api: ApiClient, current: CurrentConfig): Verbs
}

/** A config that can be used from one moment to the next, or left alone. */
export interface Prepared {
  use(): void
  drop(): void
}

export class Gateway {
  readonly #options: GatewayOptions
  readonly #siblings: Siblings
  readonly #api: ApiClient
  readonly #door: ReturnType<typeof openServiceDoor>
  readonly #reporter: Reporter
  readonly #presence: Presence
  readonly #sessions: SessionRegister
  readonly #cache: GrantCache
  readonly #directory: Directory
  readonly #asking: AskingService
  readonly #room: WaitingRoom
  readonly #feed: Feed
  readonly #authorities: Authorities
  readonly #tokenKeys: TokenKeyring
  readonly #verifier: TokenVerifier
  readonly #statements = new StatementReader()
  readonly #values = new ValueFinder()
  readonly #holds: HoldBook
  readonly #listeners: Listener[] = []
  readonly #carried = new Map<ProtocolName, ServeCarried>()
  /** Undefined until it has started. */
  #settings: Settings | undefined
  #authoritiesAsked: Promise<void> | undefined

  constructor(options: GatewayOptions) {
    this.#options = options
    const { config, approvals, clock, log, siblings = alone } = options
    this.#siblings = siblings
    this.#api = createApiClient(approvals)
    this.#holds = new HoldBook({ gateway: config.gateway.name, api: this.#api, clock })
    this.#reporter = new Reporter({ gateway: config.gateway.name, siblings, api: this.#api, clock, log })
    this.#presence = new Presence({
      gateway: this.#reporter.gateway,
      siblings,
      api: this.#api,
      clock,
      log,
      onAnswer: (answer) => this.#feed.measured(answer),
      onForgotten: () => this.#reporter.announce(),
    })
    this.#door = openServiceDoor({ ...approvals, api: this.#api })
    this.#tokenKeys = new TokenKeyring({ url: approvals.url, clock, log })
    this.#verifier = createTokenVerifier({ keys: this.#tokenKeys.find, trusts: (key) => this.#tokenKeys.trusts(key), clock })
    this.#authorities = new Authorities({ api: this.#api, clock, log })
    this.#sessions = new SessionRegister(clock, this.#reporter)
    this.#cache = new GrantCache({
      lookup: async (subject, target) => (await this.#api.call("lookup", { query: { subject, target } })).grants,
    })
    this.#directory = new Directory({
      person: (subject) => this.#api.call("person", { query: { subject } }),
      login: (id) => this.#api.call("login", { query: { id } }),
    })
    this.#asking = askingService({ gateway: config.gateway.name, api: this.#api, clock })
    this.#room = new WaitingRoom({
      service: this.#asking,
      clock,
      link: (request) => `${approvals.public_url}/requests/${request}`,
      withdraw: (request, reader) => `${askWith(this.#current(), reader)} withdraw ${request}`,
    })
    this.#feed = new Feed({
      ...approvals,
      clock,
      log,
      onConnect: () => {
        this.#directory.clear()
        this.#presence.tell()
      },
      onOtherHistory: () => {
        this.#reporter.announce()
        this.#cache.clear()
        this.#room.otherHistory()
        this.#sessions.otherHistory()
        this.#holds.otherHistory()
      },
      onChange: (line) => {
        if (line.kind === "hold") return this.#holds.settle(line.hold)
        if (line.kind === "estimate") return this.#holds.estimate(line.request, line.by)
        if (line.kind === "kill") return this.#sessions.kill(line.session, { by: line.by, reason: line.reason })
        if (line.kind === "person" || line.kind === "login") return this.#directory.apply(line)
        if (line.kind === "request") return this.#room.onSettled(line)
        this.#cache.apply(line.grant)
        this.#room.onGrant(line.grant)
        this.#sessions.update(line.grant, {
          ...(line.grant.ended_by ? { by: line.grant.ended_by } : {}),
          reason: line.grant.ended_reason ?? "",
        })
      },
    })
  }

  /** Whether new sessions can be opened now, and if not, why. */
  get ready(): { readonly ready: boolean; readonly why: string } {
    if (this.#sessions.closing) return { ready: false, why: "shutting down" }
    return this.#feed.fresh ? { ready: true, why: "" } : { ready: false, why: "the approval service has not been heard lately" }
  }

  /** The CA that clients must trust, when it is our own. */
  get ca(): string | undefined {
    return this.#settings?.certificates.ca
  }

  /** Settles when the approval service has been heard once. Until then everybody is told to try again. */
  async heard(): Promise<void> {
    await Promise.all([this.#feed.connected(), this.#authoritiesAsked])
  }

  /** Settles with the addresses that are listened on. */
  async start(): Promise<Partial<Record<ProtocolName, Address>>> {
    const { config, log } = this.#options
    const { ended, unreadable } = await recoverRecordings(config.recordings.dir)
    if (ended.length > 0) log.warn({ sessions: ended }, "recordings of sessions that a crash interrupted were ended")
    for (const { path, error: err } of unreadable) log.error({ path, err }, "a recording cannot be read; it was left as it is")
    this.#settings = await this.#make(config)
    this.#feed.start()
    this.#authoritiesAsked = this.#authorities.start()
    this.#tokenKeys.start()
    this.#reporter.start(() => this.#sessions.started())
    const threshold = this.#threshold()
    const listening: Partial<Record<ProtocolName, Address>> = {}
    for (const protocol of this.#options.protocols) {
      if (protocol.tls === "carried") {
        this.#carried.set(protocol.name, protocol.configure(this.#host(protocol.name)))
        continue
      }
      const settings = config.gateway[protocol.name]
      if (!settings) continue
      const listener = new Listener({
        protocol,
        serve: protocol.configure(this.#host(protocol.name)),
        listen: settings.listen,
        threshold,
        processes: this.#siblings.count,
        log: log.child({ protocol: protocol.name }),
      })
      this.#listeners.push(listener)
      const address = await listener.listen()
      listening[protocol.name] = address
      log.info({ listener: protocol.name, ...address }, "listening")
    }
    this.#presence.start(Object.fromEntries(Object.entries(listening).map(([name, address]) => [name, formatAddress(address)])))
    return listening
  }

  /**
   * Makes ready for another config. Using it puts it in the place of the one before in one step: who comes after that finds the new
   * one, what is open goes on. Rejects with words for the operator, and then nothing has changed. The listeners, the name and
   * the state folder are those it began with, whatever the config says.
   */
  async prepare(config: Config): Promise<Prepared> {
    const next = await this.#make(config)
    const leave = (one: Settings | undefined): void => {
      if (one?.certificates !== this.#settings?.certificates) one?.certificates.close()
    }
    return {
      use: () => {
        const before = this.#settings
        this.#settings = next
        leave(before)
      },
      drop: () => leave(next),
    }
  }

  /** Takes nobody new, lets live sessions finish within `time_ms_max`, then cuts what is left. */
  async drain(time_ms_max: number = limits.drain_ms): Promise<void> {
    this.#sessions.closing = true
    for (const listener of this.#listeners) listener.stop()
    await this.#dismiss()
    this.#sessions.cutIdle()
    await boundedBy(time_ms_max, () => this.#sessions.emptied())
    await this.cut()
  }

  /** Cuts every session now and closes. */
  async cut(): Promise<void> {
    this.#sessions.closing = true
    await this.#dismiss()
    await this.#sessions.cutAll()
    for (const listener of this.#listeners) listener.close()
    await this.#reporter.flush()
    await this.#presence.close()
    this.#feed.close()
    this.#authorities.close()
    this.#tokenKeys.close()
    this.#settings?.certificates.close()
    await this.#door.close()
    await this.#api.close()
    await Promise.all([this.#statements.close(), this.#values.close()])
  }

  /** Those who wait for a decision are told, and have a moment to read it. */
  async #dismiss(): Promise<void> {
    if (this.#room.close()) await boundedBy(limits.farewell_ms_max, () => new Promise(() => {}))
  }

  #host(protocol: ProtocolName): Host {
    const { config, keys, clock, log } = this.#options
    const current = this.#current
    return {
      name: config.gateway.name,
      domain: config.gateway.http?.domain ?? config.gateway.name,
      get stream_bytes_max() {
        return current().recordings.stream_bytes_max
      },
      get postgres_login() {
        return current().gateway.postgres?.login ?? "token"
      },
      keys,
      ask: (target, reader) => askLine(current(), target, reader),
      get token_line() {
        return `${askWith(current(), undefined)} token`
      },
      verbs: this.#options.verbs(this.#api, current),
      siblings: siblingsFor(protocol, this.#siblings),
      findValues: (sql, columns) => this.#values.find(sql, columns),
      service: this.#door,
      clock,
      log,
    }
  }

  get #now(): Settings {
    assert(this.#settings, "a gateway that has started")
    return this.#settings
  }

  readonly #current: CurrentConfig = () => this.#now.config

  async #make(config: Config): Promise<Settings> {
    if (readsStatements(config.policy.actions)) await this.#statements.load()
    if (config.targets.some((target) => target.protocol === "postgres" && target.redact.values)) await this.#values.load()
    return makeSettings(config, this.#settings, {
      verifier: this.#verifier,
      authorities: this.#authorities,
      people: (somebody) => this.#person(somebody),
      clock: this.#options.clock,
    })
  }

  /** What depends on the config is asked for when it is needed. */
  #threshold(): Threshold {
    const { config, clock } = this.#options
    const authorities = this.#authorities
    const now = (): Settings => this.#now
    const current = this.#current
    return {
      gateway: config.gateway.name,
      clock,
      get authenticator() {
        return now().authenticator
      },
      get targets() {
        return now().targets
      },
      cache: this.#cache,
      directory: this.#directory,
      feed: this.#feed,
      carried: this.#carried,
      leases: new LeaseBook(clock),
      sessions: this.#sessions,
      get recordings() {
        return current().recordings
      },
      connect: connectTcp,
      service: grantService(config.gateway.name, this.#api, (grant) => {
        this.#cache.apply(grant)
        this.#sessions.update(grant, {})
      }),
      holds: this.#holds,
      approve: (request) => `${askWith(current(), undefined)} approve ${request}`,
      rules: (acting) => sessionRules(() => current().policy.actions, acting, this.#statements),
      room: this.#room,
      asking: this.#asking,
      ask: (target, reader) => askLine(current(), target, reader),
      extend: (grant, reader) => `${askWith(current(), reader)} extend ${grant} --for 30m --reason "..."`,
      secureContext: () => now().certificates.context(authorities.clientPems()),
      asksForCertificates: () => authorities.clientPems().length > 0,
    }
  }

  async #person(somebody: Somebody): Promise<{ readonly groups: readonly string[] } | undefined> {
    try {
      await this.#directory.load(somebody)
    } catch (failure) {
      if (failure instanceof GatewayError && failure.code === "login_over") return undefined
      throw GatewayError.from(failure, "stale")
    }
    const groups = this.#directory.groups(somebody.subject)
    return groups && this.#directory.stands(somebody, this.#options.clock.now()) ? { groups } : undefined
  }
}

/** A line to paste. The name comes from the client, so only one that could be a target's is repeated. */
function askLine(config: Config, target: string, reader: string): string {
  const name = /^[a-z0-9][a-z0-9-]{0,62}$/.test(target) ? target : "<target>"
  return `${askWith(config, reader)} request ${name} --for 1h --reason "..."` // ASCII: ssh shows anything else as octal
}
