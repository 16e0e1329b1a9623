// Who decides about a held statement may ask how much it would do: gateways hear of it.
import type { Step } from "../migrations.ts"

const before = `'grant.made', 'grant.begun', 'grant.extended', 'grant.spent', 'grant.revoked', 'grant.dropped', 'session.killed',
    'person.changed', 'person.disabled', 'person.enabled', 'login.ended',
    'request.approved', 'request.denied', 'request.withdrawn', 'request.lapsed', 'hold.settled'`

export const estimates: Step = {
  up: () => `
  drop index events_of_feed;
  create index events_of_feed on events (sequence) where kind in (${before}, 'hold.estimate_asked');
  `,
  down: () => `
  drop index events_of_feed;
  create index events_of_feed on events (sequence) where kind in (${before});
  `,
}
