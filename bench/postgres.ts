// How much slower is a query through Sluice, with every statement on record, than straight to the server and through what people
// use today? pgbench, `SELECT 1`: the simple protocol with 1, 16 and 100 clients, prepared with 16, TLS off and with 16 clients on; and
// what one client waits for each.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { scratch } from "../test/support/scratch.ts"
import { pgbench, startWays, type Way, type Ways } from "./support/postgres_ways.ts"
import { inTurns, median, quantile, ratio } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printMeasured, printTable } from "./support/table.ts"

const plain = [
  { mode: "simple", clients: 1 },
  { mode: "simple", clients: 16 },
  { mode: "simple", clients: 100 },
  { mode: "prepared", clients: 16 },
] as const
const encrypted = [
  { mode: "simple", clients: 16 },
  { mode: "prepared", clients: 16 },
] as const

export async function measure(settings: Settings): Promise<void> {
  const script = join(scratch("pgbench"), "select.sql")
  writeFileSync(script, "SELECT 1;\n")
  for (const tls of [false, true]) {
    const ways = await startWays(settings, { tls })
    try {
      for (const load of tls ? encrypted : plain) await transactions(settings, ways, { ...load, script, tls })
      if (!tls) await latency(settings, ways, script)
    } finally {
      await ways.stop()
    }
  }
}

interface Load {
  readonly mode: "simple" | "prepared"
  readonly clients: number
  readonly script: string
  readonly tls: boolean
}

async function transactions(settings: Settings, { postgres, ways }: Ways, { mode, clients, script, tls }: Load): Promise<void> {
  const load = ["-M", mode, "-f", script, "-c", String(clients), "-j", String(Math.min(clients, 2)), "-T", String(settings.seconds)]
  const turns = [...ways].map(([name, way]) => [name, () => pgbench(way, postgres.role, load)] as const)
  printMeasured(await inTurns(settings.rounds, new Map(turns)), {
    title: `PostgreSQL: SELECT 1, ${mode} protocol, TLS ${tls ? "on" : "off"}, ${clients} client${clients === 1 ? "" : "s"}, ${settings.rounds} rounds of ${settings.seconds} s`,
    unit: "tps",
    bases: ["direct", "pgbouncer"],
  })
}

interface Waits {
  /** Microseconds. */
  readonly p50: number
  readonly p99: number
}

/** What each way adds to what one client waits straight at the server, in the same round. */
async function latency(settings: Settings, { postgres, ways }: Ways, script: string): Promise<void> {
  const turns = [...ways].map(([name, way]) => [name, () => waits(way, postgres.role, { script, seconds: settings.seconds })] as const)
  const measured = await inTurns(settings.rounds, new Map(turns))
  const direct = measured.get("direct") ?? []
  const added = new Map([...measured].map(([name, all]) => [name, all.map(({ p50 }, round) => p50 - (direct[round]?.p50 ?? NaN))]))
  const rows = [...measured].map(([name, all]) => {
    const of = ratio(added, name, "pgbouncer")
    return [
      name,
      median(all.map(({ p50 }) => p50)).toFixed(0),
      median(all.map(({ p99 }) => p99)).toFixed(0),
      name === "direct" ? "" : median(added.get(name) ?? []).toFixed(0),
      name === "direct" ? "" : `${of.median.toFixed(2)} (${of.min.toFixed(2)}–${of.max.toFixed(2)})`,
    ]
  })
  printTable(
    `PostgreSQL: what one client waits for SELECT 1, simple protocol, TLS off, ${settings.rounds} rounds of ${settings.seconds} s`,
    ["", "p50 µs", "p99 µs", "added to p50", "of pgbouncer's"],
    rows,
  )
}

async function waits(way: Way, role: string, { script, seconds }: { readonly script: string; readonly seconds: number }): Promise<Waits> {
  const folder = mkdtempSync(join(scratch("latency"), "turn-"))
  await pgbench(way, role, ["-f", script, "-c", "1", "-T", String(seconds), "-l", "--log-prefix", join(folder, "log")])
  // A line a transaction: client, number, microseconds, script, and when it ended.
  const all = readdirSync(folder)
    .flatMap((name) => readFileSync(join(folder, name), "utf8").trim().split("\n"))
    .map((line) => Number(line.split(" ")[2]))
  rmSync(folder, { recursive: true })
  return { p50: quantile(all, 0.5), p99: quantile(all, 0.99) }
}
