// What waits to be told to people and receivers, and which of their answers were seen.
import type { Step } from "../migrations.ts"

export const outbox: Step = {
  up: ({ ddl: { int, strict } }) => `
  create table outbox (id ${int} primary key check (id = 1), sequence ${int} not null) ${strict};
  create table deliveries (
    id text primary key,
    channel text not null,
    recipient text not null,
    sequence ${int} not null,
    attempts ${int} not null,
    next_at ${int} not null,
    give_up_at ${int} not null,
    -- An event is told to each once, however often the log is gone through.
    unique (sequence, channel, recipient)
  ) ${strict};
  create index deliveries_due on deliveries (channel, next_at);
  create table slack_answers (digest text primary key, at ${int} not null) ${strict};
  create index slack_answers_by_time on slack_answers (at);
  `,
  down: () => `
  drop table slack_answers;
  drop table deliveries;
  drop table outbox;
  `,
}
