// Who waits, in the tool they are in, for which request; and gateways are told what becomes of requests.
import type { Step } from "../migrations.ts"

const before = `'grant.made', 'grant.begun', 'grant.extended', 'grant.spent', 'grant.revoked', 'grant.dropped', 'session.killed',
      'person.changed', 'person.disabled', 'person.enabled', 'login.ended'`

export const waits: Step = {
  up: ({ ddl: { int, strict } }) => `
  create table waits (
    waiter text primary key,
    request ${int} not null,
    -- Nobody waits any longer, whatever was heard of them; 0: they have left.
    until ${int} not null,
    -- Whether the request was made for this waiter, not found.
    filed ${int} not null
  ) ${strict};
  create index waits_of_request on waits (request);
  create index waits_until on waits (until);
  drop index events_of_feed;
  create index events_of_feed on events (sequence)
    where kind in (${before}, 'request.approved', 'request.denied', 'request.withdrawn', 'request.lapsed');
  `,
  down: () => `
  drop index events_of_feed;
  create index events_of_feed on events (sequence) where kind in (${before});
  drop table waits;
  `,
}
