// Sessions on tcp targets.
import type { Dialect } from "../dialect.ts"
import type { Step } from "../migrations.ts"

export const tcp: Step = {
  up: (dialect) => takes(dialect, "'ssh', 'postgres', 'http', 'tcp'"),
  // There was no word for them.
  down: (dialect) => `
  delete from sessions where protocol = 'tcp';
  ${takes(dialect, "'ssh', 'postgres', 'http'")}
  `,
}

const columns = "id, gateway, protocol, subject, target, account, grant_id, client, started_at, ended_at, ended_why"

/** A check cannot be changed where it stands in SQLite: the table is made anew. */
const takes = ({ name, ddl: { int, strict } }: Dialect, protocols: string): string =>
  name === "postgres"
    ? `
  alter table sessions drop constraint sessions_protocol_check;
  alter table sessions add constraint sessions_protocol_check check (protocol in (${protocols}));
  `
    : `
  create table sessions_new (
    id text primary key,
    gateway text not null,
    protocol text not null check (protocol in (${protocols})),
    subject text not null,
    target text not null,
    account text,
    grant_id text not null,
    client text not null,
    started_at ${int} not null,
    ended_at ${int},
    ended_why text
  ) ${strict};
  insert into sessions_new (${columns}) select ${columns} from sessions;
  drop table sessions;
  alter table sessions_new rename to sessions;
  create index sessions_open on sessions (gateway) where ended_at is null;
  create index sessions_live on sessions (started_at) where ended_at is null;
  create index sessions_newest on sessions (started_at);
  create index sessions_of_subject on sessions (subject, started_at);
  `
