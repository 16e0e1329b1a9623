// The demo's database: a real PostgreSQL 18 on loopback, made on the first start, with a small table and two roles.
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { chownSync, existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import { promisify } from "node:util"
import { Client, escapeIdentifier, escapeLiteral } from "pg"
import { serve, settings } from "./parent.ts"

const { programs, data, port, runAs, superuser, roles } = settings as unknown as {
  /** The folder of initdb and postgres. */
  programs: string
  /** The cluster's folder; made when it is not there. */
  data: string
  port: number
  runAs: { uid?: number; gid?: number }
  superuser: string
  roles: { readonly: string; app: string }
}

const database = "demo"
const run = promisify(execFile)
const env = { PATH: process.env["PATH"], LC_ALL: "C" }
const options = { ...runAs, env, cwd: "/" }

await serve(async () => {
  if (!existsSync(join(data, "PG_VERSION"))) await makeCluster()
  else await stopLeftover()
  const server = spawn(
    join(programs, "postgres"),
    ["-D", data, "-c", "listen_addresses=127.0.0.1", "-c", `port=${port}`, "-c", "unix_socket_directories="],
    { ...options, stdio: ["ignore", "inherit", "inherit"] },
  )
  const gone = once(server, "exit")
  server.once("exit", (status) => {
    console.error(`postgres ended with status ${status}`)
    process.exit(1)
  })
  await answering(server.pid)
  await fill()
  return async () => {
    server.removeAllListeners("exit")
    const ended = Promise.race([gone, once(server, "exit")])
    server.kill("SIGINT") // "fast": sessions are ended, then the server
    await Promise.race([ended, delay(5_000)])
    if (server.exitCode === null) server.kill("SIGQUIT")
    await ended
  }
})

async function makeCluster(): Promise<void> {
  rmSync(data, { recursive: true, force: true })
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const passwordFile = join(data, "..", "database_superuser")
  writeFileSync(passwordFile, superuser, { mode: 0o600 })
  if (runAs.uid !== undefined && runAs.gid !== undefined) for (const path of [data, passwordFile]) chownSync(path, runAs.uid, runAs.gid)
  await run(
    join(programs, "initdb"),
    ["-D", data, "-U", "postgres", "--auth=scram-sha-256", `--pwfile=${passwordFile}`, "-E", "UTF8", "--no-locale"],
    options,
  )
  rmSync(passwordFile)
}

/** A server that outlived everything (its parents were killed) is stopped, or it would hold the folder. */
async function stopLeftover(): Promise<void> {
  if (existsSync(join(data, "postmaster.pid")))
    await run(join(programs, "pg_ctl"), ["stop", "-D", data, "-m", "fast", "-w"], options).catch(() => {})
}

async function connect(name: string): Promise<Client> {
  const client = new Client({ host: "127.0.0.1", port, user: "postgres", password: superuser, database: name })
  await client.connect()
  return client
}

async function answering(pid: number | undefined): Promise<void> {
  if (pid === undefined) throw new Error("postgres cannot be started")
  for (let left = 300; ; left--) {
    try {
      const client = await connect("postgres")
      return await client.end()
    } catch (failure) {
      if (left === 0) throw failure
      await delay(100)
    }
  }
}

/** The database, the roles with their passwords, the table: made when they are not there. */
async function fill(): Promise<void> {
  const admin = await connect("postgres")
  const { rowCount } = await admin.query("SELECT FROM pg_database WHERE datname = $1", [database])
  if (!rowCount) await admin.query(`CREATE DATABASE ${database}`)
  for (const [role, password] of Object.entries(roles)) {
    const there = await admin.query("SELECT FROM pg_roles WHERE rolname = $1", [role])
    await admin.query(`${there.rowCount ? "ALTER" : "CREATE"} ROLE ${escapeIdentifier(role)} LOGIN PASSWORD ${escapeLiteral(password)}`)
  }
  await admin.end()
  const client = await connect(database)
  await client.query(`
    CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, customer text NOT NULL, amount numeric(8, 2) NOT NULL);
    INSERT INTO orders VALUES (1, 'Ada', 19.90), (2, 'Grace', 240.00), (3, 'Linus', 7.25) ON CONFLICT DO NOTHING;
    GRANT SELECT ON orders TO readonly;
    GRANT SELECT, INSERT, UPDATE, DELETE ON orders TO app`)
  await client.end()
}
