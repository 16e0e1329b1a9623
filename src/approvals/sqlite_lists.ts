// Lists from the embedded store, newest first, and only what the one who asks may see.
import type { SQLInputValue } from "node:sqlite"
import type { GrantView, SessionView } from "../api/schema.ts"
import { type Prepare, request_columns, wholeRequest } from "./sqlite_reads.ts"
import { type Row, toGrant, toSession } from "./sqlite_rows.ts"
import type { List, RequestRecord, Store } from "./store.ts"

export function lists(prepare: Prepare): Pick<Store, "requests" | "grants" | "sessions"> {
  return {
    async requests(list): Promise<RequestRecord[]> {
      const rows = select(prepare, list, {
        columns: request_columns,
        from: "requests r",
        live: "r.state = 'pending' and r.lapses_at > :live_at",
        mine: "r.subject",
        order: "r.id",
      })
      return rows.map((row) => wholeRequest(prepare, row))
    },
    async grants(list): Promise<GrantView[]> {
      return select(prepare, list, {
        columns: "g.*",
        from: "grants g join requests r on r.id = g.request",
        live: "g.status = 'active' and g.ends_at > :live_at",
        mine: "g.subject",
        order: "g.revision",
      }).map(toGrant)
    },
    async sessions(list): Promise<SessionView[]> {
      return select(prepare, list, {
        columns: "s.*",
        from: "sessions s left join grants g on g.id = s.grant_id left join requests r on r.id = g.request",
        // A session without an end is live at any time; `live_at` only asks for these.
        live: "s.ended_at is null and :live_at is not null",
        mine: "s.subject",
        order: "s.started_at",
      }).map(toSession)
    },
  }
}

interface Shape {
  readonly columns: string
  readonly from: string
  readonly live: string
  readonly mine: string
  readonly order: string
}

/** Every part of the text is of this file; what people wrote is bound. */
function select(prepare: Prepare, { seen, limit, live_at }: List, shape: Shape): Row[] {
  const decidable = "exists (select 1 from json_each(r.approve_by) one where one.value in (select value from json_each(:names)))"
  const conditions: string[] = []
  const bound: Record<string, SQLInputValue> = { limit }
  if (live_at !== undefined) {
    conditions.push(shape.live)
    bound["live_at"] = live_at
  }
  if (seen !== "all") {
    const mine = `${shape.mine} = :subject`
    bound["subject"] = seen.subject
    // Most people decide about nothing: for them an index finds their own, and nobody else's rows are looked at.
    conditions.push(seen.names.length > 0 ? `(${mine} or ${decidable})` : mine)
    if (seen.names.length > 0) bound["names"] = JSON.stringify(seen.names)
  }
  const where = conditions.length > 0 ? `where ${conditions.join(" and ")}` : ""
  return prepare(`select ${shape.columns} from ${shape.from} ${where} order by ${shape.order} desc limit :limit`).all(bound)
}
