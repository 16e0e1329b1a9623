// A real PostgreSQL 18 on loopback, from the npm package that carries its binaries, in a folder of its own: SCRAM passwords, a
// free port, TLS when asked. Started by root it runs as an unprivileged user, because it refuses to run as root.
//
//   const postgres = await startPostgres()
//   target: { name: "orders", postgres: { address: postgres.at, database: postgres.database, tls: "disable",
//             roles: { [postgres.role]: { password: `file:${postgres.passwordFile}` } } } }
import { appendFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Client } from "pg"
import { type LocalAddress, answers, onFreePort } from "./port.ts"
import { type ServerKind, cluster, superuser } from "./postgres_cluster.ts"
import { type Program, launch } from "./run.ts"
import { scratch } from "./scratch.ts"
import { selfSigned } from "./certificate.ts"
import { eventually } from "./wait.ts"

export interface Postgres {
  readonly address: LocalAddress
  /** "127.0.0.1:52044" */
  readonly at: string
  /** A database with a table `items(id int, name text)` of three rows. */
  readonly database: string
  /** May read and write `items`; no superuser. */
  readonly role: string
  readonly password: string
  /** A file that holds `password`. */
  readonly passwordFile: string
  /** With `tls`: PEM of the certificate, for `localhost` and 127.0.0.1, that a client must trust; and its file. */
  readonly ca: string | undefined
  readonly caFile: string | undefined
  /** One statement as the superuser, in `database`; its rows. */
  admin(sql: string, values?: readonly unknown[]): Promise<Record<string, unknown>[]>
  /** What other clients run now, of pg_stat_activity. */
  active(): Promise<{ pid: number; query: string; usename: string }[]>
  /** The server's log so far; every statement is in it with `logStatements`. */
  log(): string
  /** Ends it as a crash would, and starts it again where it was. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export interface PostgresOptions {
  readonly tls?: boolean
  /** With `tls`: PEM of the CA of clients that show a certificate. */
  readonly clientCa?: string
  readonly logStatements?: boolean
  /** Left out: the package's. */
  readonly server?: ServerKind
  /** Lines of pg_hba.conf that come before the one that wants SCRAM of everybody. */
  readonly access?: readonly string[]
  /** Lines for postgresql.conf. */
  readonly settings?: Readonly<Record<string, string>>
}

const database = "orders"
const role = "readonly"
const password = "target-password-of-readonly"

export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const folder = scratch("postgres")
  const made = await cluster(join(folder, "data"), options.server)
  const passwordFile = join(folder, "password")
  writeFileSync(passwordFile, password, { mode: 0o600 })
  const tls = options.tls ? await selfSigned(["localhost", "127.0.0.1"]) : undefined
  const caFile = join(folder, "ca.pem")
  if (tls) {
    writeFileSync(caFile, tls.cert)
    made.own(join(made.data, "server.crt"), tls.cert)
    made.own(join(made.data, "server.key"), tls.key)
    if (options.clientCa) made.own(join(made.data, "clients.crt"), options.clientCa)
  }
  appendFileSync(join(made.data, "postgresql.conf"), settings(options))
  const access = join(made.data, "pg_hba.conf")
  if (options.access) writeFileSync(access, `${options.access.join("\n")}\n${readFileSync(access, "utf8")}`)

  return onFreePort(async (port) => {
    const start = () =>
      launch(made.postgres, ["-D", made.data, "-p", String(port), "-c", "listen_addresses=127.0.0.1"], {
        ...made.as,
        env: made.env,
        background: true,
      })
    let server = start()
    await eventually("postgres to listen", async () => !server.running || (await answers(port)))
    const admin = adminOf(port)
    await eventually("postgres to let somebody in", async () => !server.running || (await admin("SELECT 1", [], "postgres")))
    if (!server.running) throw new Error(`postgres did not start: ${server.stderr}`)
    await prepare(admin)
    return {
      address: { host: "127.0.0.1", port },
      at: `127.0.0.1:${port}`,
      database,
      role,
      password,
      passwordFile,
      ca: tls?.cert,
      caFile: tls ? caFile : undefined,
      admin: (sql, values) => admin(sql, values ?? [], database),
      active: () =>
        admin(
          "SELECT pid, query, usename FROM pg_stat_activity WHERE state <> 'idle' AND backend_type = 'client backend' AND pid <> pg_backend_pid()",
          [],
          database,
        ) as Promise<{ pid: number; query: string; usename: string }[]>,
      log: () => server.stderr,
      async restart() {
        server.signal("SIGQUIT") // as a crash: nothing is finished, and what was not written is gone
        await server.end()
        server = start()
        await eventually("postgres to let somebody in again", () => admin("SELECT 1", [], database))
      },
      stop: () => stop(server),
    }
  })
}

function settings(options: PostgresOptions): string {
  const lines: Record<string, string> = {
    fsync: "off",
    full_page_writes: "off",
    synchronous_commit: "off",
    max_connections: "300",
    shared_buffers: "32MB",
    // Unix sockets would need a folder both of us may use; everything here speaks TCP.
    unix_socket_directories: "''",
    ...(options.logStatements ? { log_statement: "all" } : {}),
    ...(options.tls ? { ssl: "on" } : {}),
    ...(options.clientCa ? { ssl_ca_file: "'clients.crt'" } : {}),
    ...options.settings,
  }
  return Object.entries(lines)
    .map(([name, value]) => `${name} = ${value}\n`)
    .join("")
}

type Admin = (sql: string, values: readonly unknown[], database: string) => Promise<Record<string, unknown>[]>

function adminOf(port: number): Admin {
  return async (sql, values, database) => {
    const client = new Client({ host: "127.0.0.1", port, user: superuser.name, password: superuser.password, database })
    client.on("error", () => {})
    await client.connect()
    try {
      return (await client.query(sql, [...values])).rows as Record<string, unknown>[]
    } finally {
      await client.end()
    }
  }
}

async function prepare(admin: Admin): Promise<void> {
  await admin(`CREATE ROLE ${role} LOGIN PASSWORD '${password}'`, [], "postgres")
  await admin(`CREATE DATABASE ${database}`, [], "postgres")
  await admin("CREATE TABLE items (id int PRIMARY KEY, name text)", [], database)
  await admin("INSERT INTO items VALUES (1, 'apple'), (2, 'pear'), (3, 'plum')", [], database)
  await admin(`GRANT ALL ON items TO ${role}`, [], database)
}

/** SIGINT is PostgreSQL's fast shutdown: it does not wait for clients. */
async function stop(server: Program): Promise<void> {
  server.signal("SIGINT")
  const insist = setTimeout(() => void server.stop("SIGQUIT"), 10_000)
  await server.end()
  clearTimeout(insist)
}
