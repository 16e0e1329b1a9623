// How fast do many rows go through? COPY out and in, and one large SELECT, by psql, TLS off: megabytes a second as psql sees them.
import { createReadStream, createWriteStream, writeFileSync } from "node:fs"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { scratch } from "../test/support/scratch.ts"
import { mustHave } from "../test/support/tools.ts"
import { startWays, type Way } from "./support/postgres_ways.ts"
import { inTurns } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printMeasured } from "./support/table.ts"

const rows = 200_000
const row_bytes = 1_000
const mb = (rows * (row_bytes + 1)) / 1_000_000

export async function measure(settings: Settings): Promise<void> {
  const psql = mustHave("psql")
  const { postgres, ways, stop } = await startWays(settings)
  const file = join(scratch("bench-rows"), "rows")
  writeFileSync(file, `${"x".repeat(row_bytes)}\n`.repeat(rows))
  await postgres.admin("CREATE UNLOGGED TABLE bulk (t text)")
  await postgres.admin(`GRANT ALL ON bulk TO ${postgres.role}`)
  await postgres.admin("ALTER TABLE bulk SET (autovacuum_enabled = off)")

  /** Megabytes a second from the start of psql to its end. */
  const timed = async (way: Way, sql: string, from?: string): Promise<number> => {
    const where = ["-h", "127.0.0.1", "-p", String(way.port), "-U", postgres.role, "-d", way.database, "-X", "-q", "-A", "-t"]
    const env = { ...process.env, PGPASSWORD: await way.password(), PGSSLMODE: "disable" }
    const began = performance.now()
    const child = spawn(psql, [...where, "-c", sql], { env, stdio: [from === undefined ? "ignore" : "pipe", "pipe", "inherit"] })
    const exited = once(child, "exit")
    const passing = [pipeline(child.stdout!, createWriteStream("/dev/null"))]
    if (from !== undefined) passing.push(pipeline(createReadStream(from, { highWaterMark: 1 << 20 }), child.stdin!))
    await Promise.all(passing)
    const [status] = (await exited) as [number | null]
    if (status !== 0) throw new Error(`psql ended with ${status}`)
    return mb / ((performance.now() - began) / 1_000)
  }
  const text = `repeat('x', ${row_bytes})`
  const tasks: readonly (readonly [string, (way: Way) => Promise<number>])[] = [
    ["COPY out", (way) => timed(way, `COPY (SELECT ${text} FROM generate_series(1, ${rows})) TO STDOUT`)],
    [
      "COPY in",
      async (way) => {
        await postgres.admin("TRUNCATE bulk")
        return timed(way, "COPY bulk FROM STDIN", file)
      },
    ],
    ["one SELECT", (way) => timed(way, `SELECT ${text} FROM generate_series(1, ${rows})`)],
  ]
  try {
    for (const [what, task] of tasks) {
      const turns = [...ways].map(([name, way]) => [name, () => task(way)] as const)
      const title = `PostgreSQL: ${what}, ${mb.toFixed(0)} MB by psql, TLS off, ${settings.rounds} rounds`
      printMeasured(await inTurns(settings.rounds, new Map(turns)), { title, unit: "MB/s", bases: ["direct", "pgbouncer"] })
    }
  } finally {
    await stop()
  }
}
