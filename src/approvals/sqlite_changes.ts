// Writes of the embedded store, for use inside one change; `sqlite_store.ts` begins and commits it.
import type { RequestId } from "../core/ids.ts"
import { listText } from "./sqlite_rows.ts"
import { type Prepare, reader } from "./sqlite_reads.ts"
import type { Change, EventRecord } from "./store.ts"

/** The writes on one connection. What is appended to the audit log is also put into `appended`. */
export function changer(prepare: Prepare, appended: EventRecord[]): Change {
  return {
    ...reader(prepare),
    async nextSequence() {
      return lastSequence(prepare) + 1
    },
    async append(event) {
      prepare(
        `insert into events (sequence, at, kind, actor, by_name, from_address, reason, rule, request, grant_id, session_id, detail)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ).run(
        event.sequence,
        event.at,
        event.kind,
        event.actor,
        event.by,
        event.from,
        event.reason,
        event.rule,
        event.request,
        event.grant,
        event.session,
        JSON.stringify(event.detail),
      )
      appended.push(event)
    },
    async addRequest(r) {
      const { lastInsertRowid } = prepare(
        `insert into requests (subject, groups, target, accounts, duration_ms, starts_at, reason, created_at, lapses_at, state, rule,
         approve_by, approvals_needed) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ).run(
        r.subject,
        listText(r.groups),
        r.target,
        listText(r.as),
        r.duration_ms,
        r.starts_at,
        r.reason,
        r.created_at,
        r.lapses_at,
        r.state,
        r.rule,
        listText(r.approve_by),
        r.approvals_needed,
      )
      return Number(lastInsertRowid) as RequestId
    },
    async setRequestState(id, state) {
      prepare("update requests set state = ? where id = ?").run(state, id)
    },
    async addDecision(request, { by, actor, verdict, reason, at }) {
      prepare("insert into decisions (request, by_name, actor, verdict, reason, at) values (?, ?, ?, ?, ?, ?)").run(
        request,
        by,
        actor,
        verdict,
        reason,
        at,
      )
    },
    async addGrant(g) {
      prepare(
        `insert into grants (id, request, subject, target, accounts, starts_at, ends_at, status, revision, ended_by, ended_reason, ended_at)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ).run(
        g.id,
        g.request,
        g.subject,
        g.target,
        listText(g.as),
        g.starts_at,
        g.ends_at,
        g.status,
        g.revision,
        g.ended_by,
        g.ended_reason,
        g.ended_at,
      )
    },
    async endGrant({ id, status, revision, ended_by, ended_reason, ended_at }) {
      prepare("update grants set status = ?, revision = ?, ended_by = ?, ended_reason = ?, ended_at = ? where id = ?").run(
        status,
        revision,
        ended_by,
        ended_reason,
        ended_at,
        id,
      )
    },
    async addSession(s) {
      prepare(
        `insert into sessions (id, gateway, protocol, subject, target, account, grant_id, client, started_at, ended_at, ended_why)
         values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
      ).run(s.id, s.gateway, s.protocol, s.subject, s.target, s.as, s.grant, s.client, s.started_at, s.ended_at, s.ended_why)
    },
    async endSession(id, { ended_at, ended_why }) {
      prepare("update sessions set ended_at = ?, ended_why = ? where id = ?").run(ended_at, ended_why, id)
    },
  }
}

export function lastSequence(prepare: Prepare): number {
  return Number(prepare("select coalesce(max(sequence), 0) as last from events").get()?.["last"])
}
