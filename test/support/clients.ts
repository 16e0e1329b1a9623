// People's own programs, pointed at a Sluice in a test: psql, curl and a WebSocket client, with the gateway's own CA checked as a
// careful user would. OpenSSH is set up in `ssh_options.ts`.
import { readFileSync } from "node:fs"
import { Client } from "pg"
import { type ClientOptions, WebSocket } from "ws"
import type { Person } from "./people.ts"
import type { RunOptions } from "./run.ts"
import type { Sluice } from "./sluice.ts"
import { gatewayName } from "./sluice_config.ts"

export interface Login {
  readonly sluice: Sluice
  readonly person: Person
  readonly target: string
}

/** The arguments and the environment of a psql that logs in as `role` with a token for the target; put `-c …` after them. */
export async function psql(login: Login, role: string, more: readonly string[] = []): Promise<readonly [string, string[], RunOptions]> {
  const { sluice, person, target } = login
  const where = `host=${gatewayName} hostaddr=127.0.0.1 port=${sluice.port("postgres")} dbname=${target} user=${role}`
  const args = [`${where} sslmode=verify-full sslrootcert=${sluice.caFile}`, "-X", "-v", "ON_ERROR_STOP=1", ...more]
  return ["psql", args, { env: { PGPASSWORD: await sluice.token(person, target) } }]
}

/** The `pg` library, logged in as `role` with a token for the target; what its connection fails with later is left to its queries. `more`: of its options. */
export async function pgClient({ sluice, person, target }: Login, role: string, more: object = {}): Promise<Client> {
  const client = new Client({
    ...more,
    host: "127.0.0.1",
    port: sluice.port("postgres"),
    user: role,
    password: await sluice.token(person, target),
    database: target,
    ssl: { ca: readFileSync(sluice.caFile), servername: gatewayName },
  })
  client.on("error", () => {})
  await client.connect()
  return client
}

/** The arguments of a curl of `path` on an HTTP target, with a token for it. */
export async function curl(login: Login, path: string, more: readonly string[] = []): Promise<readonly [string, string[]]> {
  const { sluice, person, target } = login
  const [host, port] = [`${target}.${gatewayName}`, sluice.port("http")]
  const bearer = `Authorization: Bearer ${await sluice.token(person, target)}`
  const trust = ["--resolve", `${host}:${port}:127.0.0.1`, "--cacert", sluice.caFile]
  return ["curl", ["-sS", "-N", ...trust, "-H", bearer, ...more, `https://${host}:${port}${path}`]]
}

/** A WebSocket to `path` on an HTTP target, open when it settles. */
export async function webSocket(login: Login, path: string, headers: Readonly<Record<string, string>> = {}): Promise<WebSocket> {
  const { sluice, person, target } = login
  const host = `${target}.${gatewayName}`
  // `servername` reaches tls.connect and is missing in the types alone.
  const options: ClientOptions & { readonly servername: string } = {
    ca: readFileSync(sluice.caFile),
    servername: host,
    headers: { host: `${host}:${sluice.port("http")}`, authorization: `Bearer ${await sluice.token(person, target)}`, ...headers },
  }
  const socket = new WebSocket(`wss://127.0.0.1:${sluice.port("http")}${path}`, options)
  await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject))
  socket.on("error", () => {})
  return socket
}
