// The catalogue of sessions, as gateways report them, and the word that ends one. A report may come late, twice or after a crash:
// what is known already is not changed by it.
import type { z } from "zod"
import type { ListedSession } from "../../api/listed.ts"
import type { SessionReport, sessionReports, SessionView } from "../../api/schema.ts"
import type { Clock, Millis } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import type { SessionId } from "../../core/ids.ts"
import { closeHolds } from "../requests/holds.ts"
import { type Actor, byPerson, byService, type Caller, note } from "../journal.ts"
import { withMayEnd } from "./may_end.ts"
import { type Page, type Paged, pageOf } from "../page.ts"
import { mayEnd, maySee, type Person, seenBy, type Subjected } from "../policy.ts"
import type { Change, Reader, Seen, SessionPlace, Store } from "../store.ts"

export class Sessions {
  readonly #store: Store
  readonly #clock: Clock

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#store = store
    this.#clock = clock
  }

  /** Newest first. A place in the list is written as "1790000000000.s_0123456789abcdef". */
  async list(person: Person, { live, limit, before }: Paged<string> & { readonly live: boolean }): Promise<Page<ListedSession, string>> {
    const live_at = live ? this.#clock.now() : undefined
    const read = (seen: Seen, rows: number, place = before): Promise<readonly SessionView[]> =>
      this.#store.sessions({ live_at, before: placeIn(place), seen, limit: rows })
    const { items, next } = await pageOf(
      { limit, before },
      (rows, place) => read(seenBy(person), rows, place),
      (session) => `${session.started_at}.${session.id}`,
    )
    return { items: await withMayEnd({ items, person, isOpen: ({ ended_at }) => ended_at === null }, read), next }
  }

  /**
   * Tells every gateway to end one session; its grant stays. The session has ended when its gateway reports so: asking twice is
   * telling twice, for a gateway that did not hear. Throws `over`, `forbidden`, `not_found`.
   */
  kill(caller: Caller, id: SessionId, reason: string): Promise<SessionView> {
    return this.#store.change(async (change) => {
      const session = await change.session(id)
      const about = session && (await subjected(change, session))
      if (!about || !maySee(caller.person, about)) throw new GatewayError("not_found")
      if (!mayEnd(caller.person, about)) throw new GatewayError("forbidden")
      // One whose gateway is not heard may go on there: it hears of this when it is back.
      if (session.ended_at !== null && session.ended_why !== gateway_lost) throw new GatewayError("over")
      const at = this.#clock.now()
      await note(change, {
        at,
        kind: "session.killed",
        actor: byPerson(caller),
        reason,
        session: id,
        grant: session.grant,
        detail: session,
      })
      return session
    })
  }

  /** What a gateway at `from` says about its sessions. Throws `invalid` when it speaks for another one. */
  report({ gateway, reports, live, workers }: z.output<typeof sessionReports>, from: string): Promise<void> {
    return this.#store.change(async (change) => {
      const now = this.#clock.now()
      const actor: Actor = { actor: "gateway", by: gateway, from }
      for (const report of reports) await apply(change, report, { gateway, actor, now })
      if (live === undefined) return
      // What it does not know any more, and does not begin with these reports, ended without a word: it was started anew.
      const known = new Set<string>([...live, ...reports.map((report) => (report.event === "started" ? report.session.id : report.id))])
      const gone = workers === undefined ? [] : (await change.gatewaysWithSessions()).filter((name) => isRetired(name, gateway, workers))
      for (const name of [gateway, ...gone]) {
        for (const id of await change.openSessions(name)) {
          if (known.has(id)) continue
          await apply(change, { event: "ended", id, ended_at: now, ended_why: "interrupted" }, { gateway: name, actor, now })
        }
      }
    })
  }
}

function placeIn(written: string | undefined): SessionPlace | undefined {
  const [started_at = "", id = ""] = written?.split(".") ?? []
  return written === undefined ? undefined : { started_at: Number(started_at), id: id as SessionId }
}

/** Why a session is over whose gateway is not heard any more. It may not be: the gateway may be back, and say so. */
const gateway_lost = "gateway_lost"

/** The session of a gateway that was given up. */
export async function endLost(change: Change, id: SessionId, now: Millis): Promise<void> {
  const session = await change.session(id)
  if (session?.ended_at === null) await end(change, session, { ended_at: now, ended_why: gateway_lost, actor: byService, now })
}

interface End {
  readonly ended_at: Millis
  readonly ended_why: string
  readonly actor: Actor
  readonly now: Millis
}

async function end(change: Change, session: SessionView, { ended_at, ended_why, actor, now }: End): Promise<void> {
  const { id, grant } = session
  await change.endSession(id, { ended_at, ended_why })
  await closeHolds(change, { session: id }, { actor, now })
  await note(change, { at: now, kind: "session.ended", actor, session: id, grant, detail: { ...session, ended_at, ended_why } })
}

/** Whether `name` is of a process that `gateway`, which consists of `workers` now, had in an earlier run: "gw", "gw/0", "gw/1". */
export function isRetired(name: string, gateway: string, workers: number): boolean {
  const [of, number] = name.split("/")
  if (name === gateway || of !== gateway.split("/")[0]) return false
  return number === undefined || workers === 1 || Number(number) >= workers
}

interface Reported {
  readonly gateway: string
  readonly actor: Actor
  readonly now: Millis
}

async function apply(change: Change, report: SessionReport, { gateway, actor, now }: Reported): Promise<void> {
  if (report.event === "started") {
    if (report.session.gateway !== gateway) throw new GatewayError("invalid", { what: "a gateway reports its own sessions" })
    const known = await change.session(report.session.id)
    if (known) return goOn(change, known, { gateway, actor, now })
    const session: SessionView = { ...report.session, ended_at: null, ended_why: null }
    await change.addSession(session)
    await note(change, { at: now, kind: "session.started", actor, session: session.id, grant: session.grant, detail: session })
    return
  }
  const session = await change.session(report.id)
  if (report.event === "flagged") return flagged(change, session, { ...report, gateway, actor, now })
  const { ended_at, ended_why } = report
  // One whose start was never heard of has no row to end; one of another gateway is not this one's to end. One that was given up with
  // its gateway has its true end now.
  if (!session || session.gateway !== gateway || (session.ended_at !== null && session.ended_why !== gateway_lost)) return
  await end(change, session, { ended_at, ended_why, actor, now })
}

/** Of one that was never heard of it is on record at its gateway alone. */
async function flagged(
  change: Change,
  session: SessionView | undefined,
  { gateway, actor, now, rule, count, actions, since }: Extract<SessionReport, { event: "flagged" }> & Reported,
): Promise<void> {
  if (session?.gateway !== gateway) return
  const { id, grant } = session
  await note(change, { at: now, kind: "action.flagged", actor, rule, session: id, grant, detail: { count, actions, since } })
}

/** A session that is known already is reported as live: it is so again when it was given up with its gateway. */
async function goOn(change: Change, session: SessionView, { gateway, actor, now }: Reported): Promise<void> {
  if (session.gateway !== gateway || session.ended_why !== gateway_lost) return
  await change.reopenSession(session.id)
  const { id, grant } = session
  const detail: SessionView = { ...session, ended_at: null, ended_why: null }
  await note(change, { at: now, kind: "session.returned", actor, session: id, grant, detail })
}

/** Who the session belongs to and who could decide about its grant. */
async function subjected(reader: Reader, { subject, grant: id }: SessionView): Promise<Subjected> {
  const grant = await reader.grant(id)
  const request = grant && (await reader.request(grant.request))
  return request ?? { subject, approve_by: [] }
}
