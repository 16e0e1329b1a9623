// What the gateway knows of the CAs that sign people's certificates: asked of the approval service, kept, and asked again, so that
// a CA that was made a moment ago is known and one that is distrusted is forgotten. While the service is away what was known goes
// on, each CA to its own end; whether anything may be opened then is the freshness bound's to say.
import { X509Certificate } from "node:crypto"
import type { ApiClient } from "../../api/client.ts"
import type { AuthorityView } from "../../api/schema.ts"
import type { Clock, Millis, Timer } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import type { SshAuthority } from "../../identity/certificate_login.ts"
import { ownAuthority, readPublicKeyLine } from "../../identity/user_certificate.ts"
import type { Log } from "../../observe/log.ts"

export interface AuthoritiesOptions {
  readonly api: Pick<ApiClient, "call">
  readonly clock: Clock
  readonly log: Log
}

interface Known<T> {
  readonly value: T
  /** Infinity while it signs. */
  readonly until: Millis
}

export class Authorities {
  readonly #options: AuthoritiesOptions
  #ssh: ReadonlyMap<string, Known<SshAuthority>> = new Map()
  #client: readonly Known<{ readonly pem: string; readonly certificate: X509Certificate }>[] = []
  #asking: Promise<void> | undefined
  #again: Promise<void> | undefined
  #asked_at: Millis = -Infinity
  #timer: Timer | undefined
  #closed = false

  constructor(options: AuthoritiesOptions) {
    this.#options = options
  }

  /** Asks now and from then on. Settles when the first question was answered, or failed. */
  async start(): Promise<void> {
    await this.#ask()
    if (this.#closed) return
    const known = this.#client.length > 0
    this.#timer = this.#options.clock.after(known ? limits.authorities_refresh_ms : limits.feed_retry_ms_max, () => void this.start())
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  /** By the CA's key in wire form. One that is not known may have been made since we asked last. */
  async ssh(blob: Buffer): Promise<SshAuthority | undefined> {
    const key = blob.toString("base64")
    return this.#current(this.#ssh.get(key)) ?? (await this.#askAgain(() => this.#current(this.#ssh.get(key))))
  }

  /** In PEM, for the handshake to name. */
  clientPems(): readonly string[] {
    return this.#client.flatMap((known) => this.#current(known)?.pem ?? [])
  }

  /** Those that may have issued `certificate`, by their name. */
  async client(certificate: X509Certificate): Promise<readonly X509Certificate[]> {
    const issuers = (): X509Certificate[] =>
      this.#client.flatMap((known) => this.#current(known)?.certificate ?? []).filter((ca) => certificate.checkIssued(ca))
    const found = issuers()
    return found.length > 0 ? found : this.#askAgain(issuers)
  }

  #current<T>(known: Known<T> | undefined): T | undefined {
    return known && this.#options.clock.now() < known.until ? known.value : undefined
  }

  /**
   * What `look` finds once the service was asked again: a moment after the last question if need be, and all who wait share the
   * one answer, so that strangers' certificates do not become many questions.
   */
  async #askAgain<T>(look: () => T): Promise<T> {
    await (this.#again ??= this.#soon().finally(() => (this.#again = undefined)))
    return look()
  }

  async #soon(): Promise<void> {
    const { clock } = this.#options
    const wait_ms = this.#asked_at + limits.authorities_unknown_ms - clock.now()
    if (wait_ms > 0) await new Promise<void>((resolve) => void clock.after(wait_ms, resolve))
    if (!this.#closed) await this.#ask()
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#fetch().finally(() => (this.#asking = undefined))
    return this.#asking
  }

  async #fetch(): Promise<void> {
    const { api, clock, log } = this.#options
    try {
      const { authorities } = await api.call("authorities", {})
      this.#asked_at = clock.now()
      this.#ssh = new Map(authorities.flatMap(sshAuthority))
      this.#client = authorities.flatMap(clientAuthority)
    } catch (err) {
      this.#asked_at = clock.now()
      if (!this.#closed) log.warn({ err }, "the approval service does not say which CAs are trusted; what was known goes on")
    }
  }
}

const untilOf = ({ not_after }: AuthorityView): Millis => not_after ?? Infinity

function sshAuthority(view: AuthorityView): [string, Known<SshAuthority>][] {
  const blob = view.kind === "ssh-user" ? readPublicKeyLine(view.public) : undefined
  return blob ? [[blob.toString("base64"), { value: ownAuthority(blob), until: untilOf(view) }]] : []
}

function clientAuthority(view: AuthorityView): Known<{ readonly pem: string; readonly certificate: X509Certificate }>[] {
  if (view.kind !== "client") return []
  return [{ value: { pem: view.public, certificate: new X509Certificate(view.public) }, until: untilOf(view) }]
}
