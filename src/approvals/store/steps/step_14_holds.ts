// Actions that wait on a connection until somebody decides: requests of their own kind. Gateways are told what became of them.
import type { Step } from "../migrations.ts"

const before = `'grant.made', 'grant.begun', 'grant.extended', 'grant.spent', 'grant.revoked', 'grant.dropped', 'session.killed',
    'person.changed', 'person.disabled', 'person.enabled', 'login.ended',
    'request.approved', 'request.denied', 'request.withdrawn', 'request.lapsed'`
const texts = ["hold_grant", "hold_session", "hold_digest"] as const

export const holds: Step = {
  up: ({ ddl: { int, json } }) => `
  alter table requests add column hold text check (hold is null or ${json("hold")});
  ${texts.map((name) => `alter table requests add column ${name} text;`).join("\n  ")}
  alter table requests add column redeemed_at ${int};
  create index requests_held_grant on requests (hold_grant) where state = 'pending' and hold_grant is not null;
  create index requests_held_session on requests (hold_session) where state = 'pending' and hold_session is not null;
  create index requests_held_digest on requests (hold_digest) where hold_digest is not null;
  drop index events_of_feed;
  create index events_of_feed on events (sequence) where kind in (${before}, 'hold.settled');
  `,
  // What waits cannot be kept, and what was held is no request for access.
  down: () => `
  drop index events_of_feed;
  create index events_of_feed on events (sequence) where kind in (${before});
  delete from decisions where request in (select id from requests where hold is not null);
  update events set request = null where request in (select id from requests where hold is not null);
  delete from requests where hold is not null;
  drop index requests_held_digest;
  drop index requests_held_session;
  drop index requests_held_grant;
  ${["redeemed_at", ...texts, "hold"].map((name) => `alter table requests drop column ${name};`).join("\n  ")}
  `,
}
