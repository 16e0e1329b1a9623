-- The embedded store as the first program with a store made it: version 1, before there was a second database. Not to be edited.
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

-- What such a program wrote: a request that two people decided, its grant, a session, and the log.
insert into requests values
  (1, 'alice@example.com', '["engineers"]', 'prod-host', '["root"]', 3600000, null, 'INC-7', 1000, 90000000, 'approved', 'policy.access[0]', '["oncall"]', 2),
  (2, 'carol@example.com', '[]', 'grafana', null, 60000, 5000, '', 2000, 90000000, 'pending', 'policy.access[1]', '["oncall","dana@example.com"]', 1);
insert into decisions values
  (1, 'erin@example.com', 'person', 'approve', 'one', 3000),
  (1, 'bob@example.com', 'person', 'approve', 'two', 3000);
insert into grants values
  ('g_0000000000000001', 1, 'alice@example.com', 'prod-host', '["root"]', 3000, 3603000, 'active', 5, null, null, null);
insert into sessions values
  ('s_0000000000000001', 'gw', 'ssh', 'alice@example.com', 'prod-host', 'root', 'g_0000000000000001', '203.0.113.7:1', 4000, null, null);
insert into events values
  (1, 1000, 'request.asked', 'person', 'alice@example.com', '127.0.0.1:1', 'INC-7', 'policy.access[0]', 1, null, null, '{}'),
  (2, 3000, 'request.decision', 'person', 'erin@example.com', '127.0.0.1:1', 'one', 'policy.access[0]', 1, null, null, '{}'),
  (3, 3000, 'request.decision', 'person', 'bob@example.com', '127.0.0.1:1', 'two', 'policy.access[0]', 1, null, null, '{}'),
  (4, 3000, 'request.approved', 'person', 'bob@example.com', '127.0.0.1:1', 'two', 'policy.access[0]', 1, null, null, '{"state":"approved"}'),
  (5, 3000, 'grant.made', 'person', 'bob@example.com', '127.0.0.1:1', '', 'policy.access[0]', 1, 'g_0000000000000001', null, '{"id":"g_0000000000000001"}');
pragma user_version = 1;
