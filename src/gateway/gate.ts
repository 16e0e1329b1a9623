// The gate one client stands before: who are you, may you, come in. The only place where a session is made.
import type { X509Certificate } from "node:crypto"
import type { Duplex } from "node:stream"
import { TLSSocket, type SecureContext } from "node:tls"
import type { Acting } from "../core/action_rules.ts"
import type { Clock } from "../core/clock.ts"
import { GatewayError } from "../core/errors.ts"
import { bestGrant, type Grant, isLimited } from "../core/grant.ts"
import { assertMinted, type Identity } from "../core/identity.ts"
import { type GrantId, newSessionId, type RequestId } from "../core/ids.ts"
import { limits } from "../core/limits.ts"
import { accountsOf, type ProtocolName, type Target } from "../core/target.ts"
import type { Authenticator } from "../identity/authenticator.ts"
import type { Credential, SshPublicKey } from "../identity/credential.ts"
import type { Log } from "../observe/log.ts"
import { metrics } from "../observe/metrics.ts"
import { openRecorder } from "../record/disk_recorder.ts"
import { recording_version, type SessionHeader } from "../record/events.ts"
import type { Connect } from "./dial.ts"
import type { AskingService } from "./control_plane/asking_service.ts"
import type { Asking, AskWanted, Gate, Offered, Opening, ServeCarried, Session } from "./contract.ts"
import type { Directory } from "./control_plane/directory.ts"
import type { Feed } from "./control_plane/feed.ts"
import type { GrantCache } from "./control_plane/grant_cache.ts"
import type { GrantService } from "./control_plane/grant_service.ts"
import type { HoldService } from "./actions/hold_book.ts"
import type { LeaseBook } from "./lease_book.ts"
import { asSession, LiveSession } from "./session.ts"
import type { SessionRegister } from "./session_register.ts"
import type { SessionRules } from "./actions/session_rules.ts"
import type { WaitingRoom } from "./waiting_room.ts"

/** Where a client expects the protocol when it names no port. */
const usual_port: Readonly<Record<ProtocolName, number | undefined>> = { ssh: 22, postgres: 5432, http: 443, tcp: undefined }

/** What all gates of one gateway share. */
export interface Threshold {
  readonly gateway: string
  readonly clock: Clock
  readonly authenticator: Authenticator
  readonly targets: ReadonlyMap<string, Target>
  readonly cache: GrantCache
  readonly directory: Directory
  readonly feed: Pick<Feed, "fresh">
  readonly leases: LeaseBook
  readonly sessions: SessionRegister
  readonly recordings: { readonly dir: string; readonly on_failure: "cut" | "allow" }
  readonly connect: Connect
  readonly service: GrantService
  /** Protocols without a listener. */
  readonly carried: ReadonlyMap<ProtocolName, ServeCarried>
  /** The rules for single actions of somebody on a target. */
  rules(acting: Acting): () => SessionRules
  readonly room: Pick<WaitingRoom, "visit">
  readonly asking: Pick<AskingService, "offer">
  readonly holds: HoldService
  /** A line with which somebody approves a request. */
  approve(request: RequestId): string
  ask(target: string, reader: string): string
  /** A line that would extend a grant. */
  extend(grant: GrantId, reader: string): string
  secureContext(): SecureContext
  /** Whether there is a CA whose certificates a TLS client may show. */
  asksForCertificates(): boolean
}

export interface GateOptions {
  readonly threshold: Threshold
  readonly protocol: ProtocolName
  readonly address: string
  readonly log: Log
  onSettled(): void
}

export class ClientGate implements Gate {
  readonly address: string
  readonly clock: Clock
  readonly log: Log
  readonly #threshold: Threshold
  readonly #protocol: ProtocolName
  readonly #onSettled: () => void
  #certificate: X509Certificate | undefined

  constructor({ threshold, protocol, address, log, onSettled }: GateOptions) {
    this.#threshold = threshold
    this.#protocol = protocol
    this.address = address
    this.clock = threshold.clock
    this.log = log
    this.#onSettled = onSettled
  }

  recognises(key: SshPublicKey): Promise<boolean> {
    return this.#threshold.authenticator.recognises(key)
  }

  identify(credential: Credential): Promise<Identity> {
    return this.#threshold.authenticator.identify(credential, this.address)
  }

  stands(identity: Identity): boolean {
    const { directory, authenticator } = this.#threshold
    return directory.stands(identity, this.clock.now()) && authenticator.stands(identity)
  }

  certified(): Promise<Identity> | undefined {
    return this.#certificate && this.#threshold.authenticator.identifyClient(this.#certificate, this.address)
  }

  settled(): void {
    this.#onSettled()
  }

  async reaches(identity: Identity, name: string, port: number): Promise<boolean> {
    await this.#load(identity, name)
    const granted = this.#grantFor(identity, name, undefined)
    return granted !== undefined && this.#listensAt(granted.target, port)
  }

  async offer({ identity, target: name, as, port }: AskWanted): Promise<Offered | undefined> {
    const { targets, asking } = this.#threshold
    await this.#load(identity, name)
    this.#checkStands(identity)
    if (name.length > limits.target_name_chars_max) return undefined
    // Asked about every name alike, before it is looked at whether there is such a target here.
    const offer = await asking.offer({ subject: identity.subject, target: name, as })
    const target = targets.get(name)
    if (!offer || target?.protocol !== this.#protocol || target.ask === "off") return undefined
    if (as !== undefined && !accountsOf(target).includes(as)) return undefined
    return port === undefined || this.#listensAt(target, port) ? { ...offer, unasked: target.ask?.unasked ?? false } : undefined
  }

  async ask(asking: Asking): Promise<void> {
    const { identity, target, as } = asking
    const { room, targets, ask, cache } = this.#threshold
    const offer = await this.offer(asking)
    const refusal = new GatewayError("no_grant", { ask: ask(target, identity.subject) })
    if (!offer) throw refusal
    const how = targets.get(target)?.ask
    const wait_ms = how === undefined || how === "off" ? limits.ask_wait_ms : how.wait_ms
    this.settled()
    await room.visit({
      ...asking,
      offer,
      wait_ms,
      client: this.address,
      protocol: this.#protocol,
      refusal,
      opens: async () => {
        await this.#load(identity, target)
        return this.#grantFor(identity, target, as) !== undefined
      },
      onGrant: (grant) => cache.apply(grant),
    })
  }

  async carried(...[identity, target, port]: Parameters<Gate["carried"]>): ReturnType<Gate["carried"]> {
    for (const [protocol, serve] of this.#threshold.carried) {
      const { address, log } = this
      const inside = new ClientGate({ threshold: this.#threshold, protocol, address, log, onSettled: () => {} })
      if (await inside.reaches(identity, target, port)) return (visit) => serve({ ...visit, identity, target }, inside)
    }
    return undefined
  }

  async open(opening: Opening): Promise<Session> {
    const { identity, target: name, as } = opening
    const threshold = this.#threshold
    await this.#load(identity, name)
    await this.#begin(opening)
    // From here to the session there is no await: the grant that was checked is the grant that is lent.
    if (threshold.sessions.closing) throw new GatewayError("shutdown")
    const granted = this.#grantFor(identity, name, as)
    // Another one that waits has come between: the next try begins it.
    if (granted && granted.grant.first_use_ms !== null) throw new GatewayError("stale")
    if (!granted) {
      metrics.decided("deny")
      throw new GatewayError("no_grant", { ask: threshold.ask(name, identity.subject) })
    }
    const { target, grant } = granted
    this.#mustSuit(opening, target)
    const id = newSessionId()
    // A connection may be days old by now, and its person in other groups.
    const groups = threshold.directory.groups(identity.subject) ?? identity.groups
    const header: SessionHeader = {
      kind: "session",
      version: recording_version,
      id,
      gateway: threshold.gateway,
      protocol: this.#protocol,
      subject: identity.subject,
      groups,
      via: identity.via,
      target: name,
      as: as ?? null,
      grant: grant.id,
      request: grant.request,
      grant_ends_at: grant.ends_at,
      client: this.address,
    }
    const log = this.log.child({ session: id, subject: identity.subject, target: name })
    const { dir, on_failure: mode } = threshold.recordings
    let session: LiveSession | undefined
    const onFailure = (err: Error): void => {
      log.error({ err }, "the recording cannot be written")
      session?.cut("recorder_failed")
    }
    let recorder
    try {
      recorder = openRecorder({ dir, header, clock: this.clock, mode, onFailure, log })
    } catch (failure) {
      log.error({ err: failure }, "no recording can be made")
      throw new GatewayError("recorder_failed", { session: id }, failure)
    }
    session = new LiveSession({
      id,
      opening,
      groups,
      target,
      grant,
      recorder,
      leases: threshold.leases,
      clock: this.clock,
      log,
      connect: threshold.connect,
      service: threshold.service,
      rules: threshold.rules({ person: { name: identity.subject, groups }, target, as }),
      holds: threshold.holds,
      approve: threshold.approve,
      ask: threshold.ask,
      extend: threshold.extend,
      onFlagged: (flagging, flagged) => threshold.sessions.flag(flagging, flagged),
      onEnded: (ended, why) => threshold.sessions.remove(ended, why),
    })
    threshold.sessions.add(session, header, this.clock.now())
    this.settled()
    log.info({ protocol: this.#protocol, as, grant: grant.id, client: this.address }, "session opened")
    return asSession(session)
  }

  prefers({ identity, groups, target, grant }: Session): boolean {
    if (this.#threshold.targets.get(target.name) !== target) return false // it is gone, or at another address
    // Its rules for single actions are those of the groups it began with.
    if (!sameGroups(groups, this.#threshold.directory.groups(identity.subject) ?? groups)) return false
    if (!isLimited(grant)) return true
    const grants = this.#threshold.cache.known(identity.subject, target.name)
    if (!grants) return true // forgotten, not changed
    const wanted = { subject: identity.subject, target: target.name, as: undefined }
    return bestGrant(grants, wanted, this.clock.now())?.id === grant.id
  }

  secure(client: Duplex, { alpn }: { readonly alpn?: readonly string[] } = {}): Promise<Duplex> {
    return new Promise((resolve, reject) => {
      const secured = new TLSSocket(client, {
        isServer: true,
        // Which certificate is good is decided by us, in our own words and by our own clock.
        requestCert: this.#threshold.asksForCertificates(),
        rejectUnauthorized: false,
        secureContext: this.#threshold.secureContext(),
        ...(alpn ? { ALPNProtocols: [...alpn] } : {}),
      })
      const onFailure = (failure?: unknown): void => {
        client.destroy()
        reject(new GatewayError("protocol_broken", {}, failure))
      }
      const onClose = (): void => onFailure() // it left
      secured.once("error", onFailure).once("close", onClose)
      secured.once("secure", () => {
        this.#certificate = secured.getPeerX509Certificate()
        secured.off("error", onFailure).off("close", onClose)
        secured.on("error", () => {}) // whoever reads it sees it end
        resolve(secured)
      })
    })
  }

  /** Makes sure that what is known can be used. Throws `shutdown` or `stale`. An unknown target takes the same way as a known one. */
  async #load(identity: Identity, target: string): Promise<void> {
    const { sessions, feed, cache, directory } = this.#threshold
    if (sessions.closing) throw new GatewayError("shutdown")
    if (!feed.fresh) throw new GatewayError("stale")
    if (target.length > limits.target_name_chars_max) return
    await Promise.all([cache.load(identity.subject, target), directory.load(identity)]).catch((failure: unknown) => {
      throw failure instanceof GatewayError && failure.code === "login_over" ? failure : new GatewayError("stale", {}, failure)
    })
  }

  /** A grant that waits for its first use begins here, by the approval service's clock and once, whichever gateway asks first. */
  async #begin(opening: Opening): Promise<void> {
    const { identity, target: name, as } = opening
    const { service, ask } = this.#threshold
    const waiting = this.#grantFor(identity, name, as)
    if (!waiting || waiting.grant.first_use_ms === null) return
    this.#mustSuit(opening, waiting.target)
    try {
      await service.begin(waiting.grant.id)
    } catch (failure) {
      // Ended meanwhile: what the feed has said or will say about it decides, not this.
      if (failure instanceof GatewayError && failure.code === "over")
        throw new GatewayError("no_grant", { ask: ask(name, identity.subject) })
      throw new GatewayError("stale", {}, failure)
    }
  }

  #grantFor(identity: Identity, name: string, as: string | undefined): { target: Target; grant: Grant } | undefined {
    assertMinted(identity)
    const { targets, cache, feed } = this.#threshold
    if (!feed.fresh) throw new GatewayError("stale")
    this.#checkStands(identity)
    const target = targets.get(name)
    if (target?.protocol !== this.#protocol || (as !== undefined && !accountsOf(target).includes(as))) return undefined
    const grants = cache.known(identity.subject, name)
    if (!grants) throw new GatewayError("stale")
    const grant = bestGrant(grants, { subject: identity.subject, target: name, as }, this.clock.now())
    return grant && { target, grant }
  }

  /** The target may be another one than a moment ago, after a reload: whatever is lent or begun is looked at. */
  #mustSuit(opening: Opening, target: Target): void {
    const why = opening.unsuited?.(target)
    if (!why) return
    metrics.decided("deny")
    const { identity, as } = opening
    this.log.info(
      { code: why.code, subject: identity.subject, target: target.name, as },
      "a grant opens the target, not what the client wants of it",
    )
    throw why
  }

  #checkStands(identity: Identity): void {
    if (!this.stands(identity)) throw new GatewayError("login_over")
  }

  #listensAt({ address }: Target, port: number): boolean {
    return port === usual_port[this.#protocol] || port === address.port
  }
}

const sameGroups = (some: readonly string[], others: readonly string[]): boolean =>
  some === others || (some.length === others.length && some.every((name, at) => name === others[at]))
