// How long after a grant's end is the last client out? Live PostgreSQL sessions on one grant, 1, 100 and 1,000 of them; measured at the
// client, from the end that the grant itself says (expiry) or that the approval service wrote down (revocation) to the closed socket.
import { setTimeout as sleep } from "node:timers/promises"
import type { GrantView } from "../src/api/schema.ts"
import { type BenchGateway, startGateway } from "./support/gateway.ts"
import { type IdleClient, login, now } from "./support/idle_client.ts"
import { startIdlePostgres } from "./support/idle_postgres.ts"
import { quantile } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printTable } from "./support/table.ts"

const session_counts = [1, 100, 1_000] as const
const logins_at_once = 40
const role = "app"

type Way = "expiry" | "revocation"

export async function measure(settings: Settings): Promise<void> {
  const server = await startIdlePostgres()
  const postgres = { address: `127.0.0.1:${server.port}`, database: "idle", tls: "disable", roles: { [role]: {} } }
  const gateway = await startGateway([{ name: "idle", postgres }], settings)
  const rows: string[][] = []
  try {
    const login_ms = await loginCost(gateway)
    for (const way of ["expiry", "revocation"] as const) {
      for (const sessions of session_counts) {
        const late: number[] = []
        // One session gives one number a round; many rounds make it as trustworthy as the others.
        const rounds = sessions === 1 ? settings.rounds * 4 : settings.rounds
        for (let round = 0; round < rounds; round++) late.push(...(await cutOnce(gateway, { way, sessions, login_ms })))
        process.stderr.write(".")
        rows.push([way, String(sessions), ...[0.5, 0.99, 1].map((share) => quantile(late, share).toFixed(1)), String(late.length)])
      }
    }
    process.stderr.write("\n")
  } finally {
    await gateway.sluice.stop()
    await server.stop()
  }
  const head = ["end by", "live sessions", "p50 ms", "p99 ms", "max ms", "sockets"]
  printTable(
    `Cut: from the grant's end to the client's closed socket, ${settings.rounds} rounds (one session: ${settings.rounds * 4})`,
    head,
    rows,
  )
}

interface Cut {
  readonly way: Way
  readonly sessions: number
  /** What one login costs here, so that a grant is given long enough for all of them. */
  readonly login_ms: number
}

/** Milliseconds after the end, for each session. */
async function cutOnce(gateway: BenchGateway, { way, sessions, login_ms }: Cut): Promise<number[]> {
  const { sluice, alice, bob } = gateway
  const seconds = way === "expiry" ? Math.ceil((sessions * login_ms * 2) / 1000) + 3 : 3_600
  const grant = await sluice.grant(alice, "idle", { by: bob, for: `${seconds}s` })
  const clients = await loginAll(gateway, sessions)
  let end: number
  if (way === "expiry") {
    end = grant.ends_at
    if (now() > end) throw new Error("the logins took longer than the grant: the machine is too busy for this measurement")
  } else {
    await sleep(200) // what the logins left to do is not the cut's
    end = endOf(await sluice.revoke(grant, bob))
  }
  const closed = await Promise.all(clients.map((client) => client.closed))
  const wrong = closed.find(({ words }) => !words.includes("57P01"))
  if (wrong) throw new Error(`a session ended without our words: ${wrong.words}`)
  return closed.map(({ at }) => at - end)
}

function endOf(grant: GrantView): number {
  if (grant.ended_at === null) throw new Error("revoked, and it has not ended")
  return grant.ended_at
}

async function loginAll({ sluice, alice }: BenchGateway, sessions: number): Promise<IdleClient[]> {
  const password = await sluice.token(alice, "idle")
  const clients: IdleClient[] = []
  while (clients.length < sessions) {
    const count = Math.min(logins_at_once, sessions - clients.length)
    const made = Array.from({ length: count }, () => login({ port: sluice.port("postgres"), user: role, database: "idle", password }))
    clients.push(...(await Promise.all(made)))
  }
  return clients
}

async function loginCost(gateway: BenchGateway): Promise<number> {
  const { sluice, alice, bob } = gateway
  const grant = await sluice.grant(alice, "idle", { by: bob, for: "1h" })
  const start = performance.now()
  const clients = await loginAll(gateway, 200)
  const cost = (performance.now() - start) / clients.length
  await sluice.revoke(grant, bob)
  await Promise.all(clients.map((client) => client.closed))
  return cost
}
