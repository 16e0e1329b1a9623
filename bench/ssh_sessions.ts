// What does a terminal that nobody types at cost? A thousand logins as `login@target@gateway`, each with a terminal and a shell, from
// a child of ours to a light server in another: what grows are the gateway's processes alone, with one connection on each side
// for every session. (`ssh -J` adds the outer connection, and ends in the same place.)
import { setTimeout as sleep } from "node:timers/promises"
import { keyPair } from "../test/support/people.ts"
import { startGateway } from "./support/gateway.ts"
import { startIdleSshClients, startLightSsh } from "./support/idle_ssh.ts"
import { residentKib } from "./support/resident.ts"
import type { Settings } from "./support/settings.ts"
import { printTable } from "./support/table.ts"

const idle_sessions = 1_000

export async function measure(settings: Settings): Promise<void> {
  const server = await startLightSsh()
  const auth = { key: `file:${keyPair("target").file}` }
  const target = { address: server.at, logins: ["app"], auth, host_key: server.hostKey }
  const { sluice, alice, bob } = await startGateway([{ name: "idle", ssh: target }], settings)
  const clients = startIdleSshClients({ port: sluice.port("ssh"), user: "app@idle", keyFile: alice.file })
  try {
    await sluice.grant(alice, "idle", { by: bob, for: "1h" })
    await clients.open(200) // what is only made once
    await sleep(2_000)
    let before = residentKib(sluice.program!.pid!)
    const rows: string[][] = []
    for (const which of ["the first 1000, with the room V8 takes to work in", "the next 1000"]) {
      const took_ms = await clients.open(idle_sessions)
      await sleep(30_000) // for what the logins left to be collected
      const now = residentKib(sluice.program!.pid!)
      const grown = now - before
      before = now
      rows.push([which, (grown / idle_sessions).toFixed(1), (grown / 1024).toFixed(0), (idle_sessions / (took_ms / 1000)).toFixed(0)])
    }
    const head = ["sluice, all of its processes", "KiB a session", "MiB in all", "begun a second, 16 at once"]
    printTable(`SSH: ${idle_sessions} idle terminals, and as many more`, head, rows)
  } finally {
    await clients.stop()
    await sluice.stop()
    await server.stop()
  }
}
