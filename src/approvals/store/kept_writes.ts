// The writes of nearly every change, kept (`kept.ts`).
import type { Insertable } from "kysely"
import { keptWrite, type WritingDoor } from "./kept.ts"
import type { DecisionsTable, EventsTable, GrantsTable, RequestsTable } from "./tables.ts"

export const setState = keptWrite<Pick<RequestsTable, "id" | "state">>(({ db }, value) =>
  db
    .updateTable("requests")
    .set(value.each(["state"]))
    .where("id", "=", value("id")),
)

type NewDecision = Required<Insertable<Omit<DecisionsTable, "rowid">>>
const of_a_decision = ["request", "by_name", "actor", "verdict", "reason", "at", "steps"] as const
export const insertDecision = keptWrite<NewDecision>(({ db }, value) => db.insertInto("decisions").values(value.each(of_a_decision)))

const changing = ["ends_at", "status", "revision", "first_use_ms", "uses_left", "ended_by", "ended_reason", "ended_at"] as const
export const updateGrant = keptWrite<Pick<GrantsTable, "id" | (typeof changing)[number]>>(({ db }, value) =>
  db.updateTable("grants").set(value.each(changing)).where("id", "=", value("id")),
)

const of_a_grant = [...changing, "id", "request", "subject", "target", "accounts", "starts_at", "actions", "uses_max"] as const
export const insertGrant = keptWrite<GrantsTable>(({ db }, value) => db.insertInto("grants").values(value.each(of_a_grant)))

const of_an_event = [
  "sequence",
  "at",
  "kind",
  "actor",
  "by_name",
  "from_address",
  "reason",
  "rule",
  "request",
  "grant_id",
  "session_id",
  "detail",
] as const satisfies readonly (keyof EventsTable)[]
/** A change rarely has more; what it has more goes by so many. */
const rows_max = 16

/** By how many there are. */
const insertOf = Array.from({ length: rows_max + 1 }, (_, count) =>
  keptWrite<readonly EventsTable[keyof EventsTable][]>(({ db }, value) => {
    const row = (index: number) => of_an_event.map((name, column) => [name, value(index * of_an_event.length + column)])
    return db.insertInto("events").values(Array.from({ length: count }, (_, index) => Object.fromEntries(row(index)) as EventsTable))
  }),
)

/** Lines of the audit log, in order. */
export async function insertEvents(door: WritingDoor, events: readonly EventsTable[]): Promise<void> {
  for (let at = 0; at < events.length; at += rows_max) {
    const rows = events.slice(at, at + rows_max)
    await insertOf[rows.length]?.(
      door,
      rows.flatMap((row) => of_an_event.map((name) => row[name])),
    )
  }
}
