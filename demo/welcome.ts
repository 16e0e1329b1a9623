// What the demo prints once it runs: lines to copy, in the order in which one would try them.
import type { Folder } from "./folder.ts"
import type { Ports } from "./ports.ts"

export interface Welcome {
  readonly folder: Folder
  /** The folder as it is typed. */
  readonly shown: string
  readonly ports: Ports
  readonly login: string
  /** Whether ssh2's native crypto is in use. */
  readonly native: boolean
}

export function welcome({ folder, shown, ports, login, native }: Welcome): string {
  const alice = `ssh -F ${shown}/alice/ssh_config`
  const bob = `ssh -F ${shown}/bob/ssh_config`
  const psql = `"host=localhost port=${ports.postgres} dbname=demo-db user=readonly sslmode=verify-full sslrootcert=${shown}/ca.crt"`
  const sql = psql.replace("user=readonly", "user=app")
  const app = `https://demo-app.sluice.localhost:${ports.http}/`
  return `
Sluice runs. alice is an engineer, bob is on call and approves. Copy the lines into another terminal, in this order:

  Alice has no access (ssh would ask for it there and then: a reason, or Enter to leave it):
    ${alice} demo-host
  so she asks, and bob approves:
    ${alice} gateway request demo-host --for 15m --reason "try it"
    ${bob} gateway approve 1
  and now she is in, as ${login}:
    ${alice} demo-host

  The same for a database and a web application (bob approves the numbers that the requests print):
    ${alice} gateway request demo-db --for 15m --reason "a look at the orders"
    PGPASSWORD="$(${alice} gateway token demo-db)" psql ${psql} -c "SELECT * FROM orders"
    ${alice} gateway request demo-app --for 15m --reason "a look at the page"
    curl --cacert ${shown}/ca.crt -H "Authorization: Bearer $(${alice} gateway token demo-app)" ${app}

  A rule holds what deletes: this waits, unsent, until bob has seen it and approved it (without its WHERE, a rule denies it):
    PGPASSWORD="$(${alice} gateway token demo-db)" psql ${sql} -c "DELETE FROM orders WHERE id = 3"
    ${bob} gateway requests <number> --estimate

  What was done, and an end to it (the ids are in the lists):
    ${bob} gateway grants
    ${bob} gateway revoke <grant> --reason "enough seen"
    ${alice} gateway sessions
    npx sluice replay <session> --config ${shown}/sluice.yaml

Everything is in ${folder.root}${folder.moved ? ` (${folder.moved})` : ""}: sluice.yaml, keys, recordings, logs. To forget it all: rm -rf ${shown}
SSH crypto: ${native ? "native" : "plain JavaScript, slower (a C++ compiler at npm ci makes it native)"}. Ctrl-C ends everything.
`
}
