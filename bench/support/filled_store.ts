// A store as a company has it after some time: people, requests that wait, grants in force and over, and the audit log of it all. It
// is written past the program, in SQL that both databases take, once the program has made the tables.
import { DatabaseSync } from "node:sqlite"
import { Client } from "pg"
import type { StoreConfig } from "../../src/config/config.ts"
import { openStore } from "../../src/approvals/store/open_store.ts"
import { systemClock } from "../../src/core/clock.ts"
import { createLog } from "../../src/observe/log.ts"

export interface Filling {
  readonly people: number
  readonly targets: number
  /** Requests that wait for a decision; their numbers follow those of the grants. */
  readonly pending: number
  readonly grants: number
}

const hour = 3_600_000
export const nameOf = (person: number): string => `person${person}@example.com`
export const targetOf = (target: number): string => `target-${target}`

export async function fill(config: StoreConfig, filling: Filling): Promise<void> {
  const store = await openStore(config, { clock: systemClock(), log: createLog("silent") })
  await store.close()
  await withDatabase(config, async (exec) => {
    for (const statement of statements(filling, Date.now())) await exec(statement)
  })
}

/** So many more requests, over since an hour and nobody was told: what a sweep finds after a standstill. Their numbers follow the others'. */
export function addLapsed(config: StoreConfig, { people, targets }: Filling, count: number): Promise<void> {
  const now = Date.now()
  const row = `m + i, ${person(people)}, '["engineers"]', ${target(targets)}, null, ${hour}, null, '', ${now - 9 * hour}, ${now - hour}, 'pending',
    'policy.access[0]', '["oncall"]', 1, ${plan}, 0`
  return withDatabase(config, (exec) =>
    exec(`insert into requests (${request_columns}) ${numbers(1, count)} select ${row} from n, (select max(id) as m from requests) most`),
  )
}

/** Milliseconds that one small commit takes by itself, each durable: what the disk costs every change. */
export async function bareCommits(config: StoreConfig, count: number): Promise<number[]> {
  const taken: number[] = []
  await withDatabase(config, async (exec) => {
    await exec("create table bare (id integer primary key, at bigint)")
    await exec("insert into bare values (1, 0)")
    for (let n = 0; n < count; n++) {
      const start = performance.now()
      await exec(`update bare set at = ${n}`)
      taken.push(performance.now() - start)
    }
    await exec("drop table bare")
  })
  return taken
}

async function withDatabase(config: StoreConfig, work: (exec: (sql: string) => Promise<void>) => Promise<void>): Promise<void> {
  if (config.kind === "sqlite") {
    const db = new DatabaseSync(config.path)
    try {
      db.exec("pragma synchronous = full")
      await work(async (sql) => db.exec(sql))
    } finally {
      db.close()
    }
    return
  }
  const { host, port, user, database, options, password } = config
  const client = new Client({ host, port, user, database, password: password?.reveal(), ...(options === undefined ? {} : { options }) })
  await client.connect()
  try {
    await work(async (sql) => void (await client.query(sql)))
  } finally {
    await client.end()
  }
}

const request_columns = `id, subject, groups, target, accounts, duration_ms, starts_at, reason, created_at, lapses_at, state, rule, approve_by,
  approvals_needed, plan, lapse_told`
const plan = `'{"order":"any","steps":[{"by":["oncall"],"count":1}]}'`
const numbers = (from: number, to: number): string =>
  `with recursive n(i) as (select ${from} union all select i + 1 from n where i < ${to})`
const person = (people: number): string => `'person' || (i % ${people}) || '@example.com'`
const target = (targets: number): string => `'target-' || ((i / 7) % ${targets})`
const grant_id = `'g_' || substr('0000000000000000' || i, length('0000000000000000' || i) - 15)`

/** Of the grants, one in ten is in force. Every row has what the program would have given it. */
function statements({ people, targets, pending, grants }: Filling, now: number): string[] {
  const all = grants + pending
  const [who, what] = [person(people), target(targets)]
  const asked = `${now - 720 * hour} + i * 20`
  const decided = `${asked} + 10`
  const event = (kind: string, place: number, detail: string, grant = "null"): string => {
    const first = kind === "request.asked"
    // Four events a grant, and one for each request that waits.
    const sequence = first ? `case when i > ${grants} then ${3 * grants} + i else 4 * i - 3 end` : `4 * i - ${place}`
    return `insert into events (sequence, at, kind, actor, by_name, from_address, reason, rule, request, grant_id, session_id, detail)
      ${numbers(1, first ? all : grants)}
      select ${sequence}, ${first ? asked : decided}, '${kind}', 'person', ${first ? who : "'bob@example.com'"}, '203.0.113.7:50000',
        'INC-' || i || ': pods crash', 'policy.access[0]', i, ${grant}, null, ${detail} from n`
  }
  return [
    "begin",
    `insert into requests (${request_columns})
      ${numbers(1, all)}
      select i, ${who}, '["engineers"]', ${what}, null, ${hour}, null, 'INC-' || i || ': pods crash', ${asked}, ${now + 24 * hour},
        case when i > ${grants} then 'pending' else 'approved' end, 'policy.access[0]', '["oncall"]', 1, ${plan},
        case when i > ${grants} then 0 else 1 end from n`,
    `insert into decisions (request, by_name, actor, verdict, reason, at, steps)
      ${numbers(1, grants)} select i, 'bob@example.com', 'person', 'approve', '', ${decided}, '[0]' from n`,
    `insert into grants (id, request, subject, target, accounts, starts_at, ends_at, status, revision)
      ${numbers(1, grants)}
      select ${grant_id}, i, ${who}, ${what}, null, ${decided}, case when i % 10 = 0 then ${now + 12 * hour} else ${decided} + ${hour} end,
        'active', 4 * i from n`,
    event("request.asked", 3, `'{"target":"' || ${what} || '","duration_ms":${hour},"reason":"pods crash","groups":["engineers"]}'`),
    event("request.decision", 2, `'{"verdict":"approve"}'`),
    event("request.approved", 1, `'{"state":"approved"}'`),
    event("grant.made", 0, `'{"id":"' || ${grant_id} || '","subject":"' || ${who} || '"}'`, grant_id),
    "commit",
    "analyze",
  ]
}
