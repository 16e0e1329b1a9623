// The list of gateways: each process says that it is there, again and again, to the service it follows. What it says is kept in
// memory and written now and then, so that all services of a store know when it was last heard. Who is not heard any more is
// `gateway_watch.ts`'s business.
import type { z } from "zod"
import type { GatewaysAnswer, presence, PresenceAnswer } from "../../api/schema.ts"
import type { Clock, Millis, Timer } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { InstanceId, ServiceId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { Log } from "../../observe/log.ts"
import { version } from "../../observe/version.ts"
import type { GatewayRecord } from "./gateway_record.ts"
import { type Actor, note } from "../journal.ts"
import type { Person } from "../policy.ts"
import { isRetired } from "../grants/sessions.ts"
import type { Change, Store } from "../store.ts"

export interface GatewaysOptions {
  readonly store: Store
  readonly clock: Clock
  readonly log: Log
  /** This start of this service, as gateways tell it from another. */
  readonly service: ServiceId
}

type Word = z.output<typeof presence>

interface Heard {
  readonly instance: InstanceId
  seen_at: Millis
  /** Whether the store knows `seen_at`. */
  written: boolean
}

export class Gateways {
  readonly #options: GatewaysOptions
  /** Those that this service hears and the store has as they are. */
  readonly #heard = new Map<string, Heard>()
  #place = ""
  #timer: Timer | undefined
  #writing: Promise<void> = Promise.resolve()
  #closed = false

  constructor(options: GatewaysOptions) {
    this.#options = options
  }

  /** `place`: where this service listens, as the list says which one a gateway follows. */
  start(place: string): void {
    this.#place = place
    this.#again()
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#timer?.cancel()
    await this.#writing
  }

  /** A gateway says that it is there, or that it goes. Throws `too_many`. */
  async hear(word: Word, from: string): Promise<PresenceAnswer> {
    const { clock, service } = this.#options
    const answer = { service, announce: false, superseded: false }
    const known = this.#heard.get(word.gateway)
    // One that was silent may have been given up.
    if (known?.instance === word.instance && !word.leaving && clock.now() - known.seen_at < limits.gateway_silent_ms) {
      known.seen_at = clock.now()
      known.written = false
      return { ...answer, at: clock.now() }
    }
    const outcome = await this.#options.store.change((change) => this.#note(change, word, from))
    if (outcome === "left" || outcome === "superseded") {
      if (known?.instance === word.instance) this.#heard.delete(word.gateway)
    } else this.#heard.set(word.gateway, { instance: word.instance, seen_at: clock.now(), written: true })
    return { ...answer, announce: outcome === "new", superseded: outcome === "superseded", at: clock.now() }
  }

  /** Throws `forbidden`. */
  async list({ admin, auditor }: Person): Promise<GatewaysAnswer> {
    if (!admin && !auditor) throw new GatewayError("forbidden")
    const { store, clock } = this.#options
    const [gateways, counts] = await Promise.all([store.gateways(), store.openSessionCounts()])
    const now = clock.now()
    return {
      version,
      gateways: gateways.map(({ lost_at, seen_at: written_at, ...rest }) => {
        const heard = this.#heard.get(rest.name)
        const seen_at = heard?.instance === rest.instance ? Math.max(heard.seen_at, written_at) : written_at
        const status = lost_at !== null ? "lost" : now - seen_at > limits.gateway_silent_ms ? "silent" : "live"
        return { ...rest, seen_at, status, lost_at, other_version: rest.version !== version, sessions: counts.get(rest.name) ?? 0 }
      }),
    }
  }

  /** What the store has to know about it. "new": what it holds must be told anew; "known": it goes on, at another service perhaps. */
  async #note(change: Change, word: Word, from: string): Promise<"new" | "known" | "left" | "superseded"> {
    const { gateway: name, leaving, workers, ...told } = word
    const now = this.#options.clock.now()
    const before = await change.gateway(name)
    const actor: Actor = { actor: "gateway", by: name, from }
    if (leaving) {
      if (before?.instance !== word.instance) return "left"
      await change.removeGateways([name])
      await note(change, { at: now, kind: "gateway.left", actor, detail: { instance: word.instance } })
      return "left"
    }
    const same = before?.instance === word.instance
    if (before && !same && before.lost_at === null && before.started_at > word.started_at) return "superseded"
    const record: GatewayRecord = { name, ...told, service: this.#place, from, seen_at: now, lost_at: null }
    if (!before && (await change.gateways()).length >= limits.gateways_max)
      throw new GatewayError("too_many", { what: "too many gateways" })
    await change.putGateway(record)
    if (workers !== undefined) {
      const others = (await change.gateways()).map((one) => one.name)
      await change.removeGateways(others.filter((one) => isRetired(one, name, workers)))
    }
    if (same && before.lost_at === null) return "known"
    const { seen_at: _seen, lost_at: _lost, ...detail } = record
    if (same) await note(change, { at: now, kind: "gateway.returned", actor, detail: { ...detail, lost_at: before.lost_at } })
    else await note(change, { at: now, kind: "gateway.joined", actor, detail })
    return "new"
  }

  #again(): void {
    if (this.#closed) return
    this.#timer = this.#options.clock.after(limits.gateway_word_ms, () => {
      this.#writing = this.#write()
        .catch((err: unknown) => this.#options.log.warn({ err }, "could not write which gateways are heard; trying again"))
        .finally(() => this.#again())
    })
  }

  async #write(): Promise<void> {
    const due = [...this.#heard].filter(([, { written }]) => !written)
    if (due.length === 0) return
    const seen = due.map(([name, { instance, seen_at }]) => ({ name, instance, seen_at, service: this.#place }))
    const gone = await this.#options.store.change(async (change) => {
      const names: string[] = []
      for (const one of seen) if (!(await change.touchGateway(one))) names.push(one.name)
      return names
    })
    for (const [index, [, heard]] of due.entries()) heard.written = heard.seen_at === seen[index]?.seen_at
    // Given up, or started anew at another service: its next word is looked at as a first one.
    for (const name of gone) this.#heard.delete(name)
  }
}
