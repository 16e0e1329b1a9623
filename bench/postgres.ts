// How much slower is a query through Sluice, with every statement on record, than straight to the server and through what people
// use today? pgbench, `SELECT 1` in the simple protocol, TLS off, 1 and 16 clients.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { startPostgres } from "../test/support/postgres.ts"
import { must } from "../test/support/run.ts"
import { scratch } from "../test/support/scratch.ts"
import { postgresTarget } from "../test/support/sluice_config.ts"
import { mustHave } from "../test/support/tools.ts"
import { startGateway } from "./support/gateway.ts"
import { startHaproxy } from "./support/haproxy.ts"
import { startPgbouncer } from "./support/pgbouncer.ts"
import { inTurns } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printMeasured } from "./support/table.ts"

const client_counts = [1, 16] as const

export async function measure(settings: Settings): Promise<void> {
  const pgbench = mustHave("pgbench")
  const postgres = await startPostgres()
  const [pgbouncer, haproxy] = await Promise.all([startPgbouncer(postgres), startHaproxy(postgres.address.port)])
  const { sluice, alice, bob } = await startGateway([postgresTarget("bench", postgres)], settings)
  await sluice.grant(alice, "bench", { by: bob, for: "2h" })
  const script = join(scratch("pgbench"), "select.sql")
  writeFileSync(script, "SELECT 1;\n")

  const tps = async (at: { port: number; database: string; password: string }, clients: number): Promise<number> => {
    const load = [
      "-n",
      "-M",
      "simple",
      "-f",
      script,
      "-c",
      String(clients),
      "-j",
      String(Math.min(clients, 2)),
      "-T",
      String(settings.seconds),
    ]
    const said = await must(pgbench, [...load, "-h", "127.0.0.1", "-p", String(at.port), "-U", postgres.role, at.database], {
      env: { PGPASSWORD: at.password, PGSSLMODE: "disable" },
    })
    const found = /^tps = ([\d.]+) \(without/m.exec(said)
    if (!found?.[1] || !said.includes("number of failed transactions: 0")) throw new Error(`pgbench said:\n${said}`)
    return Number(found[1])
  }
  const { database, password } = postgres
  try {
    for (const clients of client_counts) {
      const measured = await inTurns(
        settings.rounds,
        new Map([
          ["direct", () => tps({ port: postgres.address.port, database, password }, clients)],
          ["haproxy", () => tps({ port: haproxy.port, database, password }, clients)],
          ["pgbouncer", () => tps({ port: pgbouncer.port, database, password }, clients)],
          [
            "sluice",
            async () => tps({ port: sluice.port("postgres"), database: "bench", password: await sluice.token(alice, "bench") }, clients),
          ],
        ]),
      )
      printMeasured(measured, {
        title: `PostgreSQL: SELECT 1, simple protocol, TLS off, ${clients} client${clients === 1 ? "" : "s"}, ${settings.rounds} rounds of ${settings.seconds} s`,
        unit: "tps",
        bases: ["direct", "pgbouncer"],
      })
    }
  } finally {
    await Promise.all([sluice.stop(), pgbouncer.stop(), haproxy.stop()])
    await postgres.stop()
  }
}
