// The processes of gateways: which there are, and when each was last heard, by whichever service heard it.
import type { Step } from "../migrations.ts"

export const gateways: Step = {
  up: ({ ddl: { int, strict, json } }) => `
  create table gateways (
    name text primary key,
    instance text not null,
    version text not null,
    started_at ${int} not null,
    listening text not null check (${json("listening")}),
    service text not null,
    from_address text not null,
    seen_at ${int} not null,
    lost_at ${int}
  ) ${strict};
  `,
  down: () => `
  drop table gateways;
  `,
}
