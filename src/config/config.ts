// What `sluice.yaml` says, after it was checked: defaults filled in, durations in milliseconds, secrets resolved and wrapped.
import type { ApprovalPlan } from "../core/approval_plan.ts"
import type { Pattern } from "../core/pattern.ts"
import type { Window } from "../core/schedule.ts"
import type { ActionRule } from "../core/action_rules.ts"
import type { ActionScope } from "../core/action_scope.ts"
import type { Secret } from "../core/secret.ts"
import type { Address, Target } from "../core/target.ts"
import type { TargetMatch } from "../core/target_match.ts"
import type { SshPublicKey } from "../identity/credential.ts"

export interface Config {
  /** The folder that holds keys, the embedded store and recordings. */
  readonly state: string
  readonly gateway: GatewayConfig
  readonly approvals: ApprovalsConfig
  readonly identity: IdentityConfig
  readonly targets: readonly Target[]
  readonly policy: Policy
  readonly recordings: RecordingsConfig
  /** Who is told of what happens. */
  readonly notify: readonly Channel[]
}

export interface GatewayConfig {
  /** The host name people connect to. */
  readonly name: string
  /** How a person reaches the gateway by ssh, for the lines that users are shown; "ssh gw.example.com" unless told. */
  readonly ask_with: string
  /** A listener that is left out of the file does not listen. */
  readonly ssh: { readonly listen: Address } | undefined
  /** `login`: how clients that do not say it show who they are. */
  readonly postgres: { readonly listen: Address; readonly login: "token" | "oauth" } | undefined
  readonly http: { readonly listen: Address; readonly domain: string } | undefined
  /** Left out: a local CA is made on first start. */
  readonly tls: { readonly cert: string; readonly key: Secret } | undefined
  /** `/healthz` and `/readyz` of the gateway. */
  readonly health: { readonly listen: Address } | undefined
  /** Processes that share the work. */
  readonly workers: "auto" | number
}

export interface ApprovalsConfig {
  readonly listen: Address
  /** Where a gateway and the command line reach the service. */
  readonly url: string
  /** Where people reach it; in the links they are shown. */
  readonly public_url: string
  readonly store: StoreConfig
  /** What all gateways show the service; undefined: each shows a key of its own. */
  readonly gateway_key: Secret | undefined
  /** The only ones there are; undefined: whoever has the shared key is a gateway, under any name. */
  readonly gateways: readonly NamedGateway[] | undefined
}

export interface NamedGateway {
  readonly name: string
  /** Ed25519; undefined: it shows the shared key. */
  readonly key: SshPublicKey | undefined
}

export interface IdentityConfig {
  readonly users: readonly User[]
  readonly ssh_cas: readonly SshCa[]
  /** Company login; undefined: people are those in `users` alone. */
  readonly oidc?: OidcConfig | undefined
  readonly workloads: readonly Workload[]
  /** The life of the certificates that people are given. */
  readonly certificate_ms: number
  /** Networks they are good from, in CIDR form; empty: from anywhere. */
  readonly certificate_from: readonly string[]
}

/** The OpenID Connect provider that people log in with; Sluice is its confidential client. */
export interface OidcConfig {
  readonly issuer: string
  readonly client_id: string
  readonly client_secret: Secret
  /** The claim with the groups of a person: a list of names, or one name. */
  readonly groups_claim: string
  /** The claim whose value at the first login becomes a person's name here, for good. */
  readonly name_claim: string
  readonly scopes: readonly string[]
  /** How long a login lasts; its end is absolute. */
  readonly login_for_ms: number
  /** PEM of the CA of the provider's TLS; undefined: the system's. */
  readonly ca: string | undefined
}

/** An SSH CA of the company's own: its user certificates say who somebody is. */
export interface SshCa {
  readonly key: SshPublicKey
  /** A principal `alice` is the user `alice@<domain>`; undefined: a principal is the user's whole name. */
  readonly domain: string | undefined
}

/** What a claim must be: exactly this, or a text with stars. */
export type ClaimValue = string | number | boolean

/** A machine that logs in with the OpenID Connect token of its platform. */
export interface Workload {
  readonly name: string
  readonly groups: readonly string[]
  /** Exactly as in the token. */
  readonly issuer: string
  readonly audience: string
  /** Every claim must be one of its values. */
  readonly match: Readonly<Record<string, readonly ClaimValue[]>>
  /** Where the issuer's keys are; undefined: its discovery document says so. */
  readonly jwks: string | undefined
  /** PEM of the CA of the issuer's TLS; undefined: the system's. */
  readonly ca: string | undefined
  /** How old a token may be. */
  readonly max_age_ms: number
  /** How long the login lasts that it is given for a token. */
  readonly login_ms: number
}

export type StoreConfig = { readonly kind: "sqlite"; readonly path: string } | PostgresStoreConfig

export interface PostgresStoreConfig {
  readonly kind: "postgres"
  /** For messages: no user and no password. */
  readonly name: string
  /** A host name, an address, or the folder of a Unix socket. */
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: Secret | undefined
  readonly database: string
  readonly tls: "disable" | "require" | "verify-full"
  /** PEM; undefined: the system's. */
  readonly ca: string | undefined
  /** Settings of the session, as libpq takes them: "-c search_path=sluice". */
  readonly options: string | undefined
}

export interface User {
  readonly name: string
  readonly groups: readonly string[]
  /** The provider's `sub` of this person: a company login with it is this user's. */
  readonly oidc_sub?: string | undefined
  readonly ssh_keys: readonly SshPublicKey[]
}

export interface Policy {
  readonly access: readonly AccessRule[]
  /** Within what a grant covers; none: it alone decides. */
  readonly actions: readonly ActionRule[]
  /** Groups or users who see everything and may revoke and kill; it does not make them approvers. */
  readonly admins: readonly string[]
  /** Groups or users who see everything, the audit log too, and change nothing. */
  readonly auditors: readonly string[]
}

/** The first rule whose `who` and `targets` match decides; no match: it cannot be asked for. */
export interface AccessRule {
  /** Groups or users. */
  readonly who: readonly string[]
  readonly targets: TargetMatch
  /** The logins or roles that may be asked for; undefined: all that the target offers. */
  readonly as: readonly string[] | undefined
  readonly max_ms: number
  readonly approve: Approve
  /** With `approve: auto`: how often one person gets something by it in 24 hours; undefined: as often as they ask. */
  readonly per_day?: number
  readonly reason_required: boolean
  /** Must be found in the reason. */
  readonly ticket?: Pattern
  /** When the rule is in force; left out: always. */
  readonly schedule?: readonly Window[]
  /** What must be so of a request for the rule to match. */
  readonly when?: { readonly for_ms?: number; readonly reason?: Pattern }
  /** How long a request waits for a decision. */
  readonly pending_ms: number
  /** The login behind a request. */
  readonly login?: FreshLogin
  /** The actions a grant may be for, as `core/action_scope.ts` writes them; null: all that the accounts may do. */
  readonly actions: ActionScope | null
  /** How long a grant may wait for its first use; 0: it begins when it is approved, or at the time that was asked for. */
  readonly first_use_ms_max: number
}

export type Approve = "auto" | PeopleApprove | BreakGlass

export interface PeopleApprove {
  readonly plan: ApprovalPlan
  /** After this long these may decide as well. */
  readonly escalate?: { readonly after_ms: number; readonly to: readonly string[] }
  /** The login behind an approval. */
  readonly login?: FreshLogin
}

/** Given at once to who asks for it by that name, and reviewed by somebody else within `within_ms`. */
export interface BreakGlass {
  readonly review: readonly string[]
  readonly within_ms: number
}

export interface FreshLogin {
  readonly max_age_ms?: number
  readonly acr?: readonly string[]
}

export interface RecordingsConfig {
  readonly dir: string
  /** What happens to a session whose recorder cannot write. */
  readonly on_failure: "cut" | "allow"
  /** Of each stdin, stdout and stderr of an exec, kept byte for byte; beyond it, size and SHA-256 alone. Terminals are always kept whole. */
  readonly stream_bytes_max: number
}

export type Channel = WebhookChannel | SlackChannel | EmailChannel

interface ChannelBase {
  /** How logs name it; unique. */
  readonly name: string
  /** Kinds of events, as "request.asked", or a family as "request.*". */
  readonly on: readonly string[]
}

export interface WebhookChannel extends ChannelBase {
  readonly way: "webhook"
  readonly url: URL
  readonly secret: Secret
}

export interface SlackChannel extends ChannelBase {
  readonly way: "slack"
  /** A URL: whoever has it can post. */
  readonly webhook: Secret
  /** Undefined: no buttons, for their answers could not be verified. */
  readonly signing_secret: Secret | undefined
  /** Slack user ids and the subjects they are; nobody is known by a display name. */
  readonly people: ReadonlyMap<string, string>
}

export interface EmailChannel extends ChannelBase {
  readonly way: "email"
  readonly smtp: SmtpServer
  /** PEM. */
  readonly ca: string | undefined
  readonly from: string
  /** "approvers", "requester" or addresses. */
  readonly to: readonly string[]
  /** Subjects and where they read mail. */
  readonly addresses: ReadonlyMap<string, string>
}

export interface SmtpServer extends Address {
  readonly tls: "implicit" | "starttls" | "starttls_if_offered"
  readonly login: { readonly user: string; readonly password: Secret } | undefined
}
