// The ways to one PostgreSQL server that are compared, all in the same run: straight, through what people use today, and through Sluice
// with every statement on record. Owns starting and stopping them.
import { type Postgres, startPostgres } from "../../test/support/postgres.ts"
import { must } from "../../test/support/run.ts"
import { postgresTarget } from "../../test/support/sluice_config.ts"
import { mustHave } from "../../test/support/tools.ts"
import { startGateway } from "./gateway.ts"
import { startHaproxy } from "./haproxy.ts"
import { startPgbouncer } from "./pgbouncer.ts"
import type { Settings } from "./settings.ts"

export interface Way {
  readonly port: number
  readonly database: string
  readonly tls: boolean
  password(): Promise<string>
}

export interface Ways {
  readonly postgres: Postgres
  readonly ways: ReadonlyMap<string, Way>
  stop(): Promise<void>
}

/** `tls`: the server, pgbouncer's clients and the gateway's clients speak it; otherwise nobody does. */
export async function startWays(settings: Settings, { tls = false } = {}): Promise<Ways> {
  const postgres = await startPostgres({ tls })
  const [pgbouncer, haproxy] = await Promise.all([startPgbouncer(postgres, { tls }), startHaproxy(postgres.address.port)])
  const { sluice, alice, bob } = await startGateway([postgresTarget("bench", postgres)], settings)
  await sluice.grant(alice, "bench", { by: bob, for: "2h" })
  const { database } = postgres
  const password = async () => postgres.password
  return {
    postgres,
    ways: new Map<string, Way>([
      ["direct", { port: postgres.address.port, database, tls, password }],
      ["haproxy", { port: haproxy.port, database, tls, password }],
      ["pgbouncer", { port: pgbouncer.port, database, tls, password }],
      ["sluice", { port: sluice.port("postgres"), database: "bench", tls, password: () => sluice.token(alice, "bench") }],
    ]),
    async stop() {
      await Promise.all([sluice.stop(), pgbouncer.stop(), haproxy.stop()])
      await postgres.stop()
    },
  }
}

/** Transactions a second that pgbench counts. Throws when one failed. */
export async function pgbench(way: Way, user: string, args: readonly string[]): Promise<number> {
  const where = ["-h", "127.0.0.1", "-p", String(way.port), "-U", user, way.database]
  const env = { PGPASSWORD: await way.password(), PGSSLMODE: way.tls ? "require" : "disable" }
  const said = await must(mustHave("pgbench"), ["-n", ...args, ...where], { env })
  const [, tps] = /^tps = ([\d.]+) \(/m.exec(said) ?? []
  if (tps === undefined || !said.includes("number of failed transactions: 0")) throw new Error(`pgbench said:\n${said}`)
  return Number(tps)
}
