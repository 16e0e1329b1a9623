// Lists from the store, newest first, and only what the one who asks may see.
import { type RawBuilder, type SqlBool, sql } from "kysely"
import type { Millis } from "../../core/clock.ts"
import type { RequestId } from "../../core/ids.ts"
import type { List, Seen, Store } from "../store.ts"
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
      else if (kind !== undefined) query = query.where(sql<SqlBool>`kind || '' = ${kind}`) // as its index is written
      return (await query.orderBy("sequence", "desc").limit(limit).execute()).map(toEvent)
    },
    async requests(list) {
      const rows = await wholeRequests(door).where("r.id", "in", requestIds(list)).orderBy("r.id", "desc").limit(list.limit).execute()
      return rows.map(toRequest)
    },
    async grants(list) {
      const wanted = list.live_at === undefined ? grantsEver(list) : grantsInForce(list, list.live_at)
      const rows = await db
        .selectFrom("grants as g")
        .select(grant_columns)
        .where("g.request", "in", wanted)
        .orderBy("g.request", "desc")
        .limit(list.limit)
        .execute()
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

type Wanted = Pick<List, "seen" | "limit" | "live_at"> & { readonly unreviewed?: boolean; readonly before?: RequestId | undefined }
type Ids = RawBuilder<number>

/** The ids of a page: of each index that has some of it no more than a page is read, however much is on file. */
const eitherOf = (ids: readonly Ids[]): Ids =>
  sql`(${sql.join(
    ids.map((one) => sql`select id from (${one}) one`),
    sql` union `,
  )})`

const page = ({ limit, before }: Wanted, id: string): RawBuilder<unknown> =>
  sql`${before === undefined ? sql`` : sql`and ${sql.ref(id)} < ${before}`} order by ${sql.ref(id)} desc limit ${limit}`

/** What everybody has asked for, then one's own, then what one may decide about. */
function requestIds(wanted: Wanted): Ids {
  const { seen, live_at, unreviewed = false } = wanted
  const waits = sql`r.state = 'pending' and r.lapse_told = 0`
  const which = unreviewed
    ? sql`r.reviewed_at is null and r.review_due_at is not null`
    : live_at === undefined
      ? sql`1 = 1`
      : sql`${waits} and r.lapses_at > ${live_at}`
  if (seen === "all") return sql`(select r.id from requests r where ${which} ${page(wanted, "r.id")})`
  const mine = sql<number>`select r.id from requests r where r.subject = ${seen.subject} and ${which} ${page(wanted, "r.id")}`
  const decided = seen.names.map(
    (name) => sql<number>`select d.request as id from deciders d join requests r on r.id = d.request
      where d.name = ${name} ${live_at === undefined ? sql`` : sql`and d.waits = 1`} and ${which} ${page(wanted, "d.request")}`,
  )
  return eitherOf([mine, ...decided])
}

function grantsEver(wanted: Wanted): Ids {
  const { seen } = wanted
  if (seen === "all") return sql`(select g.request from grants g where 1 = 1 ${page(wanted, "g.request")})`
  const mine = sql<number>`select g.request as id from grants g where g.subject = ${seen.subject} ${page(wanted, "g.request")}`
  const decided = seen.names.map(
    (name) => sql<number>`select d.request as id from deciders d
      where d.name = ${name} and exists (select 1 from grants g where g.request = d.request) ${page(wanted, "d.request")}`,
  )
  return eitherOf([mine, ...decided])
}

/** Of those in force there are as many as people work with; the index has all that is looked at. */
function grantsInForce(wanted: Wanted, now: Millis): Ids {
  const { seen } = wanted
  const which =
    seen === "all"
      ? sql`1 = 1`
      : seen.names.length === 0
        ? sql`g.subject = ${seen.subject}`
        : sql`(g.subject = ${seen.subject}
            or exists (select 1 from deciders d where d.request = g.request and d.name in (${sql.join(seen.names)})))`
  return sql`(select g.request from grants g where g.status = 'active' and g.ends_at > ${now} and ${which} ${page(wanted, "g.request")})`
}
