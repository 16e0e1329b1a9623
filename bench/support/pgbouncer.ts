// pgbouncer in session mode: what people put between clients and PostgreSQL today. It logs in upstream with the role's password.
import { selfSigned } from "../../test/support/certificate.ts"
import type { Postgres } from "../../test/support/postgres.ts"
import { type Comparator, startComparator } from "./comparator.ts"

export async function startPgbouncer(target: Postgres, { tls = false } = {}): Promise<Comparator> {
  const certificate = tls ? await selfSigned(["localhost", "127.0.0.1"]) : undefined
  const secured = ["client_tls_sslmode = require", "client_tls_key_file = tls.key", "client_tls_cert_file = tls.crt"]
  return startComparator({
    program: "pgbouncer",
    files: ({ port }) => ({
      "pgbouncer.ini": [
        "[databases]",
        `${target.database} = host=127.0.0.1 port=${target.address.port} dbname=${target.database}`,
        "[pgbouncer]",
        "listen_addr = 127.0.0.1",
        `listen_port = ${port}`,
        "unix_socket_dir =",
        "pool_mode = session",
        "auth_type = trust",
        "auth_file = users.txt",
        "max_client_conn = 200",
        "default_pool_size = 100",
        `server_tls_sslmode = ${tls ? "require" : "disable"}`,
        ...(tls ? secured : []),
        "",
      ].join("\n"),
      "users.txt": `"${target.role}" "${target.password}"\n`,
      ...(certificate ? { "tls.key": certificate.key, "tls.crt": certificate.cert } : {}),
    }),
    args: () => ["-q", "pgbouncer.ini"],
  })
}
