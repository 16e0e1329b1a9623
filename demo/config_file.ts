// The demo's sluice.yaml: an ordinary one, to read and to copy from.
import { writeFileSync } from "node:fs"
import type { Folder } from "./folder.ts"
import type { Person } from "./people.ts"
import { loopback, type Ports } from "./ports.ts"

export const domain = "sluice.localhost"

export interface Demo {
  readonly folder: Folder
  readonly ports: Ports
  readonly people: readonly Person[]
  /** Of the targets. */
  readonly behind: { readonly database: number; readonly host: number; readonly app: number }
  readonly login: string
  /** The demo host's public key, one line. */
  readonly hostKey: string
  /** "ssh -F data/{user}/ssh_config gateway" */
  readonly askWith: string
}

/** Writes it and answers its path. */
export function writeConfigFile({ folder, ports, people, behind, login, hostKey, askWith }: Demo): string {
  const users = people
    .map(({ name, groups, publicKey }) => `    - { name: ${name}, groups: [${groups.join(", ")}], ssh_keys: ["${publicKey}"] }`)
    .join("\n")
  const path = folder.path("sluice.yaml")
  writeFileSync(
    path,
    `# Written by \`npm start\` each time it starts: copy it before you change it.
state: state

gateway:
  name: localhost
  ask_with: ${askWith}
  ssh: { listen: ${loopback}:${ports.ssh} }
  postgres: { listen: ${loopback}:${ports.postgres} }
  http: { listen: ${loopback}:${ports.http}, domain: ${domain} }

approvals:
  listen: ${loopback}:${ports.approvals}

identity:
  users:
${users}

targets:
  - name: demo-host
    labels: { env: demo }
    ssh:
      address: ${loopback}:${behind.host}
      logins: [${login}]
      auth: { key: file:secrets/demo_host_login }
      host_key: "${hostKey}"
  - name: demo-db
    labels: { env: demo }
    postgres:
      address: ${loopback}:${behind.database}
      database: demo
      tls: disable # it is on this machine
      roles:
        readonly: { password: file:secrets/readonly }
        app: { password: file:secrets/app }
  - name: demo-app
    labels: { env: demo }
    http: { url: "http://${loopback}:${behind.app}" }

policy:
  access:
    - { who: [engineers], targets: { env: demo }, max: 8h, approve: { by: [oncall], count: 1 }, reason: required }
    - { who: [oncall], targets: { env: demo }, max: 1h, approve: auto }
  actions:
    - { targets: demo-db, postgres: { kinds: [update, delete], without: where }, then: deny, say: "say which rows: add a WHERE" }
    - { targets: demo-db, postgres: { kinds: [delete, ddl] }, then: hold, approve: { by: [oncall] } }
    - { targets: demo-app, http: { methods: [DELETE] }, then: hold, approve: { by: [oncall] } }
`,
  )
  return path
}
