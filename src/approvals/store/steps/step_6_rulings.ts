// How many of whom must approve, in steps; who may later, when nobody does; and the review of a break-glass.
import type { Step } from "../migrations.ts"

const columns = ["escalate_at", "escalate_to", "review_by", "review_due_at", "reviewed_by", "reviewed_at", "review_note"] as const
const flags = ["escalated", "lapse_told", "overdue_told"] as const

export const rulings: Step = {
  up: ({ ddl: { int, json } }) => `
  alter table requests add column plan text check (plan is null or ${json("plan")});
  ${columns.map((name) => `alter table requests add column ${name} ${name.endsWith("_at") ? int : "text"};`).join("\n  ")}
  ${flags.map((name) => `alter table requests add column ${name} ${int} not null default 0;`).join("\n  ")}
  alter table decisions add column steps text check (steps is null or ${json("steps")});
  -- What ended before this was told when it was looked at.
  update requests set lapse_told = 1 where state <> 'pending';
  create index requests_escalating on requests (escalate_at) where state = 'pending' and escalated = 0;
  create index requests_lapsing on requests (lapses_at) where state = 'pending' and lapse_told = 0;
  create index requests_unreviewed on requests (review_due_at) where reviewed_at is null and review_due_at is not null;
  create index events_by_time on events (at);
  `,
  // A plan of several steps cannot be kept: what waits under one is over, and is asked for again.
  down: () => `
  update requests set state = 'withdrawn' where state = 'pending' and plan is not null;
  drop index events_by_time;
  drop index requests_unreviewed;
  drop index requests_lapsing;
  drop index requests_escalating;
  alter table decisions drop column steps;
  ${[...flags, ...columns, "plan"].map((name) => `alter table requests drop column ${name};`).join("\n  ")}
  `,
}
