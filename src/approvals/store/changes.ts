// Writes of the store, for use inside one change; the store itself begins and commits it.
import { sql } from "kysely"
import type { RequestId } from "../../core/ids.ts"
import type { Change, EventRecord } from "../store.ts"
import { outboxChanger } from "./outbox.ts"
import { peopleChanger } from "./people.ts"
import { authorityWrites } from "./authorities.ts"
import { gatewayWrites } from "./gateways.ts"
import { type Door, lastSequence, reader } from "./reads.ts"
import { listText, listTextOrNull } from "./rows.ts"

/** The writes on one connection. What is appended to the audit log is also put into `appended`. */
export function changer(door: Door, appended: EventRecord[]): Change {
  const { db } = door
  return {
    ...reader(door),
    ...outboxChanger(door),
    ...peopleChanger(door),
    ...authorityWrites(door),
    ...gatewayWrites(door),
    async nextSequence() {
      return (await lastSequence(db)) + 1
    },
    async append(event) {
      const { by, from, grant, session, detail, ...rest } = event
      await db
        .insertInto("events")
        .values({ ...rest, by_name: by, from_address: from, grant_id: grant, session_id: session, detail: JSON.stringify(detail) })
        .execute()
      appended.push(event)
    },
    async addRequest({ groups, as, approve_by, actions, plan, escalation, review, ...rest }) {
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
        })
        .returning("id")
        .executeTakeFirstOrThrow()
      return id as RequestId
    },
    async setRequestState(id, state) {
      await db.updateTable("requests").set({ state }).where("id", "=", id).execute()
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
    async reviewRequest(id, { by, at, note }) {
      await db.updateTable("requests").set({ reviewed_by: by, reviewed_at: at, review_note: note }).where("id", "=", id).execute()
    },
    async addDecision(request, { by, steps, ...rest }) {
      await db
        .insertInto("decisions")
        .values({ ...rest, request, by_name: by, steps: JSON.stringify(steps) })
        .execute()
    },
    async addGrant({ as, actions, ...rest }) {
      await db
        .insertInto("grants")
        .values({ ...rest, accounts: listTextOrNull(as), actions: listTextOrNull(actions) })
        .execute()
    },
    async changeGrant({ id, ends_at, status, revision, first_use_ms, uses_left, ended_by, ended_reason, ended_at }) {
      await db
        .updateTable("grants")
        .set({ ends_at, status, revision, first_use_ms, uses_left, ended_by, ended_reason, ended_at })
        .where("id", "=", id)
        .execute()
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
