// One client's connection to one target, from the grant to the end: it opens the session, connects upstream while the client
// is still busy with its own handshake, and gives each channel to what relays it: programs to `relay.ts`, forwards to `forwards.ts`.
import { GatewayError } from "../../src/core/errors.ts"
import type { Identity } from "../../src/core/identity.ts"
import { limits } from "../../src/core/limits.ts"
import type { SshRecord, SshTarget } from "../../src/core/target.ts"
import type { Gate, Host, Session, Warning } from "../../src/gateway/contract.ts"
import { type CertifiedKey, newLoginKey } from "./certificate_login.ts"
import type { ChannelOpening, Connection, ConnectionOwner, GlobalAnswer } from "./connection.ts"
import { recordable } from "./environment.ts"
import { Forwards } from "./forwards.ts"
import type { KeyLife } from "./key_renewal.ts"
import { disconnect, dismiss, refusalOf } from "./refusal.ts"
import { ChannelRelay } from "./relay.ts"
import { sweep } from "./sweep.ts"
import { TerminalWords } from "./terminal_words.ts"
import type { Transport } from "./transport.ts"
import { connectUpstream } from "./upstream.ts"

export interface TargetRoute {
  readonly identity: Identity
  readonly target: string
  readonly login: string
}

export class TargetSession implements ConnectionOwner {
  readonly #host: Host
  readonly #gate: Gate
  readonly #life: KeyLife
  readonly #relays = new Set<ChannelRelay>()
  readonly #words = new TerminalWords({
    show: (words) => [...this.#relays].filter((relay) => relay.warn(words)).length > 0,
    aside: (words) => this.#client?.transport.debug(words),
  })
  #client: Connection | undefined
  #session: Session | undefined
  #upstream: Promise<Connection> | undefined
  #forwards: Forwards | undefined
  /** The client has said that it starts no more programs. */
  #complete = false

  constructor(host: Host, gate: Gate, life: KeyLife) {
    this.#host = host
    this.#gate = gate
    this.#life = life
  }

  /** The client's side, as soon as there is one; `carrier`: the connection that it is inside of. */
  attach(client: Connection, carrier?: Transport): void {
    this.#client = client
    void client.closed.then(() => {
      this.#silent("client", client.transport.silent_ms ?? carrier?.silent_ms)
      this.#session?.end()
    })
  }

  /** The grant check; connecting upstream begins with it. Throws what `gate.open` throws. */
  async open({ identity, target, login }: TargetRoute): Promise<void> {
    const session = await this.#gate.open({
      identity,
      target,
      as: login,
      client: { destroy: () => this.#client?.transport.socket.destroy() },
      cancel: () => this.#cancel(),
      farewell: (reason) => this.#farewell(reason),
      finished: () => this.#finished(),
      warn: (warning) => this.#warn(warning),
    })
    this.#session = session
    if (this.#client?.transport.over) return session.end() // it left while the grant was looked up
    this.#upstream = this.#connect(session, login)
    const { target: reached } = session
    if (this.#client && reached.protocol === "ssh") {
      const { clock } = this.#host
      const words = this.#words
      this.#forwards = new Forwards({ session, allow: reached.allow, client: this.#client, upstream: this.#lend(session), clock, words })
    }
    this.#upstream.then(
      async (upstream) => {
        // A command may be among what waits for new keys; what ends the programs is sent after this.
        session.signal.addEventListener("abort", () => upstream.transport.dropWaiting(), { once: true })
        await upstream.closed
        const silent = this.#silent("target", upstream.transport.silent_ms)
        await this.#lost(new GatewayError(silent ? "target_silent" : "target_broke", { session: session.id }))
      },
      (failure: unknown) => this.#lost(GatewayError.from(failure, "target_broke").with({ session: session.id })),
    )
  }

  /** Settles when the session is over and its recording closed. */
  get ended(): Promise<void> {
    return this.#session?.ended ?? Promise.resolve()
  }

  onOpen(opening: ChannelOpening): void {
    const { type } = opening
    const session = this.#session
    const forwards = this.#forwards
    const target = session?.target
    if (!session || session.signal.aborted || target?.protocol !== "ssh" || !forwards) {
      return opening.refuse(...refusalOf(new GatewayError("no_grant")))
    }
    if (type === "direct-tcpip" || type === "direct-streamlocal@openssh.com") return forwards.onClientOpen(opening)
    if (type !== "session" || this.#complete) return this.#refuse(opening, session)
    const relay = new ChannelRelay({
      channel: opening.accept(),
      session,
      upstream: this.#lend(session),
      forwards,
      words: this.#words,
      allow: target.allow,
      sftp: target.sftp,
      record: recordOf(target.record, this.#host.stream_bytes_max),
      clock: this.#host.clock,
    })
    this.#relays.add(relay)
    void relay.ended.then(() => this.#relays.delete(relay))
  }

  onGlobal(name: string, data: Buffer): GlobalAnswer | Promise<GlobalAnswer> {
    if (name === "no-more-sessions@openssh.com") return (this.#complete = true)
    return this.#forwards?.onGlobal(name, data) ?? false
  }

  onBroken(why: GatewayError): void {
    this.#gate.log.info({ err: why }, "the client broke the protocol")
  }

  /** The target's side for what the client wants of it. It may be logged in to only after the end: then nothing is asked of it. */
  #lend(session: Session): () => Promise<Connection> {
    return async () => {
      const upstream = await this.#upstream
      if (!upstream || session.signal.aborted) throw GatewayError.from(session.signal.reason, "target_broke")
      return upstream
    }
  }

  async #connect(session: Session, login: string): Promise<Connection> {
    const { target } = session
    if (target.protocol !== "ssh") throw new GatewayError("no_grant")
    const certified = "certificate" in target.auth ? await certify(session, login) : undefined
    const socket = await session.dial()
    const { clock } = this.#host
    const onOpen = (opening: ChannelOpening): void => this.#onTargetOpen(opening)
    return connectUpstream({ socket, target, login, software: "Sluice", clock, life: this.#life, certified, onOpen }).catch(
      (failure: unknown) => {
        const error = GatewayError.from(failure, "target_unreachable").with({ session: session.id })
        if (!session.signal.aborted) this.#gate.log.warn({ err: error, code: error.code, session: session.id }, "the target failed")
        throw error
      },
    )
  }

  #onTargetOpen(opening: ChannelOpening): void {
    if (this.#forwards) this.#forwards.onTargetOpen(opening)
    else opening.refuse(...refusalOf(new GatewayError("unsupported", { what: "this channel" })))
  }

  #refuse(opening: ChannelOpening, session: Session): void {
    const what = opening.type === "session" ? "a program after the last" : `the channel ${recordable(opening.type, /[^\w.@-]/g)}`
    session.recorder.write({ kind: "refused", what })
    opening.refuse(...refusalOf(new GatewayError("unsupported", { what: "this kind of channel", session: session.id })))
  }

  /** Whether that side was closed because it was silent, which is put on record. */
  #silent(side: "client" | "target", for_ms: number | undefined): boolean {
    const session = this.#session
    if (for_ms === undefined || !session || session.signal.aborted) return false
    if (side === "target") this.#gate.log.warn({ session: session.id, for_ms }, "the target has gone silent")
    session.recorder.write({ kind: "silent", side, for_ms })
    return true
  }

  /** The target's side is gone: those who have a channel read why on it, everybody else in the disconnect. */
  async #lost(why: GatewayError): Promise<void> {
    const session = this.#session
    const client = this.#client
    if (!session || !client || session.signal.aborted) return
    for (const relay of this.#relays) relay.abandon(why)
    await Promise.race([Promise.all([...this.#relays].map((relay) => relay.ended)), client.closed])
    if (!session.signal.aborted) disconnect(client.transport, why)
    const bound = Promise.withResolvers<void>()
    const timer = this.#host.clock.after(limits.farewell_ms_max, bound.resolve)
    await Promise.race([client.closed, bound.promise])
    timer.cancel()
    session.end()
  }

  /** Every program is stopped by itself; one sweep, when one is needed, is for all. */
  async #cancel(): Promise<void> {
    let sweeping: Promise<void> | undefined
    const once = (): void => void (sweeping ??= this.#sweep())
    await Promise.all([...this.#relays].map((relay) => relay.stop(once)))
    await sweeping
  }

  async #sweep(): Promise<void> {
    const session = this.#session
    try {
      const upstream = await this.#upstream
      if (session && upstream) await sweep(upstream, session.recorder)
    } catch (err) {
      this.#gate.log.warn({ err, session: session?.id }, "what runs on the target could not be ended")
    }
  }

  /** A client whose last program is over leaves by itself; words of ours on its way out would be taken for a failure. */
  async #finished(): Promise<void> {
    const client = this.#client
    if (!client) return
    while (this.#relays.size > 0) await Promise.all([...this.#relays].map((relay) => relay.ended))
    await this.#forwards?.finished()
    const bound = Promise.withResolvers<void>()
    const timer = this.#host.clock.after(limits.ssh_leave_ms, bound.resolve)
    await Promise.race([client.closed, bound.promise])
    timer.cancel()
  }

  /** Settles when the client has read it and left; how long that may take is the core's bound. */
  async #farewell(reason: GatewayError): Promise<void> {
    const client = this.#client
    if (!client) return
    await Promise.race([Promise.all([...this.#relays].map((relay) => relay.cut(reason.say))), client.closed])
    dismiss(client.transport, reason)
    await client.closed
  }

  #warn({ say }: Warning): void {
    this.#words.now(say)
  }
}

/** What the target's config does not say is as everywhere. */
function recordOf({ stdin, stdout, stderr, digests }: SshTarget["record"], usual: number): SshRecord {
  return { stdin: stdin ?? usual, stdout: stdout ?? usual, stderr: stderr ?? usual, digests }
}

/** A key for this one login, and what makes the target take it. */
async function certify(session: Session, login: string): Promise<CertifiedKey> {
  const { line, key } = newLoginKey()
  const certificate = await session.certify({ login, key: line })
  return { key, certificate: Buffer.from(certificate.split(" ")[1] ?? "", "base64") }
}
