// Revoked at one approval service, cut at a gateway that follows another: two services and two gateways on one PostgreSQL, so that the
// word goes by way of the database. Live sessions on gateway B, the grant revoked at service A; measured at the client, from the call
// that revokes to the closed socket.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { person } from "../test/support/people.ts"
import { startPostgres } from "../test/support/postgres.ts"
import { scratch } from "../test/support/scratch.ts"
import { type Sluice, spawnSluice } from "../test/support/sluice.ts"
import { gatewayName } from "../test/support/sluice_config.ts"
import { newPostgresStore, storeUrl } from "../test/support/store.ts"
import { eventually } from "../test/support/wait.ts"
import { durable } from "./support/durable.ts"
import { type IdleClient, login, now } from "./support/idle_client.ts"
import { startIdlePostgres } from "./support/idle_postgres.ts"
import { quantile } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { printTable } from "./support/table.ts"

const session_counts = [1, 100] as const
const logins_at_once = 20
const role = "app"
const alice = person("alice", "engineers")
const bob = person("bob", "oncall")

export async function measure({ rounds }: Settings): Promise<void> {
  const stops: (() => Promise<void>)[] = []
  try {
    const pair = await start(stops)
    const rows: string[][] = []
    for (const sessions of session_counts) {
      // One session gives one number a round.
      const times = sessions === 1 ? rounds * 20 : rounds * 2
      const taken: Taken[] = []
      for (let round = 0; round < times; round++) taken.push(await revokeOnce(pair, sessions))
      process.stderr.write(".")
      for (const [what, late] of [
        ["the answer of service A", taken.map(({ answered }) => answered)],
        ["the closed socket", taken.flatMap(({ closed }) => closed)],
      ] as const)
        rows.push([String(sessions), what, ...[0.5, 0.99, 1].map((share) => quantile(late, share).toFixed(1)), String(late.length)])
    }
    process.stderr.write("\n")
    printTable(
      "Revoked at service A, live on gateway B: from the call to …",
      ["live sessions", "", "p50 ms", "p99 ms", "max ms", "times"],
      rows,
    )
  } finally {
    for (const stop of stops.reverse()) await stop()
  }
}

interface Pair {
  /** Where it is revoked, and where the sessions are. */
  readonly service: Sluice
  readonly gateway: Sluice
}

/** What was started is put into `stops` at once, so that it ends whatever comes after. */
async function start(stops: (() => Promise<void>)[]): Promise<Pair> {
  const database = await startPostgres({ settings: durable })
  stops.push(() => database.stop())
  const target = await startIdlePostgres()
  stops.push(() => target.stop())
  const store = await newPostgresStore(database)
  const setup = {
    users: [alice, bob],
    targets: [{ name: "idle", postgres: { address: `127.0.0.1:${target.port}`, database: "idle", tls: "disable", roles: { [role]: {} } } }],
  }
  const services: Sluice[] = []
  const gateways: Sluice[] = []
  for (const name of ["a", "b"]) {
    const folder = scratch(`bench-service-${name}`)
    writeFileSync(join(folder, "store_url"), storeUrl(store), { mode: 0o600 })
    const service = await spawnSluice({ ...setup, role: "approvals", folder, approvals: { store: "file:store_url" } })
    stops.push(() => service.stop())
    services.push(service)
    const url = `http://127.0.0.1:${service.port("approvals")}`
    const gateway = await spawnSluice({ ...setup, role: "gateway", gateway: { name: `${name}.${gatewayName}` }, approvals: { url } })
    stops.push(() => gateway.stop())
    gateways.push(gateway)
  }
  return { service: services[0] as Sluice, gateway: gateways[1] as Sluice }
}

interface Taken {
  readonly answered: number
  readonly closed: readonly number[]
}

async function revokeOnce({ service, gateway }: Pair, sessions: number): Promise<Taken> {
  const grant = await service.grant(alice, "idle", { by: bob, for: "1h" })
  const password = await service.token(alice, "idle")
  const enter = (): Promise<IdleClient> => login({ port: gateway.port("postgres"), user: role, database: "idle", password })
  // The word of the grant has the same way to go.
  const clients = [await eventually("gateway B to know of the grant", enter)]
  while (clients.length < sessions)
    clients.push(...(await Promise.all(Array.from({ length: Math.min(logins_at_once, sessions - clients.length) }, enter))))
  await sleep(200) // what the logins left to do is not the revocation's
  const api = service.api(bob)
  await api.call("whoami", {}) // a connection that is open
  const start = now()
  await api.call("revoke", { id: grant.id, body: { reason: "a bench" } })
  const answered = now() - start
  const closed = await Promise.all(clients.map((client) => client.closed))
  const wrong = closed.find(({ words }) => !words.includes("57P01"))
  if (wrong) throw new Error(`a session ended without our words: ${wrong.words}`)
  return { answered, closed: closed.map(({ at }) => at - start) }
}
