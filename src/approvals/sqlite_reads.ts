// Reads of single things from the embedded store. The same reads run inside a change, on its connection, and outside, on another.
import type { DatabaseSync, StatementSync } from "node:sqlite"
import type { SessionId } from "../core/ids.ts"
import { listText, type Row, toDecision, toGrant, toRequest, toSession } from "./sqlite_rows.ts"
import type { Reader, RequestRecord } from "./store.ts"

/** Prepares each text once; the texts are all in the code. */
export type Prepare = (sql: string) => StatementSync

export function preparer(db: DatabaseSync): Prepare {
  const prepared = new Map<string, StatementSync>()
  return (sql) => {
    const statement = prepared.get(sql) ?? db.prepare(sql)
    prepared.set(sql, statement)
    return statement
  }
}

export const request_columns =
  "id, subject, groups, target, accounts, duration_ms, starts_at, reason, created_at, lapses_at, state, rule, approve_by, approvals_needed"

/** A row of `requests` with what belongs to it. */
export function wholeRequest(prepare: Prepare, row: Row): RequestRecord {
  const id = row["id"] as number
  const decisions = prepare("select * from decisions where request = ? order by at, rowid").all(id)
  const grant = prepare("select * from grants where request = ?").get(id)
  return toRequest(row, decisions.map(toDecision), grant && toGrant(grant))
}

const count = (row: Row | undefined): number => Number(row?.["count"])

export function reader(prepare: Prepare): Reader {
  return {
    async request(id) {
      const row = prepare(`select ${request_columns} from requests where id = ?`).get(id)
      return row && wholeRequest(prepare, row)
    },
    async lastRequest(subject, target, as) {
      const row = prepare(
        `select ${request_columns} from requests where subject = ? and target = ? and accounts is ? order by id desc limit 1`,
      ).get(subject, target, listText(as))
      return row && wholeRequest(prepare, row)
    },
    async pendingCount(subject, now) {
      return count(
        prepare("select count(*) as count from requests where subject = ? and state = 'pending' and lapses_at > ?").get(subject, now),
      )
    },
    async grant(id) {
      const row = prepare("select * from grants where id = ?").get(id)
      return row && toGrant(row)
    },
    async liveGrantCount(subject, now) {
      return count(
        prepare("select count(*) as count from grants where subject = ? and status = 'active' and ends_at > ?").get(subject, now),
      )
    },
    async session(id) {
      const row = prepare("select * from sessions where id = ?").get(id)
      return row && toSession(row)
    },
    async openSessions(gateway) {
      return prepare("select id from sessions where gateway = ? and ended_at is null")
        .all(gateway)
        .map((row) => row["id"] as SessionId)
    },
  }
}
