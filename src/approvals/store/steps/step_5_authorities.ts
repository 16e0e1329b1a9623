// The certificate authorities: what they were, what they signed until when, and whether they still do.
import type { Step } from "../migrations.ts"

export const authorities: Step = {
  up: ({ ddl: { int, strict } }) => `
  create table authorities (
    id text primary key,
    kind text not null check (kind in ('ssh-user', 'client')),
    -- The service whose key it is, by the fingerprint of that service's first key of the kind.
    owner text not null,
    generation ${int} not null check (generation > 0),
    public_part text not null,
    created_at ${int} not null,
    signed_until ${int} not null,
    retired_at ${int},
    unique (kind, owner, generation)
  ) ${strict};
  `,
  down: () => `
  drop table authorities;
  `,
}
