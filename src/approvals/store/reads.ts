// Reads of the store. Each is one statement, so it sees one state: never the half of a change. The same reads run inside a change,
// on its connection, and outside.
import { type Kysely, type Nullable, type RawBuilder, type Selectable, sql, type SqlBool } from "kysely"
import type { Millis } from "../../core/clock.ts"
import type { GrantId, RequestId, SessionId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { DueRequest, EventKind, FeedBatch, Reader, Store } from "../store.ts"
import { authorityReads } from "./authorities.ts"
import { holdReads } from "./holds.ts"
import type { Dialect } from "./dialect.ts"
import { gatewayReads } from "./gateways.ts"
import { outboxReader } from "./outbox.ts"
import { peopleReader } from "./people.ts"
import { keptRead } from "./kept.ts"
import { listTextOrNull, type RequestRow, toEvent, toGrant, toRequest, toSession } from "./rows.ts"
import type { GrantsTable, RequestsTable, Tables } from "./tables.ts"

/** A connection, or many, and how its database is spoken to. */
export interface Door {
  readonly db: Kysely<Tables>
  readonly dialect: Dialect
  /** Runs one statement as it is written, and answers its rows. */
  read(sql: string, parameters: readonly unknown[]): Promise<readonly object[]>
}

const decision_columns = ["by_name", "actor", "verdict", "reason", "at", "steps"] as const
/** Of `grants as g`. */
export const grant_columns = [
  "g.id",
  "g.request",
  "g.subject",
  "g.target",
  "g.accounts",
  "g.starts_at",
  "g.ends_at",
  "g.status",
  "g.revision",
  "g.first_use_ms",
  "g.actions",
  "g.uses_max",
  "g.uses_left",
  "g.ended_by",
  "g.ended_reason",
  "g.ended_at",
] as const

/** Rows of `requests r`, each with what belongs to it. */
export function wholeRequests({ db, dialect }: Pick<Door, "db" | "dialect">) {
  return db
    .selectFrom("requests as r")
    .selectAll("r")
    .select((eb) => [
      dialect
        .jsonArrayFrom(
          eb.selectFrom("decisions as d").select(decision_columns).whereRef("d.request", "=", "r.id").orderBy("d.at").orderBy("d.rowid"),
        )
        .as("decisions_json"),
      dialect
        .jsonObjectFrom(
          eb
            .selectFrom("grants as g")
            .select(grant_columns)
            .where((on) => on.or([on("g.request", "=", on.ref("r.id")), on("g.id", "=", on.ref("r.extends_grant"))])),
        )
        .as("grant_json"),
    ])
}

const requestOf = keptRead<{ id: RequestId }, RequestRow>((parts, value) => wholeRequests(parts).where("r.id", "=", value("id")))
const alike = (state: "pending" | undefined) =>
  keptRead<Alike, RequestRow>((parts, value) =>
    wholeRequests(parts)
      .where("r.subject", "=", value("subject"))
      .where("r.target", "=", value("target"))
      .where("r.accounts", "is not distinct from", value("accounts"))
      .where("r.actions", "is not distinct from", value("actions"))
      .where("r.extends_grant", "is not distinct from", value("extends_grant"))
      .where("r.hold", "is", null)
      .where(state === undefined ? sql<SqlBool>`1 = 1` : sql<SqlBool>`r.state = ${sql.lit(state)}`)
      .orderBy("r.id", "desc")
      .limit(1),
  )
const lastOf = alike(undefined)
const lastPendingOf = alike("pending")
type Alike = Pick<RequestsTable, "subject" | "target" | "accounts" | "actions" | "extends_grant">
const grantOf = keptRead<{ id: GrantId }, Selectable<GrantsTable>>(({ db }, value) =>
  db.selectFrom("grants as g").select(grant_columns).where("g.id", "=", value("id")),
)
const pendingOf = keptRead<{ subject: string; now: Millis }, { count: number }>(({ db }, value) =>
  db
    .selectFrom("requests")
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .where("subject", "=", value("subject"))
    .where("state", "=", sql.lit("pending"))
    .where("hold", "is", null)
    .where("lapses_at", ">", value("now")),
)

export function reader(door: Door): Reader {
  const { db } = door
  const request: Reader["request"] = async (id) => {
    const [row] = await requestOf(door, { id })
    return row && toRequest(row)
  }
  return {
    ...outboxReader(door),
    ...peopleReader(door),
    ...authorityReads(door),
    ...gatewayReads(door),
    ...holdReads(door, request),
    request,
    async lastRequest({ subject, target, as, actions, extends_grant }, state) {
      const wanted = { subject, target, accounts: listTextOrNull(as), actions: listTextOrNull(actions), extends_grant }
      const [row] = await (state === "pending" ? lastPendingOf : lastOf)(door, wanted)
      return row && toRequest(row)
    },
    async timesGiven(rule, subject, { since, limit }) {
      const rows = await db
        .selectFrom("requests")
        .select("created_at")
        .where("subject", "=", subject)
        .where("rule", "=", rule)
        .where("approvals_needed", "=", 0)
        .where("state", "=", sql.lit("approved"))
        .where("created_at", ">", since)
        .orderBy("id", "desc")
        .limit(limit)
        .execute()
      return rows.map(({ created_at }) => created_at)
    },
    async pendingExtensions(grant) {
      const rows = await db
        .selectFrom("requests")
        .select("id")
        .where("extends_grant", "=", grant)
        .where("state", "=", sql.lit("pending"))
        .execute()
      return rows.map(({ id }) => id as RequestId)
    },
    async pendingCount(subject, now) {
      const [row] = await pendingOf(door, { subject, now })
      return row?.count ?? 0
    },
    tokenKeys: () => db.selectFrom("token_keys").selectAll().execute(),
    async pendingRequests({ after, now, limit }) {
      const rows = await db
        .selectFrom("requests")
        .select("id")
        .where("state", "=", "pending")
        .where("hold", "is", null)
        .where("lapses_at", ">", now)
        .where("id", ">", after)
        .orderBy("id")
        .limit(limit)
        .execute()
      return rows.map(({ id }) => id as RequestId)
    },
    async dueRequests(now, limit) {
      const due = async (why: DueRequest["why"], where: RawBuilder<SqlBool>): Promise<DueRequest[]> => {
        const rows = await db.selectFrom("requests").select("id").where(where).orderBy("id").limit(limit).execute()
        return rows.map(({ id }) => ({ id: id as RequestId, why }))
      }
      // As the indexes are written, so that looking costs nothing when nothing is due.
      return [
        ...(await due("lapsed", sql`state = 'pending' and lapse_told = 0 and lapses_at <= ${now}`)),
        ...(await due("escalate", sql`state = 'pending' and escalated = 0 and escalate_at <= ${now} and lapses_at > ${now}`)),
        ...(await due(
          "review_overdue",
          sql`reviewed_at is null and review_due_at is not null and overdue_told = 0 and review_due_at <= ${now} and state = 'approved'`,
        )),
      ]
    },
    async grant(id) {
      const [row] = await grantOf(door, { id })
      return row && toGrant(row)
    },
    async liveGrantCount(subject, now) {
      const { count } = await db
        .selectFrom("grants")
        .select((eb) => eb.fn.countAll<number>().as("count"))
        .where("subject", "=", subject)
        .where("status", "=", sql.lit("active"))
        .where("ends_at", ">", now)
        .executeTakeFirstOrThrow()
      return count
    },
    async session(id) {
      const row = await db.selectFrom("sessions").selectAll().where("id", "=", id).executeTakeFirst()
      return row && toSession(row)
    },
    async openSessions(gateway) {
      const rows = await db.selectFrom("sessions").select("id").where("gateway", "=", gateway).where("ended_at", "is", null).execute()
      return rows.map(({ id }) => id as SessionId)
    },
    async gatewaysWithSessions() {
      const rows = await db.selectFrom("sessions").select("gateway").distinct().where("ended_at", "is", null).execute()
      return rows.map(({ gateway }) => gateway)
    },
  }
}

/** What gateways are told of. */
export const fed = [
  "grant.made",
  "grant.begun",
  "grant.extended",
  "grant.spent",
  "grant.revoked",
  "grant.dropped",
  "session.killed",
  "hold.settled",
  "hold.estimate_asked",
  "person.changed",
  "person.disabled",
  "person.enabled",
  "login.ended",
  "request.approved",
  "request.denied",
  "request.withdrawn",
  "request.lapsed",
] as const satisfies readonly EventKind[]
/** As the index on the feed says it, so that it is found. */
const isFed = sql<boolean>`e.kind in (${sql.join(fed.map((kind) => sql.lit(kind)))})`

export const lastSequence = (db: Kysely<Tables>): Promise<number> =>
  present(db)
    .executeTakeFirstOrThrow()
    .then(({ last }) => last)

const present = (db: Kysely<Tables>) => db.selectFrom("events").select(sql<number>`coalesce(max(sequence), 0)`.as("last"))
const lookedUp = keptRead<LookedUp, Nullable<Selectable<GrantsTable>> & { last: number }>(({ db }, value) =>
  db
    .selectFrom(present(db).as("present"))
    .leftJoin("grants as g", (join) =>
      join
        .on("g.subject", "=", value("subject"))
        .on("g.target", "=", value("target"))
        .on("g.status", "=", sql.lit("active"))
        .on("g.ends_at", ">", value("now")),
    )
    .select("present.last")
    .select(grant_columns)
    .orderBy("g.ends_at", "desc")
    .limit(sql.lit(limits.live_grants_per_subject_max)),
)
type LookedUp = Parameters<Store["lookup"]>[0]

/** What gateways ask for. Each answer comes with the sequence as of which it is so, read by the same statement. */
export function feeds(door: Door): Pick<Store, "lookup" | "sequence" | "history" | "feed"> {
  const { db } = door
  return {
    async lookup(wanted) {
      const rows = await lookedUp(door, wanted)
      return {
        sequence: rows[0]?.last ?? 0,
        grants: rows.flatMap(({ last: _last, ...grant }) => (grant.id === null ? [] : [toGrant(grant as Parameters<typeof toGrant>[0])])),
      }
    },
    sequence: () => lastSequence(db),
    history: async () => (await db.selectFrom("history").select("id").executeTakeFirstOrThrow()).id,
    async feed(after, limit): Promise<FeedBatch> {
      const rows = await db
        .selectFrom(present(db).as("present"))
        .leftJoin("events as e", (join) => join.on(isFed).on("e.sequence", ">", after))
        .selectAll("e")
        .select("present.last")
        .orderBy("e.sequence")
        .limit(limit)
        .execute()
      const events = rows.flatMap(({ last: _last, ...event }) =>
        event.sequence === null ? [] : [toEvent(event as Parameters<typeof toEvent>[0])],
      )
      const through = events.length === limit ? events.at(-1)?.sequence : rows[0]?.last
      return { events, through: through ?? 0 }
    },
  }
}
