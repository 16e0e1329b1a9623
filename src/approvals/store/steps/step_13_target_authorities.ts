// A third kind of certificate authority: the one that signs gateways' logins at targets. A check cannot be changed in SQLite, so the
// table is made anew.
import type { Dialect } from "../dialect.ts"
import type { Step } from "../migrations.ts"

const columns = "id, kind, owner, generation, public_part, created_at, signed_until, retired_at"

const remade = ({ ddl: { int, strict } }: Dialect, kinds: string): string => `
  create table authorities_remade (
    id text primary key,
    kind text not null check (kind in (${kinds})),
    owner text not null,
    generation ${int} not null check (generation > 0),
    public_part text not null,
    created_at ${int} not null,
    signed_until ${int} not null,
    retired_at ${int},
    unique (kind, owner, generation)
  ) ${strict};
  insert into authorities_remade (${columns}) select ${columns} from authorities;
  drop table authorities;
  alter table authorities_remade rename to authorities;
`

export const targetAuthorities: Step = {
  up: (dialect) => remade(dialect, "'ssh-user', 'client', 'ssh-target'"),
  down: (dialect) => `
  delete from authorities where kind = 'ssh-target';
  ${remade(dialect, "'ssh-user', 'client'")}
  `,
}
