// People who come by company login, whether somebody was disabled, logins, and codes that are shown once. What gateways are told
// now includes what became of people and logins.
import type { Step } from "../migrations.ts"

const before = `'grant.made', 'grant.begun', 'grant.extended', 'grant.spent',
    'grant.revoked', 'grant.dropped', 'session.killed'`

export const people: Step = {
  up: ({ ddl: { int, strict, json } }) => `
  create table people (
    iss text not null,
    sub text not null,
    subject text not null unique,
    -- Two names that differ in case would be one to those who read them.
    subject_lower text not null unique,
    email text,
    groups text not null check (${json("groups")}),
    created_at ${int} not null,
    seen_at ${int} not null,
    revision ${int} not null,
    primary key (iss, sub)
  ) ${strict};

  create table standings (
    subject text primary key,
    disabled ${int} not null check (disabled in (0, 1)),
    at ${int} not null,
    by_name text not null,
    reason text not null,
    revision ${int} not null
  ) ${strict};

  create table logins (
    id text primary key,
    subject text not null,
    sub text,
    kind text not null check (kind in ('web', 'cli', 'device')),
    via text not null,
    created_at ${int} not null,
    auth_time ${int},
    acr text,
    expires_at ${int} not null,
    used_at ${int} not null,
    digest text not null unique,
    previous text,
    rotated_at ${int},
    from_address text not null,
    ended_at ${int},
    ended_by text,
    ended_why text,
    revision ${int} not null
  ) ${strict};
  create index logins_live on logins (subject, used_at) where ended_at is null;

  create table codes (
    digest text primary key,
    kind text not null,
    user_code text unique,
    expires_at ${int} not null,
    detail text not null check (${json("detail")})
  ) ${strict};
  create index codes_end on codes (expires_at);

  drop index events_of_feed;
  create index events_of_feed on events (sequence)
    where kind in (${before}, 'person.changed', 'person.disabled', 'person.enabled', 'login.ended');
  `,
  down: () => `
  drop index events_of_feed;
  create index events_of_feed on events (sequence) where kind in (${before});
  drop table codes;
  drop table logins;
  drop table standings;
  drop table people;
  `,
}
