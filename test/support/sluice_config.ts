// A `sluice.yaml` for a test: every listener on a port of its own choosing, everything it makes in one temporary folder.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { stringify } from "yaml"
import type { HttpApp } from "./http_app.ts"
import type { Person } from "./people.ts"
import type { Postgres } from "./postgres.ts"
import type { Pooler } from "./pgbouncer.ts"
import type { Sshd } from "./sshd.ts"

/** A part of the file, written as in the file. */
export type Section = Readonly<Record<string, unknown>>

export interface SluiceSetup {
  readonly users: readonly Person[]
  /** As in the file; `sshTarget`, `postgresTarget` and `httpTarget` make them. */
  readonly targets: readonly Section[]
  /** Left out: engineers may ask for everything for up to 8 h, oncall approves, admins administer. */
  readonly policy?: Section
  readonly gateway?: Section
  readonly approvals?: Section
  readonly recordings?: Section
  /** Beside the users. */
  readonly identity?: Section
  /** The temporary folder; kept between two starts, it is a restart. */
  readonly folder: string
}

export const gatewayName = "gw.test"
export const gatewayKey = "the-key-a-gateway-shows-in-tests-0123456789"

function usualPolicy(users: readonly Person[], targets: readonly string[]): Section {
  const access = [{ who: ["engineers"], targets, max: "8h", approve: { by: ["oncall"], count: 1 } }]
  return users.some(({ groups }) => groups.includes("admins")) ? { access, admins: ["admins"] } : { access }
}

/** Writes the file into the folder and answers its path. */
export function writeConfig(setup: SluiceSetup): string {
  const listen = "127.0.0.1:0"
  const targets = setup.targets.map((target) => String(target["name"]))
  const file = join(setup.folder, "sluice.yaml")
  writeFileSync(join(setup.folder, "gateway_key"), gatewayKey, { mode: 0o600 })
  const content = {
    state: join(setup.folder, "state"),
    gateway: {
      name: gatewayName,
      ask_with: "ssh gateway",
      ssh: { listen },
      postgres: { listen },
      http: { listen, domain: gatewayName },
      health: { listen },
      ...setup.gateway,
    },
    approvals: { listen, gateway_key: "file:gateway_key", ...setup.approvals },
    identity: {
      users: setup.users.map(({ name, groups, publicKey }) => ({ name, groups, ssh_keys: [publicKey] })),
      ...setup.identity,
    },
    targets: setup.targets,
    policy: setup.policy ?? usualPolicy(setup.users, targets),
    ...(setup.recordings ? { recordings: setup.recordings } : {}),
  }
  writeFileSync(file, stringify(content))
  return file
}

export function sshTarget(name: string, sshd: Sshd, more: Section = {}): Section {
  const ssh = { address: sshd.at, logins: [sshd.login], auth: { key: `file:${sshd.key.file}` }, host_key: sshd.hostKey, ...more }
  return { name, labels: { env: "prod" }, ssh }
}

/** `verify-full` when the server speaks TLS, else without. */
export function postgresTarget(name: string, server: Postgres | Pooler, more: Section = {}): Section {
  const { at: address, database, role, passwordFile, caFile } = server
  const tls = caFile ? { tls: "verify-full", ca: `file:${caFile}` } : { tls: "disable" }
  return {
    name,
    labels: { env: "prod" },
    postgres: { address, database, ...tls, roles: { [role]: { password: `file:${passwordFile}` } }, ...more },
  }
}

export function httpTarget(name: string, app: HttpApp, more: Section = {}): Section {
  return { name, labels: { env: "prod" }, http: { url: app.url, ...more } }
}
