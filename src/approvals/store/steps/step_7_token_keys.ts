// The public keys with which services sign tokens, and when each was last shown to be in use.
import type { Step } from "../migrations.ts"

export const tokenKeys: Step = {
  up: ({ ddl: { int, strict, json } }) => `
  create table token_keys (kid text primary key, jwk text not null check (${json("jwk")}), seen_at ${int} not null) ${strict};
  `,
  down: () => `
  drop table token_keys;
  `,
}
