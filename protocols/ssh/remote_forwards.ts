// Where a target listens for the client of one session (`ssh -R`; RFC 4254, section 7.1; OpenSSH's PROTOCOL, section 2.4): asked for
// by global requests, passed on one after the other, and answered in that order. Owns which of the target's channels were asked for.
import type { Clock } from "../../src/core/clock.ts"
import { type Destination, destinationText, originOf, parseListening, parseSocketPath } from "../../src/core/destination.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { SshAllowed } from "../../src/core/target.ts"
import type { Session, Waiting } from "../../src/gateway/contract.ts"
import { pack, Reader } from "./codec.ts"
import type { ChannelOpening, Connection, GlobalAnswer } from "./connection.ts"
import { recordable } from "./environment.ts"
import type { TerminalWords } from "./terminal_words.ts"

export interface ForwardsOptions {
  readonly session: Session
  readonly allow: SshAllowed
  readonly client: Connection
  /** Rejects once the session is over. */
  upstream(): Promise<Connection>
  readonly clock: Clock
  readonly words: TerminalWords
}

export interface RemoteForwardsOptions extends ForwardsOptions {
  /** Why, for who can be told. */
  onRefused(why: GatewayError): void
}

/** A channel that the target may open to the client. */
export interface Wanted {
  /** The allowed action it belongs to. */
  readonly action: number
  /** Where the connection came from, as the target says. */
  readonly from?: string
  /** What the client is told of it. */
  readonly data: Buffer
}

const request = /^(cancel-)?(tcpip-forward|streamlocal-forward@openssh\.com)$/

interface Listen {
  readonly action: number
  readonly began: number
  /** As the client wrote it, with the port that the target chose where it was to. */
  readonly host: string
  readonly port: number
  /** In place of both. */
  readonly path: string | undefined
}

/** One request, read. */
interface Asked {
  readonly host: string
  readonly port: number
  readonly path: string | undefined
  readonly destination: Destination | undefined
  readonly text: string
}

export class RemoteForwards {
  readonly #options: RemoteForwardsOptions
  readonly #listens: Listen[] = []
  #turn: Promise<unknown> = Promise.resolve()
  #stopped = Promise.withResolvers<void>()

  constructor(options: RemoteForwardsOptions) {
    this.#options = options
    options.session.signal.addEventListener("abort", () => this.#end(), { once: true })
  }

  get listening(): boolean {
    return this.#listens.length > 0
  }

  /** Settles the next time that nothing listens. */
  get stopped(): Promise<void> {
    return this.#stopped.promise
  }

  static takes(name: string): boolean {
    return request.test(name)
  }

  /** One that it takes. */
  onGlobal(name: string, data: Buffer): Promise<GlobalAnswer> {
    const [, cancel, kind = ""] = request.exec(name) ?? []
    const asked = readAsked(kind, data)
    return this.#inTurn(() => (cancel === undefined ? this.#listen(name, asked) : this.#cancel(name, asked)))
  }

  /** A connection to something that listens for this session. */
  wanted({ type, data }: ChannelOpening): Wanted | undefined {
    if (type === "forwarded-streamlocal@openssh.com") {
      const path = new Reader(data).text()
      const listen = this.#listens.find((one) => one.path === path)
      return listen && { action: listen.action, data: pack(path, "") }
    }
    if (type !== "forwarded-tcpip") return undefined
    const reader = new Reader(data)
    const [host, port] = [reader.text(), reader.uint32()]
    const from = originOf(reader.text(), reader.uint32())
    const those = this.#listens.filter((one) => one.path === undefined && one.port === port)
    // Some servers name the address that was connected to, others the one that was asked for; a port alone says it too.
    const listen = those.find((one) => one.host === host) ?? (those.length === 1 ? those[0] : undefined)
    return listen && { action: listen.action, from: destinationText(from), data: pack(listen.host, port, from.host, from.port) }
  }

  #inTurn(task: () => Promise<boolean | Buffer>): Promise<boolean | Buffer> {
    const done = this.#turn.then(task).catch(() => false)
    this.#turn = done
    return done
  }

  async #listen(name: string, asked: Asked): Promise<boolean | Buffer> {
    const { session, allow, upstream, onRefused } = this.#options
    const { destination, path } = asked
    if (session.signal.aborted) return false
    if (this.#listens.length >= limits.ssh_listens_max) return this.#refuse("so many remote forwards at once")
    if (!destination || !allow.remote_forward.some((pattern) => pattern.covers(destination))) {
      return this.#refuse(`remote forwarding from ${asked.text}`)
    }
    const decision = session.decide({ kind: "ssh.forward", direction: "remote", ...destination })
    if (decision.verdict === "hold") tellAsked(decision, this.#options)
    const decided = decision.verdict === "hold" ? await decision.decided : decision
    if (decided.verdict === "deny") {
      onRefused(decided.error)
      return false
    }
    const { action } = decided
    const began = performance.now()
    const said = (await upstream()).request(name, packAsked(asked), (answer) => this.#answered(answer, { action, began, asked }))
    const listens = await said
    if (!listens) {
      session.outcome({ action, status: session.signal.aborted ? "cut" : "error", duration_ms: Math.round(performance.now() - began) })
      return false
    }
    return path === undefined && asked.port === 0 ? pack(listens.port) : true
  }

  /** At once, because the first connection may be the target's next message. */
  #answered(answer: Buffer | undefined, { action, began, asked }: Pick<Listen, "action" | "began"> & { asked: Asked }): Listen | undefined {
    const { host, path } = asked
    const port = answer && asked.port === 0 && path === undefined ? portIn(answer) : asked.port
    if (!answer || port === undefined || this.#options.session.signal.aborted) return undefined
    const listen = { action, began, host, port, path }
    this.#listens.push(listen)
    return listen
  }

  async #cancel(name: string, asked: Asked): Promise<boolean> {
    const listen = this.#listens.find(({ host, port, path }) => host === asked.host && port === asked.port && path === asked.path)
    if (!listen || !(await (await this.#options.upstream()).request(name, packAsked(asked), (said) => said !== undefined))) return false
    const at = this.#listens.indexOf(listen)
    if (at < 0) return false // the session ended meanwhile
    this.#listens.splice(at, 1)
    this.#over(listen)
    if (this.#listens.length === 0) this.#settle()
    return true
  }

  #refuse(what: string): false {
    const { session, onRefused } = this.#options
    session.recorder.write({ kind: "refused", what })
    onRefused(new GatewayError("not_allowed", { what, session: session.id }))
    return false
  }

  #end(): void {
    for (const listen of this.#listens.splice(0)) this.#over(listen)
    this.#settle()
  }

  #settle(): void {
    this.#stopped.resolve()
    this.#stopped = Promise.withResolvers()
  }

  #over({ action, began }: Listen): void {
    const { session } = this.#options
    const cut = session.signal.aborted && session.signal.reason instanceof GatewayError && session.signal.reason.kind === "ended"
    session.outcome({ action, status: cut ? "cut" : "ok", duration_ms: Math.round(performance.now() - began) })
  }
}

/** The protocol has no words for what waits. */
export function tellAsked({ asked, decided }: Waiting, { words }: Pick<ForwardsOptions, "words">): void {
  void asked.then((one) => one && words.tell(one.say, decided))
}

function readAsked(kind: string, data: Buffer): Asked {
  const reader = new Reader(data)
  if (kind !== "tcpip-forward") {
    const path = reader.text()
    const destination = parseSocketPath(path)
    return { host: "", port: 0, path, destination, text: destination ? path : recordable(path, /[^\w./-]/g) }
  }
  const [host, port] = [reader.text(), reader.uint32()]
  const destination = parseListening(host, port)
  const text = destination ? destinationText(destination) : `${recordable(host, /[^\w.:-]/g)}:${port}`
  return { host, port, path: undefined, destination, text }
}

/** In the client's own words, which the target's channels will repeat: they mean what was decided about. */
const packAsked = ({ host, port, path }: Asked): Buffer => (path === undefined ? pack(host, port) : pack(path))

function portIn(answer: Buffer): number | undefined {
  const port = answer.length < 4 ? 0 : answer.readUInt32BE()
  return port >= 1 && port <= 65_535 ? port : undefined
}
