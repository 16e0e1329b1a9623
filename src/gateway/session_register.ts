// Every live session of this gateway, so that a change that arrives for one finds it, and so that a shutdown finds them all.
import type { SessionReport } from "../api/schema.ts"
import type { ErrorCode } from "../core/errors.ts"
import type { Clock, Millis } from "../core/clock.ts"
import type { Grant } from "../core/grant.ts"
import type { SessionId } from "../core/ids.ts"
import { metrics } from "../observe/metrics.ts"
import type { SessionHeader } from "../record/events.ts"
import type { Reporter } from "./control_plane/reporter.ts"
import { type FlaggedAction, FlaggedActions } from "./actions/flagged_actions.ts"
import type { CutDetail, LiveSession } from "./session.ts"

type Started = Extract<SessionReport, { event: "started" }>

export class SessionRegister {
  readonly #clock: Clock
  readonly #reporter: Pick<Reporter, "push" | "gateway">
  readonly #live = new Map<SessionId, LiveSession>()
  readonly #started = new Map<SessionId, Started>()
  readonly #flagged: FlaggedActions
  /** Set once: no session is added after it. */
  closing = false

  constructor(clock: Clock, reporter: Pick<Reporter, "push" | "gateway">) {
    this.#clock = clock
    this.#reporter = reporter
    this.#flagged = new FlaggedActions(clock, (report) => reporter.push(report))
  }

  get size(): number {
    return this.#live.size
  }

  add(session: LiveSession, header: SessionHeader, started_at: Millis): void {
    this.#live.set(session.id, session)
    metrics.sessionOpened(header.protocol)
    const { gateway } = this.#reporter
    const { id, protocol, subject, target, as, grant, client } = header
    const started: Started = {
      event: "started",
      session: { id, gateway, protocol, subject, target, as, grant, client, started_at },
    }
    this.#started.set(id, started)
    this.#reporter.push(started)
  }

  /** Reports of those that are live, as they were made when they began. */
  started(): readonly Started[] {
    return [...this.#started.values()]
  }

  remove(session: LiveSession, why: ErrorCode | "closed"): void {
    if (!this.#live.delete(session.id)) return
    this.#started.delete(session.id)
    metrics.sessionClosed(session.target.protocol)
    this.#reporter.push({ event: "ended", id: session.id, ended_at: this.#clock.now(), ended_why: why })
  }

  /** A rule flagged an action of one. */
  flag(session: LiveSession, { rule, text }: Pick<FlaggedAction, "rule" | "text">): void {
    const { id, identity, target } = session
    this.#flagged.add({ session: id, subject: identity.subject, target: target.name, rule, text })
  }

  /** A newer revision of a grant: revoked, dropped or extended. */
  update(grant: Grant, detail: CutDetail): void {
    for (const session of this.#live.values()) if (session.grant.id === grant.id) session.update(grant, detail)
  }

  otherHistory(): void {
    for (const session of this.#live.values()) session.otherHistory()
  }

  kill(id: SessionId, detail: CutDetail): void {
    this.#live.get(id)?.cut("killed", detail)
  }

  /** Cuts those that wait for nothing. */
  cutIdle(): void {
    for (const session of this.#live.values()) if (session.idle) session.cut("shutdown")
  }

  /** Settles when all sessions are over. */
  async cutAll(): Promise<void> {
    const live = [...this.#live.values()]
    for (const session of live) session.cut("shutdown")
    await this.emptied()
    this.#flagged.flush()
  }

  async emptied(): Promise<void> {
    await Promise.all([...this.#live.values()].map((session) => session.ended))
  }
}
