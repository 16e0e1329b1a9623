// Which gateway calls, and under which names it may speak. A gateway of the list that has a key of its own signs for each call; the
// others share one key. Without a list, whoever has the shared key is a gateway of any name: one machine, or one trust. It owns the
// decision, not what is done about a refusal.
import { createHash, timingSafeEqual } from "node:crypto"
import type { NamedGateway } from "../../config/config.ts"
import type { Clock, Millis } from "../../core/clock.ts"
import type { ServiceId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { Secret } from "../../core/secret.ts"
import type { SshPublicKey } from "../../identity/credential.ts"
import { AnotherService, type AssertedCall, type Asserted, claimedName, verifyAssertion } from "../../identity/gateway_assertion.ts"
import type { Log } from "../../observe/log.ts"
import { Once } from "../once.ts"
import type { SharedOnce } from "../shared_once.ts"

/** A gateway that has shown who it is. */
export interface GatewayCaller {
  /** Undefined: it showed the shared key, which says no name. */
  readonly name: string | undefined
  /** Whether it vouches for this content of its call. Who shows the shared key vouches for all that comes with it. */
  covers(content: string): boolean
}

/** What was shown, and with which call. */
export interface Shown extends AssertedCall {
  /** Known already, where it is no body: what is signed for something else is refused at once. */
  readonly content?: string
  /** It only says where a call comes from, so that a write would be too much: this service alone remembers it. */
  readonly passedOn?: true
}

export interface GatewayCredentialsOptions {
  /** The only gateways there are now; undefined: whoever has the shared key. */
  gateways(): readonly NamedGateway[] | undefined
  readonly shared: Secret
  /** This start of this service: what is signed for another is not taken. */
  readonly service: ServiceId
  readonly together: SharedOnce
  /** The gateway that shares our state folder: its key lies beside our own, so it is known without a list. */
  readonly own: NamedGateway & { readonly key: SshPublicKey }
  readonly clock: Clock
  readonly log: Log
}

export class GatewayCredentials {
  readonly #options: GatewayCredentialsOptions
  readonly #shared: Buffer
  readonly #once: Once
  /** When the log last said that something signed in this name was not accepted: one for each that is listed, and "" for all others. */
  readonly #warned = new Map<string, Millis>()

  constructor(options: GatewayCredentialsOptions) {
    this.#options = options
    this.#once = new Once(options.clock)
    this.#shared = digest(options.shared.reveal())
  }

  /** Whose `credential` is, shown with `call`; undefined: no gateway's. Rejects when the store that must remember it cannot be used. */
  async verify(credential: string, call: Shown): Promise<GatewayCaller | undefined> {
    const { together } = this.#options
    if (timingSafeEqual(digest(credential), this.#shared)) {
      const caller = { name: undefined, covers: () => true }
      return this.stands(caller) ? caller : undefined
    }
    const name = claimedName(credential)
    if (name === undefined) return undefined
    const key = this.#keyOf(name)
    if (!key) {
      this.#warn("", { claimed: name.slice(0, limits.gateway_name_chars_max) }, "a gateway that is not listed was refused")
      return undefined
    }
    const asserted = await this.#asserted(credential, { name, key, call })
    if (!asserted) return undefined
    const { id, until, anywhere, covers } = asserted
    if (anywhere && !call.passedOn && !(await together.take(`${name} ${id}`, until))) {
      this.refused(name, new Error("it was shown before, perhaps to another service"))
      return undefined
    }
    return { name, covers }
  }

  /** What this service sees by itself. */
  async #asserted(credential: string, { name, key, call }: Claim): Promise<Asserted | undefined> {
    const { clock, service, log } = this.#options
    try {
      const asserted = await verifyAssertion(credential, { key, call, service, clock })
      if (call.content !== undefined && !asserted.covers(call.content)) throw new Error("it was signed for other content")
      this.#once.take(`${name} ${asserted.id}`, asserted.until)
      return asserted
    } catch (err) {
      if (err instanceof AnotherService) log.debug({ gateway: name }, "a gateway signed for another service; it is told which this is")
      else this.refused(name, err)
      return undefined
    }
  }

  /** Something that `name` signed was not accepted. */
  refused(name: string, err: unknown): void {
    this.#warn(name, { gateway: name, err }, "what a gateway signed was not accepted; are its clock and its key right?")
  }

  /** Now and then: anybody may send such a thing, as often as they like. */
  #warn(about: string, facts: Record<string, unknown>, words: string): void {
    const { clock, log } = this.#options
    const loud = clock.now() - (this.#warned.get(about) ?? -Infinity) >= limits.gateway_refused_ms
    if (loud) this.#warned.set(about, clock.now())
    log[loud ? "warn" : "debug"](facts, words)
  }

  /** Whether it may speak as `claimed`: a name, or with "/n" one of its processes. */
  allows({ name }: Pick<GatewayCaller, "name">, claimed: string): boolean {
    const [, of] = /^([^/]+)(?:\/\d{1,3})?$/.exec(claimed) ?? []
    if (of === undefined) return false
    if (name !== undefined) return of === name
    const gateways = this.#options.gateways()
    return gateways === undefined || gateways.some((one) => one.name === of && one.key === undefined)
  }

  /** Whether it is one still: the list may have changed since it called. */
  stands({ name }: Pick<GatewayCaller, "name">): boolean {
    if (name !== undefined) return this.#keyOf(name) !== undefined
    const gateways = this.#options.gateways()
    return gateways === undefined || gateways.some(({ key }) => key === undefined)
  }

  #keyOf(name: string): SshPublicKey | undefined {
    const { own, gateways } = this.#options
    const list = gateways()
    return list?.find((one) => one.name === name)?.key ?? (list === undefined || name === own.name ? own.key : undefined)
  }
}

interface Claim {
  readonly name: string
  readonly key: SshPublicKey
  readonly call: Shown
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest()
