// pgbouncer in session mode: what people put between clients and PostgreSQL today. It logs in upstream with the role's password.
import type { Postgres } from "../../test/support/postgres.ts"
import { type Comparator, startComparator } from "./comparator.ts"

export function startPgbouncer(target: Postgres): Promise<Comparator> {
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
        "server_tls_sslmode = disable",
        "",
      ].join("\n"),
      "users.txt": `"${target.role}" "${target.password}"\n`,
    }),
    args: () => ["-q", "pgbouncer.ini"],
  })
}
