// Grants that name actions, count uses, wait for their first use and get longer; the requests for these.
import type { Step } from "../migrations.ts"

export const grants: Step = {
  up: (dialect) => `
  alter table requests add column actions text check (actions is null or ${dialect.ddl.json("actions")});
  alter table requests add column uses ${dialect.ddl.int};
  alter table requests add column first_use_within_ms ${dialect.ddl.int};
  alter table requests add column extends_grant text;
  alter table requests add column extends_to ${dialect.ddl.int};
  create index requests_extending on requests (extends_grant) where extends_grant is not null;

  ${rebuilt({
    ...dialect.ddl,
    statuses: "'active', 'revoked', 'dropped', 'spent'",
    columns: `
    first_use_ms ${dialect.ddl.int} check (first_use_ms > 0),
    actions text check (actions is null or ${dialect.ddl.json("actions")}),
    uses_max ${dialect.ddl.int},
    uses_left ${dialect.ddl.int} check (uses_left >= 0),`,
  })}

  drop index events_of_feed;
  create index events_of_feed on events (sequence) where kind in ('grant.made', 'grant.begun', 'grant.extended', 'grant.spent',
    'grant.revoked', 'grant.dropped', 'session.killed');
  `,
  // Without what limits them these would cover more than was approved, so they are over.
  down: (dialect) => `
  update grants set status = 'dropped' where status = 'spent'
    or status = 'active' and (first_use_ms is not null or actions is not null or uses_left is not null);
  update requests set state = 'withdrawn' where state = 'pending'
    and (actions is not null or uses is not null or first_use_within_ms is not null or extends_grant is not null);

  drop index events_of_feed;
  create index events_of_feed on events (sequence)
    where kind in ('grant.made', 'grant.revoked', 'grant.dropped', 'session.killed');

  ${rebuilt({ ...dialect.ddl, statuses: "'active', 'revoked', 'dropped'", columns: "" })}

  drop index requests_extending;
  alter table requests drop column extends_to;
  alter table requests drop column extends_grant;
  alter table requests drop column first_use_within_ms;
  alter table requests drop column uses;
  alter table requests drop column actions;
  `,
}

interface Grants {
  readonly int: string
  readonly strict: string
  /** As SQL lists them. */
  readonly statuses: string
  /** More columns, as SQL defines them. */
  readonly columns: string
  json(column: string): string
}

/** The table anew, with what it held: a check cannot be changed where it stands. */
const rebuilt = ({ int, strict, statuses, columns, json }: Grants): string => {
  const kept = "id, request, subject, target, accounts, starts_at, ends_at, status, revision, ended_by, ended_reason, ended_at"
  return `
  create table grants_anew (
    id text primary key,
    request ${int} not null unique references requests (id),
    subject text not null,
    target text not null,
    accounts text check (accounts is null or ${json("accounts")}),
    starts_at ${int} not null,
    ends_at ${int} not null check (ends_at > starts_at),
    status text not null check (status in (${statuses})),
    revision ${int} not null,${columns}
    ended_by text,
    ended_reason text,
    ended_at ${int}
  ) ${strict};
  insert into grants_anew (${kept}) select ${kept} from grants;
  drop table grants;
  alter table grants_anew rename to grants;
  create index grants_wanted on grants (subject, target, ends_at) where status = 'active';
  create index grants_live on grants (ends_at) where status = 'active';
  create index grants_of_subject on grants (subject, revision);
  create index grants_newest on grants (revision);`
}
