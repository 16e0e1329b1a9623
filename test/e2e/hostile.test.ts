// Strangers at the door: garbage on any port closes that connection and nothing else, and silent ones stall nobody.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import { type Socket, connect } from "node:net"
import { after, before, suite, test } from "node:test"
import { curl, psql } from "../support/clients.ts"
import { type HttpApp, startHttpApp } from "../support/http_app.ts"
import { liveSsh, livePsql, liveWebSocket } from "../support/live.ts"
import { type People, people } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { run } from "../support/run.ts"
import { type ListenerName, type Sluice, spawnSluice } from "../support/sluice.ts"
import { httpTarget, postgresTarget, sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"

const listeners: readonly ListenerName[] = ["ssh", "postgres", "http", "approvals", "health"]
const silent_per_listener = 50

suite("strangers at the door", { skip: needs("ssh", "sshd", "psql", "curl", "openssl"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let sshd: Sshd
  let postgres: Postgres
  let app: HttpApp
  let sluice: Sluice

  before(async () => {
    ;[sshd, postgres, app] = await Promise.all([startSshd(), startPostgres(), startHttpApp()])
    const targets = [sshTarget("prod-host", sshd), postgresTarget("orders", postgres), httpTarget("grafana", app)]
    sluice = await spawnSluice({ users: [alice, bob], targets })
    for (const target of ["prod-host", "orders", "grafana"]) await sluice.grant(alice, target, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([sshd.stop(), postgres.stop(), app.stop()])
  })

  const everybodyGetsIn = async (): Promise<void> => {
    const login = { sluice, person: alice }
    const [shell, query, page] = await Promise.all([
      run("ssh", [...sluice.ssh(alice), "-J", "gateway", `${sshd.login}@prod-host`, "echo in"]),
      psql({ ...login, target: "orders" }, postgres.role, ["-tAc", "SELECT 'in'"]).then((words) => run(...words)),
      curl({ ...login, target: "grafana" }, "/status/200").then((words) => run(...words)),
    ])
    assert.equal(shell.stdout, "in\n", shell.stderr)
    assert.equal(query.stdout, "in\n", query.stderr)
    assert.equal(page.stdout, "status 200\n", page.stderr)
  }

  test("garbage closes its own connection, on every port, and no session that is open", async () => {
    const login = { sluice, person: alice }
    const live = await Promise.all([
      liveSsh({ ...login, target: "prod-host" }, sshd),
      livePsql({ ...login, target: "orders" }, postgres),
      liveWebSocket({ ...login, target: "grafana" }, app),
    ])
    await Promise.all(
      listeners.flatMap((listener) =>
        garbage.map(([name, bytes]) => closedAfter({ port: sluice.port(listener), bytes, what: `${name} to ${listener}` })),
      ),
    )
    for (const session of live) assert.ok(await session.runs(), `${session.name} was closed by somebody else's garbage`)
    await everybodyGetsIn()
    for (const session of live) await session.stop()
    assert.ok(sluice.program?.running)
  })

  test("silent clients, many on every port, stall nobody", async () => {
    const silent: Socket[] = []
    for (const listener of listeners) {
      for (let count = 0; count < silent_per_listener; count++) silent.push(await opened(sluice.port(listener)))
    }
    await everybodyGetsIn()
    for (const socket of silent) socket.destroy()
  })
})

const head = (length: number, code: number): Buffer => {
  const buffer = Buffer.alloc(8)
  buffer.writeInt32BE(length)
  buffer.writeInt32BE(code, 4)
  return buffer
}

const garbage: readonly (readonly [string, Buffer])[] = [
  ["random bytes", randomBytes(4_096)],
  ["zeros", Buffer.alloc(4_096)],
  ["a line that never ends", Buffer.alloc(200_000, "A")],
  ["an SSH banner with rubbish after it", Buffer.concat([Buffer.from("SSH-2.0-x\r\n"), randomBytes(1_000)])],
  ["a TLS record with rubbish in it", Buffer.concat([Buffer.from([0x16, 3, 1, 0x01, 0xff]), randomBytes(600)])],
  ["a PostgreSQL start-up as large as it can be", Buffer.concat([head(2_147_483_647, 196_608), randomBytes(20_000)])],
  ["a PostgreSQL start-up of negative length", Buffer.concat([head(-1, 196_608), randomBytes(100)])],
  ["a PostgreSQL cancel of nothing", Buffer.concat([head(16, 80_877_102), randomBytes(8)])],
  [
    "two answers' worth of HTTP that lies about its length",
    Buffer.from("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
  ],
]

/** Settles when the other side has closed. What it said before does not matter here; that it said it to us alone does. */
function closedAfter({ port, bytes, what }: { port: number; bytes: Buffer; what: string }): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" })
    const timer = setTimeout(() => reject(new Error(`${what}: the connection stayed open`)), 90_000)
    socket.on("error", () => {}) // a reset is an answer too
    socket.on("data", () => {})
    socket.once("close", () => {
      clearTimeout(timer)
      resolve()
    })
    socket.end(bytes)
  })
}

function opened(port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" }, () => resolve(socket))
    socket.once("error", reject)
  })
}
