// What to paste into ~/.pg_service.conf, so that `psql service=orders` goes through the gateway (libpq, "The Connection Service File").
import type { Config } from "../config/config.ts"
import type { PostgresTarget } from "../core/target.ts"

/** `targets`: names of the PostgreSQL targets this person may know about. */
export function pgService({ gateway, targets: all }: Config, targets: readonly string[]): string {
  const port = gateway.postgres?.listen.port
  if (port === undefined) return "# this gateway does not serve PostgreSQL"
  const known = all.filter((target): target is PostgresTarget => target.protocol === "postgres" && targets.includes(target.name))
  if (known.length === 0) return "# no rule lets you ask for a PostgreSQL target"
  const services = known.map(({ name, roles }) => {
    const [role] = roles.keys()
    const user = role === undefined ? [] : [`user=${role}`]
    return [`[${name}]`, `host=${gateway.name}`, `port=${port}`, `dbname=${name}`, ...user, "sslmode=require"].join("\n")
  })
  const [first] = known
  const use = first ? [`# then: PGPASSWORD=$(${gateway.ask_with} token ${first.name}) psql service=${first.name}`] : []
  return ["# into ~/.pg_service.conf", ...services, ...use].join("\n")
}
