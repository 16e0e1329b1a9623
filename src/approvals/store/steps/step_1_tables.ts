// The first tables.
import type { Step } from "../migrations.ts"

export const tables: Step = {
  up: ({ name, ddl: { int, counter, written, strict, json } }) => `
  create table requests (
    id ${counter},
    subject text not null,
    groups text not null check (${json("groups")}),
    target text not null,
    accounts text check (accounts is null or ${json("accounts")}),
    duration_ms ${int} not null check (duration_ms > 0),
    starts_at ${int},
    reason text not null,
    created_at ${int} not null,
    lapses_at ${int} not null,
    state text not null check (state in ('pending', 'approved', 'denied', 'withdrawn')),
    rule text not null,
    approve_by text not null check (${json("approve_by")}),
    approvals_needed ${int} not null
  ) ${strict};
  create index requests_pending on requests (lapses_at) where state = 'pending';
  create index requests_of_subject on requests (subject, target);
  create index requests_pending_of_subject on requests (subject) where state = 'pending';

  -- A person says each thing once about a request, whatever is sent again.
  create table decisions (
    ${written}
    request ${int} not null references requests (id),
    by_name text not null,
    actor text not null check (actor in ('person', 'policy')),
    verdict text not null check (verdict in ('approve', 'deny')),
    reason text not null,
    at ${int} not null,
    primary key (request, by_name, verdict)
  ) ${strict};

  -- One request, one grant: two approvers that race cannot make two.
  create table grants (
    id text primary key,
    request ${int} not null unique references requests (id),
    subject text not null,
    target text not null,
    accounts text check (accounts is null or ${json("accounts")}),
    starts_at ${int} not null,
    ends_at ${int} not null check (ends_at > starts_at),
    status text not null check (status in ('active', 'revoked', 'dropped')),
    revision ${int} not null,
    ended_by text,
    ended_reason text,
    ended_at ${int}
  ) ${strict};
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
    started_at ${int} not null,
    ended_at ${int},
    ended_why text
  ) ${strict};
  create index sessions_open on sessions (gateway) where ended_at is null;
  create index sessions_live on sessions (started_at) where ended_at is null;
  create index sessions_newest on sessions (started_at);
  create index sessions_of_subject on sessions (subject, started_at);

  create table events (
    sequence ${int} primary key,
    at ${int} not null,
    kind text not null,
    actor text not null check (actor in ('person', 'policy', 'gateway')),
    by_name text not null,
    from_address text,
    reason text not null,
    rule text,
    request ${int},
    grant_id text,
    session_id text,
    detail text not null check (${json("detail")})
  ) ${strict};
  create index events_of_feed on events (sequence)
    where kind in ('grant.made', 'grant.revoked', 'grant.dropped', 'session.killed');
  ${stay[name]}

  create table probe (id ${int} primary key check (id = 1), at ${int} not null) ${strict};
  `,
  down: ({ name }) => `
  drop table probe;
  drop table events;
  ${name === "postgres" ? "drop function events_stay();" : ""}
  drop table sessions;
  drop table grants;
  drop table decisions;
  drop table requests;
  `,
}

/** What happened is not rewritten. */
const stay = {
  sqlite: `create trigger events_stay before update on events begin select raise(abort, 'the audit log is not rewritten'); end;`,
  postgres: `
  create function events_stay() returns trigger language plpgsql as $$ begin raise exception 'the audit log is not rewritten'; end $$;
  create trigger events_stay before update on events for each row execute function events_stay();
  `,
}
