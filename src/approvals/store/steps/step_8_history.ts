// A name for the history that the audit log tells. A copy that was put back tells another one from there on, and gets another name:
// so a gateway that has followed the first one sees it, however many events the other has.
import type { Step } from "../migrations.ts"

export const history: Step = {
  up: ({ ddl: { int, strict, random } }) => `
  create table history (one ${int} primary key check (one = 1), id text not null) ${strict};
  insert into history (one, id) values (1, ${random});
  `,
  down: () => `
  drop table history;
  `,
}

/** SQL that makes it another history. */
export const otherHistory = (random: string): string => `update history set id = ${random}`
