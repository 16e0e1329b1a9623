// What can be reached, as the rest of the code sees it: parsed, defaulted, with secrets already resolved.
import type { DestinationPattern } from "./destination.ts"
import type { Pattern } from "./pattern.ts"
import type { ValueProtection } from "./protected_column.ts"
import type { Secret } from "./secret.ts"

export interface Address {
  readonly host: string
  readonly port: number
}

interface Reachable {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly address: Address
  /** Whether and how somebody without a grant asks from within the tool they are in; left out: as usual. */
  readonly ask?: "off" | AskFromTool
}

export interface AskFromTool {
  /** How long a tool waits for a decision. */
  readonly wait_ms: number
  /** PostgreSQL: a client that says no reason asks as well, where no reason is wanted. A program then waits instead of failing. */
  readonly unasked: boolean
}

export interface SshTarget extends Reachable {
  readonly protocol: "ssh"
  /** Accounts that may be asked for. */
  readonly logins: readonly string[]
  /** `certificate`: a short-lived one, which the approval service signs for each login. */
  readonly auth: { readonly key: Secret } | { readonly password: Secret } | { readonly certificate: true }
  /** What of its files may be done by SFTP. */
  readonly sftp: "all" | "read" | "off"
  readonly allow: SshAllowed
  /** What of its programs' streams is kept; where nothing is said, it is as everywhere. */
  readonly record: Partial<SshRecord> & Pick<SshRecord, "digests">
  /** Pinned public keys, OpenSSH one-line form. Never empty together with `hostCas`. */
  readonly hostKeys: readonly string[]
  /** Public keys whose host certificates for the address are taken. */
  readonly hostCas: readonly string[]
}

/** Of a program without a terminal. */
export interface SshRecord {
  /** How many bytes of each stream are kept as they were. */
  readonly stdin: number
  readonly stdout: number
  readonly stderr: number
  /** Whether what is not kept, and what passes through files by SFTP, has its SHA-256 on record. */
  readonly digests: boolean
}

/** What a grant for a target may be used for, beside SFTP; what is not here is refused. */
export interface SshAllowed {
  readonly shell: boolean
  readonly exec: boolean
  /** Where the target may be asked to connect to (`ssh -L`, `-D`, `-W`). */
  readonly local_forward: readonly DestinationPattern[]
  /** Where it may be asked to listen (`ssh -R`). */
  readonly remote_forward: readonly DestinationPattern[]
  /** Whether programs on it may use the client's SSH agent (`ssh -A`). */
  readonly agent: boolean
  /** Which environment variables may be set: names, or how they begin with a `*` behind. */
  readonly env: readonly string[]
}

/** Those that say how text and colours look. */
export const usual_env = ["LANG", "LANGUAGE", "LC_*", "TERM", "COLORTERM", "NO_COLOR", "CLICOLOR", "TZ"] as const

/** As libpq's sslmode, without the modes that fall back silently. */
export type PostgresTls = "disable" | "require" | "verify-full"

/** What a role's server may ask its password by; libpq's words in `require_auth`. Each takes the ones before it too. */
export const postgres_logins = ["scram-sha-256", "md5", "password"] as const
export type PostgresLogin = (typeof postgres_logins)[number]

/** What answers at an address: a server, or a pooler that lends its connections for a session, or for a transaction or less. */
export const postgres_poolers = ["none", "session", "transaction"] as const
export type PostgresPooler = (typeof postgres_poolers)[number]

export interface PostgresRole {
  readonly password: Secret | undefined
  readonly login: PostgresLogin
  /** PEM; shown in the TLS handshake. */
  readonly certificate: { readonly cert: string; readonly key: Secret } | undefined
  /** A role of its own is made for each session, a member of these; empty for one that is there already. */
  readonly member_of: readonly string[]
}

export interface PostgresTarget extends Reachable {
  readonly protocol: "postgres"
  /** The one that is meant when a client names none. */
  readonly database: string
  /** Others of the same server, as `target/database`. */
  readonly databases: readonly string[]
  /** Whether a pooler answers there, and how long it lends a connection; undefined: found out at each login. */
  readonly pooler: PostgresPooler | undefined
  readonly tls: PostgresTls
  /** PEM of the CA for `verify-full`; undefined: the system's. */
  readonly ca: string | undefined
  readonly roles: ReadonlyMap<string, PostgresRole>
  /** Who makes and drops the roles of sessions. */
  readonly creator: (PostgresRole & { readonly user: string }) | undefined
  /** What is taken out of statements and values before they are recorded. `values` undefined: no column is protected. */
  readonly redact: { readonly patterns: readonly Pattern[]; readonly values: ValueProtection | undefined }
  /** Startup parameters that are refused unless the target says so. */
  readonly startup: { readonly options: boolean; readonly replication: boolean }
}

export interface HttpTarget extends Reachable {
  readonly protocol: "http"
  readonly url: URL
  readonly ca: string | undefined
  /** Whether a path may hold `%2F`: an application that takes it for a slash reads another path than the rules, unless they forbid. */
  readonly escaped_slashes?: "pass"
}

/** Anything that speaks TCP: a connection is lent as it is, and what passes is not looked at. */
export interface TcpTarget extends Reachable {
  readonly protocol: "tcp"
}

export type Target = SshTarget | PostgresTarget | HttpTarget | TcpTarget
export type ProtocolName = Target["protocol"]

/** The logins or roles a target offers; empty where the protocol has none. */
export function accountsOf(target: Target): readonly string[] {
  switch (target.protocol) {
    case "ssh":
      return target.logins
    case "postgres":
      return [...target.roles.keys()]
    case "http":
    case "tcp":
      return []
  }
}
