// How much a held statement would do, as the target's planner guesses: EXPLAIN, never with ANALYZE, on a connection of its own with the
// session's role, in a transaction that may only read and is never committed. Temporary tables, settings and a SET ROLE of the session
// are not seen there. Whether the statement may be planned at all was decided before: planning evaluates functions.
// Source: "EXPLAIN"; "Protocol Flow: Extended Query", in which a text is one statement or an error.
import type { Action, BoundValue } from "../../src/core/action.ts"
import type { Clock } from "../../src/core/clock.ts"
import { limits } from "../../src/core/limits.ts"
import type { Estimate, Session } from "../../src/gateway/contract.ts"
import { int32, message, reportFields, sync } from "./codec.ts"
import { Inlet } from "./inlet.ts"
import type { Upstream } from "./upstream.ts"

export interface Estimating {
  readonly session: Pick<Session, "signal">
  readonly clock: Clock
  /** As the session's own connection, logged in. */
  connect(): Promise<Upstream>
}

// The text was read as PostgreSQL reads it by default, so it must be read so here.
const prepare = `BEGIN READ ONLY; SET LOCAL statement_timeout = ${limits.estimate_plan_ms_max}; \
SET LOCAL lock_timeout = ${limits.estimate_lock_ms_max}; SET LOCAL standard_conforming_strings = on; SET LOCAL client_encoding = 'UTF8'; \
SELECT pg_catalog.current_setting('search_path')`

/** Never rejects. */
export async function estimateRows(action: Action, { session, clock, connect }: Estimating): Promise<Estimate> {
  if (action.kind !== "postgres.statement") return none("only an SQL statement has an estimate")
  let upstream: Upstream
  try {
    upstream = await connect()
  } catch {
    return none("the target did not let the gateway in")
  }
  const { stream, socket } = upstream
  const timer = clock.after(limits.estimate_ms_max, () => socket.destroy())
  try {
    const inlet = new Inlet(stream, limits.estimate_plan_bytes_max)
    if (session.signal.aborted) return none("the session has ended")
    stream.write(message("Q", prepare))
    const prepared = await answerOf(inlet)
    if ("sqlstate" in prepared) return none(whyNot(prepared.sqlstate))
    // Where other functions come before the server's own, a name is not what it was read as.
    if (hidesCatalog(prepared.rows[0] ?? "")) return none("the role's search_path puts other schemas before pg_catalog")
    if (session.signal.aborted) return none("the session has ended")
    stream.write(explain(action.sql, action.values ?? []))
    const explained = await answerOf(inlet)
    return "sqlstate" in explained ? none(whyNot(explained.sqlstate)) : readPlan(explained.rows.join(""))
  } catch {
    return none("the target broke off, or its plan is too large")
  } finally {
    timer.cancel()
    socket.destroy() // without a COMMIT: the server rolls back
  }
}

const none = (why: string): Estimate => ({ rows: null, cost: null, why })

function explain(sql: string, values: readonly BoundValue[]): Buffer {
  const bound = values.map(({ format, value }) => (value === null ? undefined : Buffer.from(value, format === "binary" ? "hex" : "utf8")))
  return Buffer.concat([
    message("P", "", `EXPLAIN (FORMAT JSON) ${sql}`, int16(values.length), ...values.map(({ oid }) => int32(oid))),
    message(
      "B",
      "",
      "",
      int16(values.length),
      ...values.map(({ format }) => int16(format === "binary" ? 1 : 0)),
      int16(values.length),
      ...bound.flatMap((bytes) => (bytes === undefined ? [int32(-1)] : [int32(bytes.length), bytes])),
      int16(0),
    ),
    message("E", "", int32(0)),
    sync(),
  ])
}

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

/** The first column of each row, up to ReadyForQuery; or the code of an error. */
async function answerOf(inlet: Inlet): Promise<{ readonly rows: readonly string[] } | { readonly sqlstate: string }> {
  const rows: string[] = []
  let sqlstate: string | undefined
  for (;;) {
    const next = await inlet.message(limits.estimate_plan_bytes_max)
    if (!next) throw new Error("closed")
    const { type, body } = next
    if (type === "D" && body.length >= 6) rows.push(body.toString("utf8", 6, 6 + Math.max(0, body.readInt32BE(2))))
    if (type === "E") sqlstate ??= reportFields(body).get("C") ?? "?"
    if (type === "Z") return sqlstate === undefined ? { rows } : { sqlstate }
  }
}

/** pg_catalog is searched first unless it is named at another place ("Schemas"). */
function hidesCatalog(search_path: string): boolean {
  const names = search_path.split(",").map((name) => name.trim().replace(/^"|"$/g, ""))
  return names.indexOf("pg_catalog") > 0
}

function whyNot(sqlstate: string): string {
  if (sqlstate === "57014") return "planning it took too long"
  if (sqlstate === "55P03") return "a table in it is locked"
  return `the target could not plan it (SQLSTATE ${/^[0-9A-Z]{5}$/.test(sqlstate) ? sqlstate : "?"})`
}

interface Plan {
  readonly "Node Type"?: unknown
  readonly "Plan Rows"?: unknown
  readonly "Total Cost"?: unknown
  readonly Plans?: readonly Plan[]
}

/** What changes rows says nothing of them itself: those that it is given are the ones it changes. */
function readPlan(json: string): Estimate {
  let plan: Plan | undefined
  try {
    plan = (JSON.parse(json) as readonly { readonly Plan?: Plan }[])[0]?.Plan
  } catch {
    return none("its plan could not be read")
  }
  const cost = numberIn(plan?.["Total Cost"])
  const sources = plan?.["Node Type"] === "ModifyTable" ? (plan.Plans ?? []) : plan ? [plan] : []
  const rows = sources.map((source) => numberIn(source["Plan Rows"]))
  if (cost === null || rows.length === 0 || rows.includes(null)) return none("its plan could not be read")
  return { rows: rows.reduce<number>((sum, one) => sum + (one ?? 0), 0), cost, why: null }
}

const numberIn = (value: unknown): number | null => (typeof value === "number" && value >= 0 && Number.isFinite(value) ? value : null)
