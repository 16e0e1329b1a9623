-- The embedded store as a service of version 15 left it: what it had been asked, what waited and what was in force. Not to be edited.
CREATE TABLE requests (
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
  , actions text check (actions is null or json_valid(actions)), uses integer, first_use_within_ms integer, extends_grant text, extends_to integer, plan text check (plan is null or json_valid(plan)), escalate_at integer, escalate_to text, review_by text, review_due_at integer, reviewed_by text, reviewed_at integer, review_note text, escalated integer not null default 0, lapse_told integer not null default 0, overdue_told integer not null default 0, hold text check (hold is null or json_valid(hold)), hold_grant text, hold_session text, hold_digest text, redeemed_at integer) strict;
CREATE TABLE decisions (
    
    request integer not null references requests (id),
    by_name text not null,
    actor text not null check (actor in ('person', 'policy')),
    verdict text not null check (verdict in ('approve', 'deny')),
    reason text not null,
    at integer not null, steps text check (steps is null or json_valid(steps)),
    primary key (request, by_name, verdict)
  ) strict;
CREATE TABLE events (
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
CREATE TABLE probe (id integer primary key check (id = 1), at integer not null) strict;
CREATE TABLE "grants" (
    id text primary key,
    request integer not null unique references requests (id),
    subject text not null,
    target text not null,
    accounts text check (accounts is null or json_valid(accounts)),
    starts_at integer not null,
    ends_at integer not null check (ends_at > starts_at),
    status text not null check (status in ('active', 'revoked', 'dropped', 'spent')),
    revision integer not null,
    first_use_ms integer check (first_use_ms > 0),
    actions text check (actions is null or json_valid(actions)),
    uses_max integer,
    uses_left integer check (uses_left >= 0),
    ended_by text,
    ended_reason text,
    ended_at integer
  ) strict;
CREATE TABLE outbox (id integer primary key check (id = 1), sequence integer not null) strict;
CREATE TABLE deliveries (
    id text primary key,
    channel text not null,
    recipient text not null,
    sequence integer not null,
    attempts integer not null,
    next_at integer not null,
    give_up_at integer not null,
    -- An event is told to each once, however often the log is gone through.
    unique (sequence, channel, recipient)
  ) strict;
CREATE TABLE slack_answers (digest text primary key, at integer not null) strict;
CREATE TABLE people (
    iss text not null,
    sub text not null,
    subject text not null unique,
    -- Two names that differ in case would be one to those who read them.
    subject_lower text not null unique,
    email text,
    groups text not null check (json_valid(groups)),
    created_at integer not null,
    seen_at integer not null,
    revision integer not null,
    primary key (iss, sub)
  ) strict;
CREATE TABLE standings (
    subject text primary key,
    disabled integer not null check (disabled in (0, 1)),
    at integer not null,
    by_name text not null,
    reason text not null,
    revision integer not null
  ) strict;
CREATE TABLE logins (
    id text primary key,
    subject text not null,
    sub text,
    kind text not null check (kind in ('web', 'cli', 'device')),
    via text not null,
    created_at integer not null,
    auth_time integer,
    acr text,
    expires_at integer not null,
    used_at integer not null,
    digest text not null unique,
    previous text,
    rotated_at integer,
    from_address text not null,
    ended_at integer,
    ended_by text,
    ended_why text,
    revision integer not null
  ) strict;
CREATE TABLE codes (
    digest text primary key,
    kind text not null,
    user_code text unique,
    expires_at integer not null,
    detail text not null check (json_valid(detail))
  ) strict;
CREATE TABLE token_keys (kid text primary key, jwk text not null check (json_valid(jwk)), seen_at integer not null, retired_at integer, good_until integer) strict;
CREATE TABLE history (one integer primary key check (one = 1), id text not null) strict;
CREATE TABLE gateways (
    name text primary key,
    instance text not null,
    version text not null,
    started_at integer not null,
    listening text not null check (json_valid(listening)),
    service text not null,
    from_address text not null,
    seen_at integer not null,
    lost_at integer
  ) strict;
CREATE TABLE waits (
    waiter text primary key,
    request integer not null,
    -- Nobody waits any longer, whatever was heard of them; 0: they have left.
    until integer not null,
    -- Whether the request was made for this waiter, not found.
    filed integer not null
  ) strict;
CREATE TABLE "sessions" (
    id text primary key,
    gateway text not null,
    protocol text not null check (protocol in ('ssh', 'postgres', 'http', 'tcp')),
    subject text not null,
    target text not null,
    account text,
    grant_id text not null,
    client text not null,
    started_at integer not null,
    ended_at integer,
    ended_why text
  ) strict;
CREATE TABLE "authorities" (
    id text primary key,
    kind text not null check (kind in ('ssh-user', 'client', 'ssh-target')),
    owner text not null,
    generation integer not null check (generation > 0),
    public_part text not null,
    created_at integer not null,
    signed_until integer not null,
    retired_at integer,
    unique (kind, owner, generation)
  ) strict;
insert into requests values
  (1, 'alice@example.com', '["engineers"]', 'prod-host', '["root"]', 3600000, null, 'INC-7: pods crash', 1768478400000, 1768564800000, 'approved', 'policy.access[2]', '["oncall"]', 1, '["systemctl restart *","uptime"]', 3, null, null, null, '{"order":"sequence","steps":[{"by":["oncall"],"count":1}]}', null, null, null, null, null, null, null, 0, 0, 0, null, null, null, null, null),
  (2, 'alice@example.com', '["engineers"]', 'two-keys', null, 3600000, null, 'INC-7: pods crash', 1768478400000, 1768564800000, 'pending', 'policy.access[3]', '["oncall","dana@example.com"]', 2, null, null, null, null, null, '{"order":"sequence","steps":[{"by":["oncall","dana@example.com"],"count":2}]}', null, null, null, null, null, null, null, 0, 0, 0, null, null, null, null, null),
  (3, 'carol@example.com', '["engineers"]', 'prod-host', '["deploy"]', 3600000, null, 'INC-7: pods crash', 1768478400000, 1768564800000, 'pending', 'policy.access[2]', '["oncall"]', 1, null, null, 3600000, null, null, '{"order":"sequence","steps":[{"by":["oncall"],"count":1}]}', null, null, null, null, null, null, null, 0, 0, 0, null, null, null, null, null),
  (4, 'alice@example.com', '["engineers"]', 'prod-host', null, 3600000, null, 'INC-7: pods crash', 1768478400000, 1768564800000, 'approved', 'policy.access[0]', '["oncall"]', 0, null, null, null, null, null, '{"order":"any","steps":[]}', null, null, '["oncall"]', 1768564800000, null, null, null, 0, 0, 0, null, null, null, null, null),
  (5, 'alice@example.com', '["engineers"]', 'prod-host', '["deploy"]', 3600000, null, 'INC-7: pods crash', 1768478400000, 1768564800000, 'approved', 'policy.access[2]', '["oncall"]', 1, null, null, null, null, null, '{"order":"sequence","steps":[{"by":["oncall"],"count":1}]}', null, null, null, null, null, null, null, 0, 0, 0, null, null, null, null, null),
  (6, 'alice@example.com', '["engineers"]', 'prod-host', '["deploy"]', 3600000, null, 'longer', 1768478400000, 1768482000000, 'pending', 'policy.access[2]', '["oncall"]', 1, null, null, null, 'g_yc5h6c3d6p3yzztr', 1768485600000, '{"order":"sequence","steps":[{"by":["oncall"],"count":1}]}', null, null, null, null, null, null, null, 0, 0, 0, null, null, null, null, null),
  (7, 'alice@example.com', '["engineers"]', 'prod-host', '["root"]', 3600000, null, 'INC-7: pods crash', 1768478400000, 1768564800000, 'denied', 'policy.access[2]', '["oncall"]', 1, null, null, null, null, null, '{"order":"sequence","steps":[{"by":["oncall"],"count":1}]}', null, null, null, null, null, null, null, 0, 0, 0, null, null, null, null, null),
  (8, 'alice@example.com', '["engineers"]', 'prod-host', '["deploy"]', 900000, null, 'INC-7: pods crash', 1768478400000, 1768479300000, 'pending', 'policy.actions[0]', '["oncall"]', 1, null, null, null, null, null, '{"order":"any","steps":[{"by":["oncall"],"count":1}]}', null, null, null, null, null, null, null, 0, 0, 0, '{"session":"s_0000000000000016","grant":"g_yc5h6c3d6p3yzztr","protocol":"ssh","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","text":"reboot","values":[],"action_kind":null,"tables":[],"calls":[],"notes":[],"recent":[],"bound":true,"rule_digest":"the rule as it is"}', 'g_yc5h6c3d6p3yzztr', 's_0000000000000016', 'sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', null);
insert into decisions values
  (1, 'bob@example.com', 'person', 'approve', 'go on', 1768478400000, '[0]'),
  (2, 'bob@example.com', 'person', 'approve', '', 1768478400000, '[0]'),
  (4, 'policy.access[0]', 'policy', 'approve', '', 1768478400000, '[]'),
  (5, 'bob@example.com', 'person', 'approve', '', 1768478400000, '[0]'),
  (7, 'bob@example.com', 'person', 'deny', 'no', 1768478400000, '[0]');
insert into events values
  (1, 1768478400000, 'request.asked', 'person', 'alice@example.com', '127.0.0.1:42782', 'INC-7: pods crash', 'policy.access[2]', 1, null, null, '{"subject":"alice@example.com","groups":["engineers"],"target":"prod-host","as":["root"],"duration_ms":3600000,"starts_at":null,"reason":"INC-7: pods crash","created_at":1768478400000,"lapses_at":1768564800000,"state":"pending","rule":"policy.access[2]","approve_by":["oncall"],"approvals_needed":1,"plan":{"order":"sequence","steps":[{"by":["oncall"],"count":1}]},"escalation":null,"review":null,"actions":["systemctl restart *","uptime"],"uses":3,"first_use_within_ms":null,"extends_grant":null,"extends_to":null,"hold":null}'),
  (2, 1768478400000, 'request.decision', 'person', 'bob@example.com', '127.0.0.1:42782', 'go on', 'policy.access[2]', 1, null, null, '{"by":"bob@example.com","actor":"person","verdict":"approve","reason":"go on","at":1768478400000,"steps":[0]}'),
  (3, 1768478400000, 'request.approved', 'person', 'bob@example.com', '127.0.0.1:42782', 'go on', 'policy.access[2]', 1, null, null, '{"state":"approved"}'),
  (4, 1768478400000, 'grant.made', 'person', 'bob@example.com', '127.0.0.1:42782', '', 'policy.access[2]', 1, 'g_yqzr559rtnrezb6g', null, '{"id":"g_yqzr559rtnrezb6g","request":1,"subject":"alice@example.com","target":"prod-host","as":["root"],"starts_at":1768478400000,"ends_at":1768482000000,"status":"active","revision":4,"first_use_ms":null,"actions":["systemctl restart *","uptime"],"uses_max":3,"uses_left":3,"ended_by":null,"ended_reason":null,"ended_at":null}'),
  (5, 1768478400000, 'session.started', 'gateway', 'gw', '127.0.0.1:42786', '', null, null, 'g_yqzr559rtnrezb6g', 's_0000000000000015', '{"id":"s_0000000000000015","gateway":"gw","protocol":"ssh","subject":"alice@example.com","target":"prod-host","as":"root","grant":"g_yqzr559rtnrezb6g","client":"203.0.113.7:1","started_at":1768478400000,"ended_at":null,"ended_why":null}'),
  (6, 1768478400000, 'grant.used', 'gateway', 'gw', '127.0.0.1:42782', '', null, 1, 'g_yqzr559rtnrezb6g', 's_0000000000000015', '{"action":null,"uses_left":2}'),
  (7, 1768478400000, 'request.asked', 'person', 'alice@example.com', '127.0.0.1:42782', 'INC-7: pods crash', 'policy.access[3]', 2, null, null, '{"subject":"alice@example.com","groups":["engineers"],"target":"two-keys","as":null,"duration_ms":3600000,"starts_at":null,"reason":"INC-7: pods crash","created_at":1768478400000,"lapses_at":1768564800000,"state":"pending","rule":"policy.access[3]","approve_by":["oncall","dana@example.com"],"approvals_needed":2,"plan":{"order":"sequence","steps":[{"by":["oncall","dana@example.com"],"count":2}]},"escalation":null,"review":null,"actions":null,"uses":null,"first_use_within_ms":null,"extends_grant":null,"extends_to":null,"hold":null}'),
  (8, 1768478400000, 'request.decision', 'person', 'bob@example.com', '127.0.0.1:42782', '', 'policy.access[3]', 2, null, null, '{"by":"bob@example.com","actor":"person","verdict":"approve","reason":"","at":1768478400000,"steps":[0]}'),
  (9, 1768478400000, 'request.asked', 'person', 'carol@example.com', '127.0.0.1:42782', 'INC-7: pods crash', 'policy.access[2]', 3, null, null, '{"subject":"carol@example.com","groups":["engineers"],"target":"prod-host","as":["deploy"],"duration_ms":3600000,"starts_at":null,"reason":"INC-7: pods crash","created_at":1768478400000,"lapses_at":1768564800000,"state":"pending","rule":"policy.access[2]","approve_by":["oncall"],"approvals_needed":1,"plan":{"order":"sequence","steps":[{"by":["oncall"],"count":1}]},"escalation":null,"review":null,"actions":null,"uses":null,"first_use_within_ms":3600000,"extends_grant":null,"extends_to":null,"hold":null}'),
  (10, 1768478400000, 'request.asked', 'person', 'alice@example.com', '127.0.0.1:42782', 'INC-7: pods crash', 'policy.access[0]', 4, null, null, '{"subject":"alice@example.com","groups":["engineers"],"target":"prod-host","as":null,"duration_ms":3600000,"starts_at":null,"reason":"INC-7: pods crash","created_at":1768478400000,"lapses_at":1768564800000,"state":"pending","rule":"policy.access[0]","approvals_needed":0,"plan":{"order":"any","steps":[]},"escalation":null,"approve_by":["oncall"],"review":{"by":["oncall"],"due_at":1768564800000},"actions":null,"uses":null,"first_use_within_ms":null,"extends_grant":null,"extends_to":null,"hold":null}'),
  (11, 1768478400000, 'break_glass.used', 'person', 'alice@example.com', '127.0.0.1:42782', 'INC-7: pods crash', 'policy.access[0]', 4, null, null, '{"subject":"alice@example.com","groups":["engineers"],"target":"prod-host","as":null,"duration_ms":3600000,"starts_at":null,"reason":"INC-7: pods crash","created_at":1768478400000,"lapses_at":1768564800000,"state":"pending","rule":"policy.access[0]","approvals_needed":0,"plan":{"order":"any","steps":[]},"escalation":null,"approve_by":["oncall"],"review":{"by":["oncall"],"due_at":1768564800000},"actions":null,"uses":null,"first_use_within_ms":null,"extends_grant":null,"extends_to":null,"hold":null}'),
  (12, 1768478400000, 'request.approved', 'policy', 'policy.access[0]', null, '', 'policy.access[0]', 4, null, null, '{"state":"approved"}'),
  (13, 1768478400000, 'grant.made', 'policy', 'policy.access[0]', null, '', 'policy.access[0]', 4, 'g_tw5w6cm78qx6cvpv', null, '{"id":"g_tw5w6cm78qx6cvpv","request":4,"subject":"alice@example.com","target":"prod-host","as":null,"starts_at":1768478400000,"ends_at":1768482000000,"status":"active","revision":13,"first_use_ms":null,"actions":null,"uses_max":null,"uses_left":null,"ended_by":null,"ended_reason":null,"ended_at":null}'),
  (14, 1768478400000, 'request.asked', 'person', 'alice@example.com', '127.0.0.1:42782', 'INC-7: pods crash', 'policy.access[2]', 5, null, null, '{"subject":"alice@example.com","groups":["engineers"],"target":"prod-host","as":["deploy"],"duration_ms":3600000,"starts_at":null,"reason":"INC-7: pods crash","created_at":1768478400000,"lapses_at":1768564800000,"state":"pending","rule":"policy.access[2]","approve_by":["oncall"],"approvals_needed":1,"plan":{"order":"sequence","steps":[{"by":["oncall"],"count":1}]},"escalation":null,"review":null,"actions":null,"uses":null,"first_use_within_ms":null,"extends_grant":null,"extends_to":null,"hold":null}'),
  (15, 1768478400000, 'request.decision', 'person', 'bob@example.com', '127.0.0.1:42782', '', 'policy.access[2]', 5, null, null, '{"by":"bob@example.com","actor":"person","verdict":"approve","reason":"","at":1768478400000,"steps":[0]}'),
  (16, 1768478400000, 'request.approved', 'person', 'bob@example.com', '127.0.0.1:42782', '', 'policy.access[2]', 5, null, null, '{"state":"approved"}'),
  (17, 1768478400000, 'grant.made', 'person', 'bob@example.com', '127.0.0.1:42782', '', 'policy.access[2]', 5, 'g_yc5h6c3d6p3yzztr', null, '{"id":"g_yc5h6c3d6p3yzztr","request":5,"subject":"alice@example.com","target":"prod-host","as":["deploy"],"starts_at":1768478400000,"ends_at":1768482000000,"status":"active","revision":17,"first_use_ms":null,"actions":null,"uses_max":null,"uses_left":null,"ended_by":null,"ended_reason":null,"ended_at":null}'),
  (18, 1768478400000, 'request.asked', 'person', 'alice@example.com', '127.0.0.1:42782', 'longer', 'policy.access[2]', 6, null, null, '{"subject":"alice@example.com","groups":["engineers"],"target":"prod-host","as":["deploy"],"duration_ms":3600000,"starts_at":null,"reason":"longer","created_at":1768478400000,"lapses_at":1768482000000,"state":"pending","rule":"policy.access[2]","approve_by":["oncall"],"approvals_needed":1,"plan":{"order":"sequence","steps":[{"by":["oncall"],"count":1}]},"escalation":null,"review":null,"actions":null,"uses":null,"first_use_within_ms":null,"extends_grant":"g_yc5h6c3d6p3yzztr","extends_to":1768485600000,"hold":null}'),
  (19, 1768478400000, 'request.asked', 'person', 'alice@example.com', '127.0.0.1:42782', 'INC-7: pods crash', 'policy.access[2]', 7, null, null, '{"subject":"alice@example.com","groups":["engineers"],"target":"prod-host","as":["root"],"duration_ms":3600000,"starts_at":null,"reason":"INC-7: pods crash","created_at":1768478400000,"lapses_at":1768564800000,"state":"pending","rule":"policy.access[2]","approve_by":["oncall"],"approvals_needed":1,"plan":{"order":"sequence","steps":[{"by":["oncall"],"count":1}]},"escalation":null,"review":null,"actions":null,"uses":null,"first_use_within_ms":null,"extends_grant":null,"extends_to":null,"hold":null}'),
  (20, 1768478400000, 'request.decision', 'person', 'bob@example.com', '127.0.0.1:42782', 'no', 'policy.access[2]', 7, null, null, '{"by":"bob@example.com","actor":"person","verdict":"deny","reason":"no","at":1768478400000,"steps":[0]}'),
  (21, 1768478400000, 'request.denied', 'person', 'bob@example.com', '127.0.0.1:42782', 'no', 'policy.access[2]', 7, null, null, '{"state":"denied"}'),
  (22, 1768478400000, 'session.started', 'gateway', 'gw', '127.0.0.1:42786', '', null, null, 'g_yc5h6c3d6p3yzztr', 's_0000000000000016', '{"id":"s_0000000000000016","gateway":"gw","protocol":"ssh","subject":"alice@example.com","target":"prod-host","as":"deploy","grant":"g_yc5h6c3d6p3yzztr","client":"203.0.113.7:1","started_at":1768478400000,"ended_at":null,"ended_why":null}'),
  (23, 1768478400000, 'request.asked', 'gateway', 'gw', '127.0.0.1:42782', 'INC-7: pods crash', 'policy.actions[0]', 8, null, null, '{"subject":"alice@example.com","groups":["engineers"],"target":"prod-host","as":["deploy"],"duration_ms":900000,"starts_at":null,"reason":"INC-7: pods crash","created_at":1768478400000,"lapses_at":1768479300000,"state":"pending","rule":"policy.actions[0]","approve_by":["oncall"],"approvals_needed":1,"plan":{"order":"any","steps":[{"by":["oncall"],"count":1}]},"escalation":null,"review":null,"actions":null,"uses":null,"first_use_within_ms":null,"extends_grant":null,"extends_to":null,"hold":{"session":"s_0000000000000016","grant":"g_yc5h6c3d6p3yzztr","protocol":"ssh","digest":"sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","text":"reboot","values":[],"action_kind":null,"tables":[],"calls":[],"notes":[],"recent":[],"bound":true,"rule_digest":"the rule as it is"}}'),
  (24, 1768478400000, 'person.disabled', 'person', 'dana@example.com', '127.0.0.1:42782', 'left', null, null, null, null, '{"subject":"frank@example.com","groups":[],"disabled":true,"revision":24}');
insert into grants values
  ('g_yqzr559rtnrezb6g', 1, 'alice@example.com', 'prod-host', '["root"]', 1768478400000, 1768482000000, 'active', 6, null, '["systemctl restart *","uptime"]', 3, 2, null, null, null),
  ('g_tw5w6cm78qx6cvpv', 4, 'alice@example.com', 'prod-host', null, 1768478400000, 1768482000000, 'active', 13, null, null, null, null, null, null, null),
  ('g_yc5h6c3d6p3yzztr', 5, 'alice@example.com', 'prod-host', '["deploy"]', 1768478400000, 1768482000000, 'active', 17, null, null, null, null, null, null, null);
insert into outbox values
  (1, 23);
insert into deliveries values
  ('n_0vfsfyfjnmn3xng1', 'hook', '', 1, 1, 1768478430000, 1768564800000),
  ('n_s7m0emve4s89c6xb', 'hook', '', 2, 1, 1768478430000, 1768564800000),
  ('n_hd95vz73t47pqykw', 'hook', '', 3, 1, 1768478430000, 1768564800000),
  ('n_wfwehajd43nvsgw8', 'hook', '', 7, 1, 1768478430000, 1768564800000),
  ('n_ez214tcaam56x5zq', 'hook', '', 8, 1, 1768478430000, 1768564800000),
  ('n_zzk11wfrzj4j2vhm', 'hook', '', 9, 1, 1768478430000, 1768564800000),
  ('n_ahp91te6r6ajgtj2', 'hook', '', 10, 1, 1768478430000, 1768564800000),
  ('n_f1wx1ws3h7jnqfcs', 'hook', '', 12, 1, 1768478430000, 1768564800000),
  ('n_hefbw2mezcbatcx3', 'hook', '', 14, 1, 1768478430000, 1768564800000),
  ('n_fy4sjk2b3g3fqq9v', 'hook', '', 15, 1, 1768478430000, 1768564800000),
  ('n_sz6fh24qt9dzpcfb', 'hook', '', 16, 1, 1768478430000, 1768564800000),
  ('n_bf0nmt135jp6g9gs', 'hook', '', 18, 1, 1768478430000, 1768564800000),
  ('n_xd6sdd61q7xgwy09', 'hook', '', 19, 1, 1768478430000, 1768564800000),
  ('n_b4tf4y0wvpfvd7ds', 'hook', '', 20, 1, 1768478430000, 1768564800000),
  ('n_14zbrmxd9s3dyn7p', 'hook', '', 21, 1, 1768478430000, 1768564800000),
  ('n_41f8jp5hq9fdgks1', 'hook', '', 23, 1, 1768478430000, 1768564800000);
insert into standings values
  ('frank@example.com', 1, 1768478400000, 'dana@example.com', 'left', 24);
insert into token_keys values
  ('PTKSwye5ZvEze5AvmvmmHGfOfTReRejT5RAwLrLst3w', '{"kty":"EC","x":"6uT4Gt9os4KLv9Yjxd4roSeexjocLcOXx-G0E0RfBkI","y":"qtF3gUE1_t2g0_rqirB6GL_IPJC6EfITPn-csAh10Kw","crv":"P-256","kid":"PTKSwye5ZvEze5AvmvmmHGfOfTReRejT5RAwLrLst3w","use":"sig","alg":"ES256"}', 1768478400000, null, null);
insert into history values
  (1, '468938cd82e65fea42fb5e3ec40b837c');
insert into sessions values
  ('s_0000000000000015', 'gw', 'ssh', 'alice@example.com', 'prod-host', 'root', 'g_yqzr559rtnrezb6g', '203.0.113.7:1', 1768478400000, null, null),
  ('s_0000000000000016', 'gw', 'ssh', 'alice@example.com', 'prod-host', 'deploy', 'g_yc5h6c3d6p3yzztr', '203.0.113.7:1', 1768478400000, null, null);
CREATE INDEX requests_pending on requests (lapses_at) where state = 'pending';
CREATE INDEX requests_of_subject on requests (subject, target);
CREATE INDEX requests_pending_of_subject on requests (subject) where state = 'pending';
CREATE INDEX requests_extending on requests (extends_grant) where extends_grant is not null;
CREATE INDEX grants_wanted on grants (subject, target, ends_at) where status = 'active';
CREATE INDEX grants_live on grants (ends_at) where status = 'active';
CREATE INDEX grants_of_subject on grants (subject, revision);
CREATE INDEX grants_newest on grants (revision);
CREATE INDEX deliveries_due on deliveries (channel, next_at);
CREATE INDEX slack_answers_by_time on slack_answers (at);
CREATE INDEX logins_live on logins (subject, used_at) where ended_at is null;
CREATE INDEX codes_end on codes (expires_at);
CREATE INDEX requests_escalating on requests (escalate_at) where state = 'pending' and escalated = 0;
CREATE INDEX requests_lapsing on requests (lapses_at) where state = 'pending' and lapse_told = 0;
CREATE INDEX requests_unreviewed on requests (review_due_at) where reviewed_at is null and review_due_at is not null;
CREATE INDEX events_by_time on events (at);
CREATE INDEX waits_of_request on waits (request);
CREATE INDEX waits_until on waits (until);
CREATE INDEX sessions_open on sessions (gateway) where ended_at is null;
CREATE INDEX sessions_live on sessions (started_at) where ended_at is null;
CREATE INDEX sessions_newest on sessions (started_at);
CREATE INDEX sessions_of_subject on sessions (subject, started_at);
CREATE INDEX requests_held_grant on requests (hold_grant) where state = 'pending' and hold_grant is not null;
CREATE INDEX requests_held_session on requests (hold_session) where state = 'pending' and hold_session is not null;
CREATE INDEX requests_held_digest on requests (hold_digest) where hold_digest is not null;
CREATE INDEX events_of_feed on events (sequence) where kind in ('grant.made', 'grant.begun', 'grant.extended', 'grant.spent', 'grant.revoked', 'grant.dropped', 'session.killed',
    'person.changed', 'person.disabled', 'person.enabled', 'login.ended',
    'request.approved', 'request.denied', 'request.withdrawn', 'request.lapsed', 'hold.settled', 'hold.estimate_asked');
CREATE TRIGGER events_stay before update on events begin select raise(abort, 'the audit log is not rewritten'); end;
pragma user_version = 15;
