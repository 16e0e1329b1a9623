// What to paste into ~/.pg_service.conf, so that `psql service=orders` goes through the gateway (libpq, "The Connection Service File").
import type { Config } from "../config/config.ts"
import type { PostgresTarget } from "../core/target.ts"
import { localCa } from "../config/ways_in.ts"

/** `targets`: names of the PostgreSQL targets this person may know about. `line`: how they reach the gateway by ssh. */
export function pgService(config: Config, targets: readonly string[], line: string): string {
  const { gateway, targets: all } = config
  const port = gateway.postgres?.listen.port
  if (port === undefined) return "# this gateway does not serve PostgreSQL"
  const known = all.filter((target): target is PostgresTarget => target.protocol === "postgres" && targets.includes(target.name))
  if (known.length === 0) return "# no rule lets you ask for a PostgreSQL target"
  // libpq looks for a CA in ~/.postgresql/root.crt; it knows the system's by name since PostgreSQL 16.
  const trust = localCa(config) ? [] : ["sslrootcert=system"]
  const once = localCa(config) ? [`# once: mkdir -p ~/.postgresql && ${line} ca >> ~/.postgresql/root.crt`] : []
  // A certificate is looked at first; a password only where the gateway asks for one.
  const login = gateway.postgres?.login === "oauth" ? ["options=-c sluice.login=token"] : []
  const services = known.map(({ name, roles }) => {
    const [role] = roles.keys()
    const user = role === undefined ? [] : [`user=${role}`]
    return [`[${name}]`, `host=${gateway.name}`, `port=${port}`, `dbname=${name}`, ...user, ...login, "sslmode=verify-full", ...trust].join(
      "\n",
    )
  })
  const [first] = known
  const use = first ? [`# then: PGPASSWORD=$(${line} token ${first.name}) psql service=${first.name}`] : []
  return [...once, "# into ~/.pg_service.conf", ...services, ...use].join("\n")
}
