// Who may decide about a request, a row each, so that a page of what somebody may decide about is found by index and not by reading
// what everybody asked for. The database itself keeps them in step with `requests.approve_by`.
import type { Step } from "../migrations.ts"

export const deciders: Step = {
  up: ({ name, ddl: { int, strict } }) => `
  create table deciders (
    name text not null,
    request ${int} not null,
    -- 1: nobody has decided it, and nobody was told that its time is over.
    waits ${int} not null,
    primary key (name, request)
  ) ${strict};
  create index deciders_waiting on deciders (name, request) where waits = 1;
  create index deciders_of_request on deciders (request);
  ${filled[name]}
  ${kept[name]}

  create index requests_by_subject on requests (subject, id);
  create index requests_waiting on requests (id) where state = 'pending' and lapse_told = 0;
  create index grants_by_subject on grants (subject, request);
  drop index grants_live;
  create index grants_in_force on grants (ends_at, request, subject) where status = 'active';
  create index events_by_actor on events (by_name, sequence);
  -- Of an expression, so that the feed, which asks for many kinds in the order of the log, is never answered by it.
  create index events_by_kind on events ((kind || ''), sequence);
  `,
  down: ({ name }) => `
  drop index events_by_kind;
  drop index events_by_actor;
  drop index grants_in_force;
  create index grants_live on grants (ends_at) where status = 'active';
  drop index grants_by_subject;
  drop index requests_waiting;
  drop index requests_by_subject;
  ${gone[name]}
  drop table deciders;
  `,
}

/** From rows of `requests` as `r`. */
const rows = {
  sqlite: (r: string) => `select distinct one.value, ${r}.id, ${r}.state = 'pending' and ${r}.lapse_told = 0`,
  postgres: (r: string) => `select distinct one.value, ${r}.id, (${r}.state = 'pending' and ${r}.lapse_told = 0)::int`,
}
const filled = {
  sqlite: `insert into deciders ${rows.sqlite("requests")} from requests, json_each(requests.approve_by) one;`,
  postgres: `insert into deciders ${rows.postgres("requests")}
    from requests cross join lateral jsonb_array_elements_text(requests.approve_by::jsonb) one (value);`,
}
const kept = {
  sqlite: `
  create trigger deciders_come after insert on requests begin
    insert into deciders ${rows.sqlite("new")} from json_each(new.approve_by) one;
  end;
  create trigger deciders_wait after update of state, lapse_told on requests begin
    update deciders set waits = (new.state = 'pending' and new.lapse_told = 0) where request = new.id;
  end;
  create trigger deciders_change after update of approve_by on requests begin
    delete from deciders where request = new.id;
    insert into deciders ${rows.sqlite("new")} from json_each(new.approve_by) one;
  end;
  `,
  postgres: `
  create function deciders_wait() returns trigger language plpgsql as $$ begin
    update deciders set waits = (new.state = 'pending' and new.lapse_told = 0)::int where request = new.id;
    return null;
  end $$;
  create function deciders_change() returns trigger language plpgsql as $$ begin
    delete from deciders where request = new.id;
    insert into deciders ${rows.postgres("new")} from jsonb_array_elements_text(new.approve_by::jsonb) one (value);
    return null;
  end $$;
  create trigger deciders_wait after update of state, lapse_told on requests for each row
    when (old.state <> new.state or old.lapse_told <> new.lapse_told) execute function deciders_wait();
  create trigger deciders_change after insert or update of approve_by on requests for each row execute function deciders_change();
  `,
}
const gone = {
  sqlite: "drop trigger deciders_change; drop trigger deciders_wait; drop trigger deciders_come;",
  postgres: `
  drop trigger deciders_change on requests;
  drop trigger deciders_wait on requests;
  drop function deciders_change();
  drop function deciders_wait();
  `,
}
