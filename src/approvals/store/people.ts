// People, logins and codes in the store.
import { type Nullable, type Selectable, sql } from "kysely"
import type { LoginId, RequestId } from "../../core/ids.ts"
import type { CodeRecord, Kept, LoginRecord, PeopleChange, PeopleReader, PersonRecord, StandingRecord } from "../people/people_store.ts"
import type { Door } from "./reads.ts"
import { keptRead } from "./kept.ts"
import { listText } from "./rows.ts"
import type { CodesTable, LoginsTable, PeopleTable, StandingsTable } from "./tables.ts"

const of_a_standing = [
  "s.subject as s_subject",
  "s.disabled as s_disabled",
  "s.at as s_at",
  "s.by_name as s_by_name",
  "s.reason as s_reason",
  "s.revision as s_revision",
] as const
/** In one statement, because every call asks for it. */
const called = keptRead<{ subject: string }, Nullable<Selectable<PeopleTable>> & Called>(({ db }, value) =>
  db
    .selectFrom(sql<{ one: number }>`(select 1 as one)`.as("one"))
    .leftJoin("people as p", (join) => join.on("p.subject", "=", value("subject")))
    .leftJoin("standings as s", (join) => join.on("s.subject", "=", value("subject")))
    .selectAll("p")
    .select(of_a_standing)
    .limit(1),
)
const askerOf = keptRead<{ request: RequestId }, Nullable<Selectable<PeopleTable>> & Called & { asker: string }>(({ db }, value) =>
  db
    .selectFrom("requests as r")
    .leftJoin("people as p", "p.subject", "r.subject")
    .leftJoin("standings as s", "s.subject", "r.subject")
    .where("r.id", "=", value("request"))
    .selectAll("p")
    .select(["r.subject as asker", ...of_a_standing])
    .limit(1),
)
type Called = { readonly [Column in keyof StandingsTable as `s_${Column}`]: StandingsTable[Column] | null }
const loginOf = keptRead<{ id: LoginId }, Selectable<LoginsTable>>(({ db }, value) =>
  db.selectFrom("logins").selectAll().where("id", "=", value("id")),
)

export function peopleReader(door: Door): PeopleReader {
  const { db, dialect } = door
  return {
    async personCalled(subject) {
      const [row] = await called(door, { subject })
      return row ? toKept(row) : { person: undefined, standing: undefined }
    },
    async asker(request) {
      const [row] = await askerOf(door, { request })
      if (!row) return undefined
      const { asker: subject, ...kept } = row
      return { subject, ...toKept(kept) }
    },
    async personOf(iss, sub) {
      const row = await db.selectFrom("people").selectAll().where("iss", "=", iss).where("sub", "=", sub).executeTakeFirst()
      return row && toPerson(row)
    },
    async namesTaken(names) {
      if (names.length === 0) return []
      const lower = names.map((name) => name.toLowerCase())
      const rows = await db.selectFrom("people").select("subject_lower").where("subject_lower", "in", lower).execute()
      const taken = new Set(rows.map(({ subject_lower }) => subject_lower))
      return names.filter((name) => taken.has(name.toLowerCase()))
    },
    async people(after, limit) {
      const name = dialect.byBytes("subject")
      const rows = await db.selectFrom("people").selectAll().where(name, ">", after).orderBy(name).limit(limit).execute()
      return rows.map(toPerson)
    },
    async standings(subjects) {
      if (subjects.length === 0) return []
      const rows = await db.selectFrom("standings").selectAll().where("subject", "in", subjects).execute()
      return rows.map(toStanding)
    },
    async login(id) {
      const [row] = await loginOf(door, { id })
      return row && toLogin(row)
    },
    async loginWith(digest) {
      const row = await db.selectFrom("logins").selectAll().where("digest", "=", digest).executeTakeFirst()
      return row && toLogin(row)
    },
    async liveLogins(subject, now) {
      const rows = await db
        .selectFrom("logins")
        .selectAll()
        .where("subject", "=", subject)
        .where("ended_at", "is", null)
        .where("expires_at", ">", now)
        .orderBy("used_at")
        .execute()
      return rows.map(toLogin)
    },
    async lastLoginEnd(now) {
      const row = await db
        .selectFrom("logins")
        .select((eb) => eb.fn.max("expires_at").as("last"))
        .where("ended_at", "is", null)
        .where("expires_at", ">", now)
        .executeTakeFirst()
      return row?.last ?? undefined
    },
    async code(kind, digest) {
      const row = await db.selectFrom("codes").selectAll().where("digest", "=", digest).where("kind", "=", kind).executeTakeFirst()
      return row && toCode(row)
    },
    async codeCalled(kind, user_code) {
      const row = await db.selectFrom("codes").selectAll().where("user_code", "=", user_code).where("kind", "=", kind).executeTakeFirst()
      return row && toCode(row)
    },
    async codeCount(kind) {
      const { count } = await db
        .selectFrom("codes")
        .select(sql<number>`count(*)`.as("count"))
        .where("kind", "=", kind)
        .executeTakeFirstOrThrow()
      return count
    },
  }
}

export function peopleChanger({ db }: Door): PeopleChange {
  return {
    async putPerson({ groups, ...rest }) {
      const row = { ...rest, subject_lower: rest.subject.toLowerCase(), groups: listText(groups) }
      const { iss: _iss, sub: _sub, ...changed } = row
      await db
        .insertInto("people")
        .values(row)
        .onConflict((conflict) => conflict.columns(["iss", "sub"]).doUpdateSet(changed))
        .execute()
    },
    async putStanding({ by, disabled, ...rest }) {
      const row = { ...rest, by_name: by, disabled: disabled ? 1 : 0 }
      await db
        .insertInto("standings")
        .values(row)
        .onConflict((conflict) => conflict.column("subject").doUpdateSet(row))
        .execute()
    },
    async addLogin({ from, ...rest }) {
      await db
        .insertInto("logins")
        .values({ ...rest, from_address: from })
        .execute()
    },
    async rotateLogin({ id, ...rest }) {
      await db.updateTable("logins").set(rest).where("id", "=", id).execute()
    },
    async useLogin(id, used_at) {
      await db.updateTable("logins").set({ used_at }).where("id", "=", id).execute()
    },
    async endLogin({ id, ...rest }) {
      await db.updateTable("logins").set(rest).where("id", "=", id).execute()
    },
    async addCode({ detail, ...rest }) {
      await db
        .insertInto("codes")
        .values({ ...rest, detail: JSON.stringify(detail) })
        .execute()
    },
    async setCode({ digest, detail }) {
      await db
        .updateTable("codes")
        .set({ detail: JSON.stringify(detail) })
        .where("digest", "=", digest)
        .execute()
    },
    async takeCode(kind, digest) {
      const row = await db.deleteFrom("codes").where("digest", "=", digest).where("kind", "=", kind).returningAll().executeTakeFirst()
      return row && toCode(row)
    },
    async dropCodes(expired_at) {
      await db.deleteFrom("codes").where("expires_at", "<=", expired_at).execute()
    },
  }
}

function toKept(row: Nullable<Selectable<PeopleTable>> & Called): Kept {
  const { s_subject, s_disabled, s_at, s_by_name, s_reason, s_revision, ...person } = row
  const standing = { subject: s_subject, disabled: s_disabled, at: s_at, by_name: s_by_name, reason: s_reason, revision: s_revision }
  return {
    person: person.subject === null ? undefined : toPerson(person as Selectable<PeopleTable>),
    standing: s_subject === null ? undefined : toStanding(standing as Selectable<StandingsTable>),
  }
}

function toPerson({ groups, subject_lower: _lower, ...rest }: Selectable<PeopleTable>): PersonRecord {
  return { ...rest, groups: JSON.parse(groups) as string[] }
}

const toStanding = ({ by_name, disabled, ...rest }: Selectable<StandingsTable>): StandingRecord => ({
  ...rest,
  by: by_name,
  disabled: disabled === 1,
})

function toLogin({ from_address, ...rest }: Selectable<LoginsTable>): LoginRecord {
  return { ...rest, id: rest.id as LoginId, kind: rest.kind as LoginRecord["kind"], from: from_address }
}

const toCode = ({ detail, ...rest }: Selectable<CodesTable>): CodeRecord => ({ ...rest, detail: JSON.parse(detail) as unknown })
