// Lists from the store, newest first, and only what the one who asks may see.
import { type RawBuilder, type SqlBool, sql } from "kysely"
import type { Seen, Store } from "../store.ts"
import { type Door, grant_columns, wholeRequests } from "./reads.ts"
import { toEvent, toGrant, toRequest, toSession } from "./rows.ts"

export function lists(door: Door): Pick<Store, "requests" | "grants" | "sessions" | "auditLog"> {
  const { db } = door
  return {
    async auditLog({ limit, before, since, by, kind }) {
      let query = db.selectFrom("events").selectAll()
      if (before !== undefined) query = query.where("sequence", "<", before)
      if (since !== undefined) query = query.where("at", ">=", since)
      if (by !== undefined) query = query.where("by_name", "=", by)
      if (kind?.endsWith(".*")) query = query.where("kind", "like", `${kind.slice(0, -1)}%`)
      else if (kind !== undefined) query = query.where("kind", "=", kind)
      return (await query.orderBy("sequence", "desc").limit(limit).execute()).map(toEvent)
    },
    async requests({ seen, limit, live_at, before, unreviewed = false }) {
      let query = wholeRequests(door).where(visible(door, seen, "r.subject"))
      if (live_at !== undefined) query = query.where("r.state", "=", sql.lit("pending")).where("r.lapses_at", ">", live_at)
      if (unreviewed) query = query.where("r.review_due_at", "is not", null).where("r.reviewed_at", "is", null)
      if (before !== undefined) query = query.where("r.id", "<", before)
      const rows = await query.orderBy("r.id", "desc").limit(limit).execute()
      return rows.map(toRequest)
    },
    async grants({ seen, limit, live_at, before }) {
      let query = db
        .selectFrom("grants as g")
        .innerJoin("requests as r", "r.id", "g.request")
        .select(grant_columns)
        .where(visible(door, seen, "g.subject"))
      if (live_at !== undefined) query = query.where("g.status", "=", sql.lit("active")).where("g.ends_at", ">", live_at)
      if (before !== undefined) query = query.where("g.request", "<", before)
      const rows = await query.orderBy("g.request", "desc").limit(limit).execute()
      return rows.map(toGrant)
    },
    async sessions({ seen, limit, live_at, before }) {
      let query = db
        .selectFrom("sessions as s")
        .leftJoin("grants as g", "g.id", "s.grant_id")
        .leftJoin("requests as r", "r.id", "g.request")
        .selectAll("s")
        .where(visible(door, seen, "s.subject"))
      // A session without an end is live at any time; `live_at` only asks for these.
      if (live_at !== undefined) query = query.where("s.ended_at", "is", null)
      if (before !== undefined) query = query.where(sql<SqlBool>`(s.started_at, s.id) < (${before.started_at}, ${before.id})`)
      const rows = await query.orderBy("s.started_at", "desc").orderBy("s.id", "desc").limit(limit).execute()
      return rows.map(toSession)
    },
  }
}

/** Rows of `seen.subject`, and those that one of `seen.names` may decide about. */
function visible({ dialect }: Door, seen: Seen, subject: string): RawBuilder<SqlBool> {
  if (seen === "all") return sql`true`
  const mine = sql<SqlBool>`${sql.ref(subject)} = ${seen.subject}`
  // Most people decide about nothing: for them an index finds their own, and nobody else's rows are looked at.
  return seen.names.length === 0 ? mine : sql`(${mine} or ${dialect.holdsOneOf(sql.ref("r.approve_by"), seen.names)})`
}
