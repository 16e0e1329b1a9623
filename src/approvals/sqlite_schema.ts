// The tables of the embedded store, as numbered steps. A step that was released is never edited: the next one changes what it
// made. `user_version` counts the steps a file has been through.
import type { DatabaseSync } from "node:sqlite"

const steps: readonly string[] = [
  `
  create table requests (
    id integer primary key autoincrement,
    subject text not null,
    groups text not null check (json_valid(groups)),
    target text not null,
    accounts text check (accounts is null or json_valid(accounts)),
    duration_ms integer not null check (duration_ms > 0),
    starts_at integer,
    reason text not null,
    created_at integer not null,
    lapses_at integer not null,
    state text not null check (state in ('pending', 'approved', 'denied', 'withdrawn')),
    rule text not null,
    approve_by text not null check (json_valid(approve_by)),
    approvals_needed integer not null
  ) strict;
  create index requests_pending on requests (lapses_at) where state = 'pending';
  create index requests_of_subject on requests (subject, target);
  create index requests_pending_of_subject on requests (subject) where state = 'pending';

  -- A person says each thing once about a request, whatever is sent again.
  create table decisions (
    request integer not null references requests (id),
    by_name text not null,
    actor text not null check (actor in ('person', 'policy')),
    verdict text not null check (verdict in ('approve', 'deny')),
    reason text not null,
    at integer not null,
    primary key (request, by_name, verdict)
  ) strict;

  -- One request, one grant: two approvers that race cannot make two.
  create table grants (
    id text primary key,
    request integer not null unique references requests (id),
    subject text not null,
    target text not null,
    accounts text check (accounts is null or json_valid(accounts)),
    starts_at integer not null,
    ends_at integer not null check (ends_at > starts_at),
    status text not null check (status in ('active', 'revoked', 'dropped')),
    revision integer not null,
    ended_by text,
    ended_reason text,
    ended_at integer
  ) strict;
  create index grants_wanted on grants (subject, target, ends_at) where status = 'active';
  create index grants_live on grants (ends_at) where status = 'active';
  create index grants_of_subject on grants (subject, revision);
  create index grants_newest on grants (revision);

  -- What gateways report. A gateway's word is kept even about a grant this store has lost, so there is no reference to grants.
  create table sessions (
    id text primary key,
    gateway text not null,
    protocol text not null check (protocol in ('ssh', 'postgres', 'http')),
    subject text not null,
    target text not null,
    account text,
    grant_id text not null,
    client text not null,
    started_at integer not null,
    ended_at integer,
    ended_why text
  ) strict;
  create index sessions_open on sessions (gateway) where ended_at is null;
  create index sessions_live on sessions (started_at) where ended_at is null;
  create index sessions_newest on sessions (started_at);
  create index sessions_of_subject on sessions (subject, started_at);

  create table events (
    sequence integer primary key,
    at integer not null,
    kind text not null,
    actor text not null check (actor in ('person', 'policy', 'gateway')),
    by_name text not null,
    from_address text,
    reason text not null,
    rule text,
    request integer,
    grant_id text,
    session_id text,
    detail text not null check (json_valid(detail))
  ) strict;
  create index events_of_feed on events (sequence)
    where kind in ('grant.made', 'grant.revoked', 'grant.dropped', 'session.killed');
  -- What happened is not rewritten.
  create trigger events_stay before update on events begin select raise(abort, 'the audit log is not rewritten'); end;

  create table probe (id integer primary key check (id = 1), at integer not null) strict;
  `,
]

export const schema_version = steps.length

/** Brings the file up to this program's version. Throws, with words for the operator, when it was made by a newer one. */
export function migrate(db: DatabaseSync): void {
  db.exec("begin exclusive")
  try {
    const { user_version: version } = db.prepare("pragma user_version").get() as { user_version: number }
    if (version > schema_version)
      throw new Error(`the store is of version ${version} and this program knows up to ${schema_version}: start a newer sluice`)
    for (const step of steps.slice(version)) db.exec(step)
    db.exec(`pragma user_version = ${schema_version}`)
    db.exec("commit")
  } catch (failure) {
    db.exec("rollback")
    throw failure
  }
}
