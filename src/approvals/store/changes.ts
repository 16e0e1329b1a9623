// Writes of the store, for use inside one change; the store itself begins and commits it.
import assert from "node:assert/strict"
import { sql } from "kysely"
import type { RequestId } from "../../core/ids.ts"
import type { Change, EventRecord } from "../store.ts"
import { outboxChanger } from "./outbox.ts"
import { peopleChanger } from "./people.ts"
import { authorityWrites } from "./authorities.ts"
import { gatewayWrites } from "./gateways.ts"
import type { WritingDoor } from "./kept.ts"
import { insertDecision, insertEvents, insertGrant, setState, updateGrant } from "./kept_writes.ts"
import { reader } from "./reads.ts"
import { listText, listTextOrNull } from "./rows.ts"
import type { EventsTable } from "./tables.ts"
import { waitWrites } from "./waits.ts"

export interface Writing extends Change {
  /** Writes what was appended and is not written yet. */
  writeEvents(): Promise<void>
}

/** The audit log, as one change goes on with it. */
export interface Appending {
  /** What the change appends, in order. */
  readonly appended: EventRecord[]
  /** The last sequence before the change, as soon as it is known. */
  readonly last: number | Promise<number>
}

/** The writes on one connection, to be followed by `writeEvents`: the lines of the audit log are written at the end, all at once. */
export function changer(door: WritingDoor, { appended, last }: Appending): Writing {
  const { db } = door
  const readers = reader(door)
  let written = 0
  const next = async (): Promise<number> => (await last) + appended.length + 1
  const writeEvents = async (): Promise<void> => {
    const events = appended.slice(written)
    written = appended.length
    await insertEvents(door, events.map(toRow))
  }
  return {
    ...readers,
    ...outboxChanger(door),
    ...peopleChanger(door),
    ...authorityWrites(door),
    ...gatewayWrites(door),
    ...waitWrites(door),
    nextSequence: next,
    async append(event) {
      assert.equal(event.sequence, await next(), "the audit log has no gap")
      appended.push(event)
    },
    writeEvents,
    async events(after, limit) {
      await writeEvents()
      return readers.events(after, limit)
    },
    async addRequest({ groups, as, approve_by, actions, plan, escalation, review, hold, ...rest }) {
      // One change after the other: the next number is free, and numbers have no gaps.
      const next = sql<number>`(select coalesce(max(id), 0) + 1 from requests)`
      const { id } = await db
        .insertInto("requests")
        .values({
          ...rest,
          id: next,
          groups: listText(groups),
          accounts: listTextOrNull(as),
          approve_by: listText(approve_by),
          actions: listTextOrNull(actions),
          plan: JSON.stringify(plan),
          escalate_at: escalation?.at ?? null,
          escalate_to: listTextOrNull(escalation?.to ?? null),
          review_by: listTextOrNull(review?.by ?? null),
          review_due_at: review?.due_at ?? null,
          hold: hold && JSON.stringify(hold),
          hold_grant: hold?.grant ?? null,
          hold_session: hold?.bound ? hold.session : null,
          hold_digest: hold?.digest ?? null,
        })
        .returning("id")
        .executeTakeFirstOrThrow()
      return id as RequestId
    },
    async setRequestState(id, state) {
      await setState(door, { id, state })
    },
    async setHold(id, hold) {
      await db
        .updateTable("requests")
        .set({ hold: JSON.stringify(hold) })
        .where("id", "=", id)
        .execute()
    },
    async redeemHold(id, at) {
      await db.updateTable("requests").set({ redeemed_at: at }).where("id", "=", id).execute()
    },
    async escalateRequest(id, approve_by) {
      await db
        .updateTable("requests")
        .set({ escalated: 1, approve_by: listText(approve_by) })
        .where("id", "=", id)
        .execute()
    },
    async markTold(id, why) {
      await db
        .updateTable("requests")
        .set(why === "lapsed" ? { lapse_told: 1 } : { overdue_told: 1 })
        .where("id", "=", id)
        .execute()
    },
    async lapseRequest(id, at) {
      await db.updateTable("requests").set({ lapses_at: at, lapse_told: 1 }).where("id", "=", id).execute()
    },
    async dropApproval(id, by) {
      await db
        .deleteFrom("decisions")
        .where("request", "=", id)
        .where("by_name", "=", by)
        .where("actor", "=", "person")
        .where("verdict", "=", "approve")
        .execute()
    },
    async reviewRequest(id, { by, at, note }) {
      await db.updateTable("requests").set({ reviewed_by: by, reviewed_at: at, review_note: note }).where("id", "=", id).execute()
    },
    async addDecision(request, { by, steps, ...rest }) {
      await insertDecision(door, { ...rest, request, by_name: by, steps: JSON.stringify(steps) })
    },
    async addGrant({ as, actions, ...rest }) {
      await insertGrant(door, { ...rest, accounts: listTextOrNull(as), actions: listTextOrNull(actions) })
    },
    async changeGrant(grant) {
      await updateGrant(door, grant)
    },
    async addSession({ as, grant, ...rest }) {
      await db
        .insertInto("sessions")
        .values({ ...rest, account: as, grant_id: grant })
        .execute()
    },
    async reopenSession(id) {
      await db.updateTable("sessions").set({ ended_at: null, ended_why: null }).where("id", "=", id).execute()
    },
    async endSession(id, { ended_at, ended_why }) {
      await db.updateTable("sessions").set({ ended_at, ended_why }).where("id", "=", id).execute()
    },
    async showTokenKey({ kid, jwk, seen_at }) {
      await db
        .insertInto("token_keys")
        .values({ kid, jwk, seen_at })
        .onConflict((conflict) => conflict.column("kid").doUpdateSet({ seen_at }))
        .execute()
    },
    async retireTokenKey({ kid, retired_at, good_until }) {
      await db.updateTable("token_keys").set({ retired_at, good_until }).where("kid", "=", kid).execute()
    },
    async probe(at) {
      await db
        .insertInto("probe")
        .values({ id: 1, at })
        .onConflict((conflict) => conflict.column("id").doUpdateSet({ at }))
        .execute()
    },
  }
}

function toRow({ by, from, grant, session, detail, ...rest }: EventRecord): EventsTable {
  return { ...rest, by_name: by, from_address: from, grant_id: grant, session_id: session, detail: JSON.stringify(detail) }
}
