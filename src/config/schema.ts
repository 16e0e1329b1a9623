// The shape of `sluice.yaml` as it is written: keys, kinds of values, defaults. `config/sluice.schema.json` is made from it, for
// editors. What the values mean, and whether they go together, is checked in the files named after the sections.
import { z } from "zod"
import { limits } from "../core/limits.ts"
import { actionRule } from "./action_rule_schema.ts"
import { ask_from_tool } from "./ask_schema.ts"
import { channel } from "./notification_schema.ts"
import { postgresTarget } from "./postgres_schema.ts"
import { size, sshTarget } from "./ssh_schema.ts"

const text = z.string().min(1)
/** Codes of `core/errors.ts` with which a rule refuses. */
const policy_refusals = ["not_askable", "too_long", "invalid", "login_needed"] as const
const several = z.union([text, z.array(text).min(1)])
const reference = text.describe("env:NAME, file:path or exec:command; a secret cannot be written here itself")
const address = text.describe("host:port")

const gateway = z.strictObject({
  name: text.describe("The host name people connect to"),
  ask_with: text
    .optional()
    .describe(
      'How a person reaches the gateway by ssh, for the lines people are shown; such as "ssh gw.example.com"; {user} stands for their name',
    ),
  ssh: z
    .strictObject({ listen: address.default("0.0.0.0:2222") })
    .optional()
    .describe("Where people's ssh connects, and `ssh gateway <verb>`; left out: it does not listen"),
  postgres: z
    .strictObject({
      listen: address.default("0.0.0.0:5432"),
      login: z
        .enum(["token", "oauth"])
        .default("token")
        .describe("What a client is asked for that does not say: a token as its password, or the login by OAuth that psql 18 has"),
    })
    .optional()
    .describe("Where PostgreSQL clients connect; left out: it does not listen"),
  http: z
    .strictObject({
      listen: address.default("0.0.0.0:8443"),
      domain: text.optional().describe("Targets are served as <target>.<domain>; the gateway's name unless told"),
    })
    .optional()
    .describe("Where browsers and HTTP clients connect, by TLS; left out: it does not listen"),
  tls: z
    .strictObject({ cert: text.describe("PEM, the chain with it: file:gw.crt"), key: reference })
    .optional()
    .describe("Left out: a local CA is made on first start"),
  health: z.strictObject({ listen: address }).optional().describe("/healthz and /readyz"),
  workers: z
    .union([z.literal("auto"), z.int().min(1).max(limits.workers_max)])
    .default("auto")
    .describe("Processes that share the ports and the work; auto: one a processor, four at most"),
})

const approvals = z.strictObject({
  listen: address.default("127.0.0.1:7070"),
  url: text.optional().describe("Where gateways and the command line reach the service; http:// and the listen address unless told"),
  public_url: text
    .optional()
    .describe("Where people reach it, in the links they are shown; the gateway's own name when it serves HTTP, unless told"),
  store: text
    .optional()
    .describe("sqlite:path, or postgres://user@host/database as a reference; sluice.db in the state folder unless told"),
  gateway_key: reference
    .optional()
    .describe("What every gateway shows the service; left out: each shows a key of its own, which it makes in its state folder"),
  gateways: z
    .array(
      z.strictObject({
        name: text.describe("Its gateway.name"),
        public_key: text
          .optional()
          .describe("Its own key, as `sluice gateway-key` prints it there; left out: it shows the gateway_key that all share"),
      }),
    )
    .min(1)
    .max(limits.gateways_max)
    .optional()
    .describe("The only gateways there are, each of which speaks under its own name alone; left out: whoever has the gateway_key is one"),
})

const user = z.strictObject({
  name: text.describe("Who it is in rules, lists and recordings: alice@example.com"),
  groups: z.array(text).default([]).describe("What rules name together: engineers, oncall"),
  ssh_keys: z.array(text).default([]).describe("One OpenSSH public key each, as in a .pub file"),
  oidc_sub: text.optional().describe("The provider's `sub` of this person: a company login with it is this user's"),
})

const oidc = z.strictObject({
  issuer: text.describe("The provider's issuer, exactly as its discovery document says it: https://login.example.com"),
  client_id: text.describe("What the provider calls Sluice"),
  client_secret: reference,
  groups_claim: text.default("groups").describe("The ID token's claim with a person's groups"),
  name_claim: text
    .default("email")
    .describe("The claim whose value at the first login becomes a person's name for good: email, preferred_username, …"),
  scopes: z
    .array(text)
    .default(["openid", "profile", "email"])
    .describe("What is asked of the provider; some give groups only for a scope `groups`"),
  login_for: text.default("12h").describe("How long a login lasts: 8h, 12h, 1d"),
  ca: text.optional().describe("PEM of the CA of the provider's TLS; the system's unless told"),
})

const sshCa = z.strictObject({
  key: text.describe("The CA's public key, as in a .pub file"),
  principal: z.literal("name").default("name").describe("What a certificate's principal is: the name of a user"),
  domain: text.optional().describe("What follows a principal in the name: alice is alice@<domain>"),
})
const ssh_cas = z.array(sshCa).default([]).describe("SSH CAs whose user certificates say who somebody is")

const claim = z.union([text, z.number(), z.boolean()])
const workload = z.strictObject({
  name: text.describe("What it is called here, such as ci:acme/shop"),
  groups: z.array(text).default([]).describe("Groups of machines; people are in others"),
  issuer: text.describe("The token's iss, letter for letter"),
  audience: text.describe("The token's aud, letter for letter"),
  match: z
    .record(z.string(), z.union([claim, z.array(claim).min(1)]))
    .describe("Claims that the token must have: a value, or one of several; a star in a text is any printable characters"),
  jwks: text.optional().describe("Where the issuer's keys are; its discovery document says so unless told"),
  ca: text.optional().describe("PEM of the CA of the issuer's TLS; the system's unless told"),
  max_age: text.default("1h").describe("How old a token may be"),
  login_for: text.default("1h").describe("How long the login lasts that it is given for a token"),
})

const certificates = {
  certificate_for: text.default("12h").describe("How long the certificates of a login are good at most"),
  certificate_from: z.array(text).default([]).describe("Networks they are good from, such as 10.0.0.0/8; from anywhere unless told"),
}

const target = z.strictObject({
  name: text.describe("Lower case letters, digits and -: it becomes part of a host name"),
  labels: z.record(z.string(), z.string()).default({}).describe("By which rules take several targets together: { env: prod }"),
  ask: ask_from_tool.optional(),
  ssh: sshTarget.optional().describe("A host that is reached by ssh: docs/ssh.md"),
  postgres: postgresTarget.optional().describe("A PostgreSQL server: docs/postgres.md"),
  http: z
    .strictObject({
      url: text.describe("http:// or https://, the host and the port"),
      ca: text.optional().describe("PEM of the CA for https; the system's unless told"),
      escaped_slashes: z
        .enum(["refuse", "pass"])
        .default("refuse")
        .describe("What becomes of %2F in a path, which GitLab and RabbitMQ need and others take for a slash"),
    })
    .optional()
    .describe("A web application, served as <name>.<domain> by gateway.http"),
  tcp: z
    .strictObject({ address })
    .optional()
    .describe("Anything else that speaks TCP: ssh -N -L 6379:<name>:6379 <gateway>; what passes is not on record, only that it did"),
})

const fresh_login = z
  .strictObject({
    max_age: text.optional().describe("How long ago it may have been at most: 10m"),
    acr: several.optional().describe("The login's authentication context (OpenID Connect's acr) must be one of these"),
  })
  .describe("A fresh company login is needed")
const one_unless_told = z.int().min(1).default(1).describe("How many different people")
const step = z.strictObject({ by: several.describe("Groups or users"), count: one_unless_told })
const approve = z.strictObject({
  by: several.optional().describe("Groups or users who may approve"),
  count: z.int().min(1).optional().describe("How many different people; one unless told"),
  steps: z.array(step).min(1).max(limits.approval_steps_max).optional().describe("In place of by and count: several kinds of people"),
  order: z.enum(["sequence", "any"]).optional().describe("Of the steps: one after the other (unless told), or at once"),
  escalate: z
    .strictObject({
      after: text.describe("How long nobody has decided: 15m"),
      to: several.describe("Groups or users"),
    })
    .optional()
    .describe("From then on these may decide as well"),
  login: fresh_login.optional(),
  break_glass: z
    .strictObject({ review: several.describe("Who looks at it afterwards"), within: text.default("24h").describe("How soon") })
    .optional()
    .describe("At once, when asked for with --break-glass; everybody concerned is told, and somebody else must review it"),
})
const window = z.strictObject({
  days: several.default(["mon-sun"]).describe("mon, or mon-fri; a window over midnight belongs to the day it begins on"),
  hours: text.default("00:00-24:00").describe("09:00-17:00, or 22:00-06:00 over midnight"),
  zone: text.default("UTC").describe("A time zone, such as Europe/Berlin"),
})

const accessRule = z.strictObject({
  who: several.describe("Groups or users"),
  targets: z
    .union([text, z.array(text).min(1), z.record(z.string(), z.string())])
    .describe("A target, a list of them, or labels that must all match"),
  as: several.optional().describe("The logins or roles that may be asked for; all that the target offers unless told"),
  max: text.describe("The longest that may be asked for: 15m, 4h, 1h30m, 2d"),
  approve: z
    .union([z.literal("auto"), approve])
    .describe("auto, or by how many distinct people of which groups; nobody approves their own request"),
  per_day: z
    .int()
    .min(1)
    .max(limits.live_grants_per_subject_max)
    .optional()
    .describe("With approve: auto: how often each person gets it in 24 hours"),
  reason: z.enum(["required", "optional"]).default("optional").describe("Whether a request must say why"),
  ticket: text.optional().describe("A regular expression (RE2) that must be found in the reason: 'INC-[0-9]+'"),
  schedule: z
    .union([window, z.array(window).min(1).max(limits.schedule_windows_max)])
    .optional()
    .describe("When the rule is in force; outside it the next rule decides. A grant runs its own time"),
  when: z
    .strictObject({
      for: text.optional().describe("The rule is only about requests for at most this long"),
      reason: text.optional().describe("... whose reason holds this regular expression (RE2)"),
    })
    .optional()
    .describe("What must be so for the rule to match; if it is not, the next rule decides"),
  pending: text.default("24h").describe("How long a request waits for a decision"),
  login: fresh_login.optional(),
  actions: several.optional().describe("The only actions a grant covers, as `sluice request --help` describes them; all unless told"),
  methods: several.optional().describe("HTTP targets: the only methods a grant covers, such as [GET, HEAD]; all unless told"),
  first_use: text
    .optional()
    .describe("The longest that a grant may wait for its first use, or deny: it begins when it is approved; 24h, or deny with a schedule"),
})

const policyCase = z.strictObject({
  name: text.describe("What should be so, in words"),
  who: text.describe("Who asks: a user of the config, or with groups anybody"),
  groups: z.array(text).optional().describe("Whose groups these are; those of the config unless told"),
  target: text,
  as: several.optional(),
  for: text.default("1h").describe("How long"),
  reason: z.string().default(""),
  action: text
    .optional()
    .describe(
      "Instead of access, to try the rules for actions with: an SQL text, a command, METHOD /path; shell, sftp write /path, forward host:port",
    ),
  actions: several.optional(),
  at: text.optional().describe('When: 2026-01-15T14:00Z or "2026-01-15T14:00 Europe/Berlin"; now unless told'),
  start: text.optional().describe("The later start that is asked for, as `at` is written"),
  break_glass: z.boolean().default(false),
  login: z
    .strictObject({ age: text.default("0s"), acr: text.optional() })
    .optional()
    .describe("The company login behind it; none unless told"),
  expect: z.strictObject({
    refused: z.enum(policy_refusals).optional().describe("Why it cannot be asked for, by the error's code"),
    rule: z.int().min(0).optional().describe("Which rule of policy.access, from 0"),
    approve: z.enum(["auto", "people", "break_glass"]).optional(),
    by: z.array(text).optional().describe("Everybody whom the steps name, in any order"),
    count: z.int().min(0).optional().describe("How many people must approve"),
    as: z.array(text).optional().describe("The accounts a grant covers"),
    action: z.enum(["allow", "flag", "hold", "deny"]).optional().describe("What the rules say to it"),
    action_rule: z.int().min(0).optional().describe("Which rule of policy.actions, from 0"),
  }),
})

const recordings = z.strictObject({
  store: text.optional().describe("dir:path; recordings in the state folder unless told"),
  on_failure: z.enum(["cut", "allow"]).default("cut").describe("What happens to a session that can no longer be recorded"),
  stream_bytes_max: size
    .default("16MiB")
    .describe("Of each stream of an exec, kept byte for byte; beyond it the size and SHA-256 alone. A target's ssh.record says otherwise"),
})

const state = text.default("data").describe("The folder for keys, the embedded store and recordings, beside this file")
const auditors = several.optional().describe("Groups or users who see everything, the audit log too, and change nothing")
const admins = several.optional().describe("Groups or users who see everything and may revoke and kill; it does not make them approvers")

export const configFile = z.strictObject({
  state,
  gateway: gateway.describe("What people connect to, and what connects to the targets"),
  approvals: approvals.prefault({}).describe("The service that knows requests, grants and who may what: its API and its pages"),
  identity: z
    .strictObject({
      users: z.array(user).default([]).describe("People, with their SSH keys and groups"),
      oidc: oidc.optional().describe("The company's OpenID Connect provider, where people log in"),
      workloads: z.array(workload).default([]).describe("CI jobs and services, by the OpenID Connect token of their platform"),
      ssh_cas,
      ...certificates,
    })
    .describe("Who there is, and how they prove it"),
  targets: z.array(target).default([]).describe("What can be reached: each has a name and one of ssh, postgres, http, tcp"),
  policy: z
    .strictObject({
      access: z.array(accessRule).default([]).describe("The first rule that matches decides; no match: it cannot be asked for"),
      actions: z
        .array(actionRule)
        .max(limits.action_rules_max)
        .default([])
        .describe("For single actions: the first that matches decides; no match: allowed as far as the grant goes"),
      admins,
      auditors,
    })
    .prefault({})
    .describe("Who may what"),
  recordings: recordings.prefault({}).describe("What becomes of what is put on record: docs/recordings.md"),
  notify: z.array(channel).default([]).describe("Who is told of what happens"),
})

// The file is checked part by part, so that a fault in one does not hide those in the next: these are the parts, and the frames
// that hold them.
const anything = z.unknown().optional()
const list = z.array(z.unknown())
export const part = {
  top: z.strictObject({
    state,
    gateway: anything,
    approvals: anything,
    identity: anything,
    targets: anything,
    policy: anything,
    recordings: anything,
    notify: anything,
  }),
  gateway,
  approvals: configFile.shape.approvals,
  identity: z.strictObject({
    users: list.default([]),
    oidc: anything,
    workloads: list.default([]),
    ssh_cas: list.default([]),
    ...certificates,
  }),
  oidc,
  user,
  ssh_ca: sshCa,
  workload,
  targets: list.default([]),
  target,
  policy: z
    .strictObject({ access: list.default([]), actions: list.max(limits.action_rules_max).default([]), admins, auditors })
    .prefault({}),
  rule: accessRule,
  action_rule: actionRule,
  policyCases: z.strictObject({ tests: list.min(1) }),
  policyCase,
  recordings: configFile.shape.recordings,
}

export type GatewayFile = z.output<typeof gateway>
export type ApprovalsFile = z.output<typeof approvals>
export type TargetFile = z.output<typeof target>
export type WorkloadFile = z.output<typeof workload>
export type PolicyCaseFile = z.output<typeof policyCase>
export type RuleFile = z.output<typeof accessRule>

// What the design has and this version does not.
const later: Readonly<Record<string, string>> = {
  "recordings.keep": "removing old recordings is not supported yet",
}

/** What to say about a key, or a value, that will be there one day: refused by its own name, so that nobody believes it works. */
export function laterWords(path: readonly (string | number)[], value: unknown): string | undefined {
  const name = path.filter((step) => typeof step === "string").join(".")
  return later[name] ?? (typeof value === "string" ? later[`${name}=${value}`] : undefined)
}

/** The JSON Schema of the file, for editors. */
export function jsonSchema(): Record<string, unknown> {
  return { ...z.toJSONSchema(configFile, { io: "input" }), title: "sluice.yaml" }
}
