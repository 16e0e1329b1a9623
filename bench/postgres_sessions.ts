// What does a session cost: how many a second can begin over TLS, and how much memory does an idle one take?
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { scratch } from "../test/support/scratch.ts"
import { startGateway } from "./support/gateway.ts"
import { type IdleClient, login } from "./support/idle_client.ts"
import { startIdlePostgres } from "./support/idle_postgres.ts"
import { pgbench, startWays } from "./support/postgres_ways.ts"
import { residentKib } from "./support/resident.ts"
import { inTurns } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printMeasured, printTable } from "./support/table.ts"

const idle_sessions = 5_000
const logins_at_once = 50
const role = "app"

export async function measure(settings: Settings): Promise<void> {
  await connections(settings)
  await memory(settings)
}

async function connections(settings: Settings): Promise<void> {
  const { postgres, ways, stop } = await startWays(settings, { tls: true })
  const script = join(scratch("pgbench"), "select.sql")
  writeFileSync(script, "SELECT 1;\n")
  const load = ["-C", "-f", script, "-c", "8", "-j", "2", "-T", String(settings.seconds)]
  try {
    const turns = [...ways].map(([name, way]) => [name, () => pgbench(way, postgres.role, load)] as const)
    printMeasured(await inTurns(settings.rounds, new Map(turns)), {
      title: `PostgreSQL: a new session over TLS for each SELECT 1, 8 clients, ${settings.rounds} rounds of ${settings.seconds} s`,
      unit: "sessions/s",
      bases: ["direct", "pgbouncer"],
    })
  } finally {
    await stop()
  }
}

/** The server is a light one: its memory does not count, and a real one would not take so many. */
async function memory(settings: Settings): Promise<void> {
  const server = await startIdlePostgres()
  const target = { address: `127.0.0.1:${server.port}`, database: "idle", tls: "disable", roles: { [role]: {} } }
  const { sluice, alice, bob } = await startGateway([{ name: "idle", postgres: target }], settings)
  const clients: IdleClient[] = []
  try {
    const grant = await sluice.grant(alice, "idle", { by: bob, for: "1h" })
    const password = await sluice.token(alice, "idle")
    const open = async (count: number): Promise<void> => {
      for (let left = count; left > 0; left -= logins_at_once) {
        const some = Array.from({ length: Math.min(left, logins_at_once) }, () =>
          login({ port: sluice.port("postgres"), user: role, database: "idle", password }),
        )
        clients.push(...(await Promise.all(some)))
      }
    }
    await open(200) // what is only made once
    await sleep(2_000)
    const before = residentKib(sluice.program!.pid!)
    await open(idle_sessions)
    await sleep(30_000) // for what the logins left to be collected
    const grown = residentKib(sluice.program!.pid!) - before
    printTable(
      `PostgreSQL: memory of ${idle_sessions} idle sessions, TLS off`,
      ["", "KiB a session", "MiB in all"],
      [["sluice, all of its processes", (grown / idle_sessions).toFixed(1), (grown / 1024).toFixed(0)]],
    )
    await sluice.revoke(grant, bob)
    await Promise.all(clients.map(({ closed }) => closed))
  } finally {
    await sluice.stop()
    await server.stop()
  }
}
