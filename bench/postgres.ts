// How much slower is a query through Sluice, with every statement on record, than straight to the server and through what people
// use today? pgbench, `SELECT 1`: the simple protocol with 1, 16 and 100 clients, prepared with 16; TLS off.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { scratch } from "../test/support/scratch.ts"
import { pgbench, startWays } from "./support/postgres_ways.ts"
import { inTurns } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printMeasured } from "./support/table.ts"

const loads = [
  { mode: "simple", clients: 1 },
  { mode: "simple", clients: 16 },
  { mode: "simple", clients: 100 },
  { mode: "prepared", clients: 16 },
] as const

export async function measure(settings: Settings): Promise<void> {
  const { postgres, ways, stop } = await startWays(settings)
  const script = join(scratch("pgbench"), "select.sql")
  writeFileSync(script, "SELECT 1;\n")
  try {
    for (const { mode, clients } of loads) {
      const load = ["-M", mode, "-f", script, "-c", String(clients), "-j", String(Math.min(clients, 2)), "-T", String(settings.seconds)]
      const turns = [...ways].map(([name, way]) => [name, () => pgbench(way, postgres.role, load)] as const)
      printMeasured(await inTurns(settings.rounds, new Map(turns)), {
        title: `PostgreSQL: SELECT 1, ${mode} protocol, TLS off, ${clients} client${clients === 1 ? "" : "s"}, ${settings.rounds} rounds of ${settings.seconds} s`,
        unit: "tps",
        bases: ["direct", "pgbouncer"],
      })
    }
  } finally {
    await stop()
  }
}
