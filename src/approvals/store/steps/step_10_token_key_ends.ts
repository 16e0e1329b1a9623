// When a key that signs tokens stopped, and until when what it signed is good.
import type { Step } from "../migrations.ts"

export const tokenKeyEnds: Step = {
  up: ({ ddl: { int } }) => `
  alter table token_keys add column retired_at ${int};
  alter table token_keys add column good_until ${int};
  `,
  down: () => `
  alter table token_keys drop column retired_at;
  alter table token_keys drop column good_until;
  `,
}
