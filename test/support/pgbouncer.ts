// pgbouncer, Debian's or a newer one, in front of a PostgreSQL of a test: it asks its clients for SCRAM, and logs in to the server as they are called.
import { chmodSync, chownSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { selfSigned } from "./certificate.ts"
import { answers, onFreePort } from "./port.ts"
import type { Postgres } from "./postgres.ts"
import { launch } from "./run.ts"
import { scratch } from "./scratch.ts"
import { mustHave } from "./tools.ts"
import { eventually } from "./wait.ts"

export interface Pooler extends Pick<Postgres, "at" | "database" | "role" | "passwordFile" | "caFile"> {
  /** What it says of itself. */
  log(): string
  stop(): Promise<void>
}

export interface PoolerOptions {
  readonly program?: string
  readonly mode: "session" | "transaction"
  readonly tls?: boolean
}

const nobody = { uid: 65_534, gid: 65_534 } as const
const isRoot = process.getuid?.() === 0

export async function startPooler(postgres: Postgres, { program = "pgbouncer", mode, tls = false }: PoolerOptions): Promise<Pooler> {
  const folder = scratch("pgbouncer")
  const own = (name: string, content: string): string => {
    const path = join(folder, name)
    writeFileSync(path, content)
    chmodSync(path, 0o600)
    if (isRoot) chownSync(path, nobody.uid, nobody.gid)
    return path
  }
  const certificate = tls ? await selfSigned(["localhost", "127.0.0.1"]) : undefined
  const { address, database, role, password, passwordFile } = postgres
  const users = own("users.txt", `"${role}" "${password}"\n`)
  const settings = {
    listen_addr: "127.0.0.1",
    unix_socket_dir: "",
    ignore_startup_parameters: "extra_float_digits", // JDBC sends it, and pgbouncer refuses what it does not know
    pool_mode: mode,
    auth_type: "scram-sha-256",
    auth_file: users,
    ...(certificate
      ? {
          client_tls_sslmode: "require",
          client_tls_key_file: own("tls.key", certificate.key),
          client_tls_cert_file: own("tls.crt", certificate.cert),
        }
      : {}),
  }
  const lines = Object.entries(settings).map(([name, value]) => `${name} = ${value}\n`)
  const caFile = join(folder, "ca.pem")
  if (certificate) writeFileSync(caFile, certificate.cert)
  return onFreePort(async (port) => {
    const where = `${database} = host=127.0.0.1 port=${address.port} dbname=${database}`
    const file = own("pgbouncer.ini", `[databases]\n${where}\n[pgbouncer]\nlisten_port = ${port}\n${lines.join("")}`)
    const running = launch(mustHave(program), [file], { ...(isRoot ? nobody : {}), cwd: folder, background: true })
    await eventually("pgbouncer to listen", async () => !running.running || (await answers(port)))
    if (!running.running) throw new Error(`pgbouncer did not start:\n${running.stdout}${running.stderr}`)
    return {
      at: `127.0.0.1:${port}`,
      database,
      role,
      passwordFile,
      caFile: certificate ? caFile : undefined,
      log: () => running.stderr,
      stop: async () => void (await running.stop()),
    }
  })
}
