// The approval service's HTTP API as values: what is sent, what is answered. The service checks with these, the OpenAPI page
// is made from them, and the clients are typed by them. Times are milliseconds since the Unix epoch.
import { z } from "zod"
import { limits } from "../core/limits.ts"
import { estimate, heldAction } from "./hold_schema.ts"
import { grantId, instanceId, loginId, millis, name, requestId, sessionId } from "./id_schema.ts"

export { grantId, instanceId, loginId, requestId, sessionId } from "./id_schema.ts"

/** Words people write: no control characters (they could forge what an approver reads), bounded. Bidi controls count as control characters. */
export const words = z
  .string()
  .trim()
  .max(limits.reason_chars_max)
  .regex(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*$/u, "control characters are not allowed")

export const grant = z
  .object({
    id: grantId,
    request: requestId,
    subject: name,
    target: name,
    as: z.array(name).nullable(),
    starts_at: millis,
    ends_at: millis,
    status: z.enum(["active", "revoked", "dropped", "spent"]),
    revision: z.int(),
    // Left out by a service of an earlier version, and in the feed's events of its time.
    /** Begins at its first use and lasts this long from then; until that, `ends_at` is the deadline for it. Null: it has begun, or begins by itself. */
    first_use_ms: z.int().positive().nullable().default(null),
    /** The actions it covers, in canonical form; null: all that its accounts may do. */
    actions: z.array(z.string()).nullable().default(null),
    /** How many actions it covered at first, and how many more it covers now; null: any number. */
    uses_max: z.int().positive().nullable().default(null),
    uses_left: z.int().nonnegative().nullable().default(null),
    /** Who ended it early, and why. */
    ended_by: name.nullable(),
    ended_reason: z.string().nullable(),
    ended_at: millis.nullable(),
  })
  .meta({ id: "Grant" })

export const decision = z
  .object({ by: name, verdict: z.enum(["approve", "deny"]), reason: z.string(), at: millis })
  .meta({ id: "Decision" })

export const request = z
  .object({
    id: requestId,
    subject: name,
    groups: z.array(name),
    target: name,
    as: z.array(name).nullable(),
    duration_ms: z.int(),
    starts_at: millis.nullable(),
    reason: z.string(),
    created_at: millis,
    status: z.enum(["pending", "approved", "denied", "withdrawn", "lapsed"]),
    /** The rule that decides about it, as "policy.access[0]". */
    rule: z.string(),
    /** How many distinct people must approve; 0: a rule did. */
    approvals_needed: z.int(),
    /** Of which groups or people, and who of them has. */
    steps: z.array(z.object({ by: z.array(name), count: z.int(), approved_by: z.array(name) })),
    /** Whether a step waits for those before it. */
    order: z.enum(["any", "sequence"]),
    /** When it is left so long that more people may decide, and who; null: that has happened, or will not. */
    escalates: z.object({ at: millis, to: z.array(name) }).nullable(),
    /** Access that was given at once, for who asked by that name: who must look at it until when, and who has. */
    break_glass: z
      .object({
        review_by: z.array(name),
        due_at: millis,
        reviewed: z.object({ by: name, at: millis, note: z.string() }).nullable(),
      })
      .nullable(),
    decisions: z.array(decision),
    /** What it made, or what it extends. */
    grant: grant.nullable(),
    /** The actions it asks for, in canonical form; null: all that the accounts may do. */
    actions: z.array(z.string()).nullable(),
    /** How many actions; null: any number. */
    uses: z.int().nullable(),
    /** The grant begins at its first use, which must come within this long of when it could; null: it begins by itself. */
    first_use_within_ms: z.int().nullable(),
    /** The grant that is to end at `extends_to` instead; both null: it asks for a new one. */
    extends_grant: grantId.nullable(),
    extends_to: millis.nullable(),
    /** An action that is held until this is decided: it then runs once, and there is no grant for it; null: access is asked for. */
    action: heldAction.nullable(),
    /** When a held action's approval was used; null: it was not. */
    run_at: millis.nullable(),
    /** Of a held SQL statement: what its planner guessed when somebody asked for that; null: nobody did, or there is no answer yet. */
    estimate: estimate.nullable(),
    /** Whether the one who asks may decide about it. */
    may_decide: z.boolean(),
    may_review: z.boolean(),
  })
  .meta({ id: "Request" })

export const session = z
  .object({
    id: sessionId,
    gateway: name,
    protocol: z.enum(["ssh", "postgres", "http", "tcp"]),
    subject: name,
    target: name,
    as: name.nullable(),
    grant: grantId,
    client: z.string(),
    started_at: millis,
    ended_at: millis.nullable(),
    /** An error code of the table, "closed", "interrupted" (its gateway was started anew) or "gateway_lost" (it is not heard any more). */
    ended_why: z.string().nullable(),
  })
  .meta({ id: "Session" })

export const errorBody = z.object({ code: z.string(), message: z.string() }).meta({ id: "Error" })

export const newRequest = z.strictObject({
  target: name,
  as: z.array(name).min(1).max(32).optional(),
  duration_ms: z.int().min(limits.grant_ms_min).max(limits.grant_ms_max),
  reason: words.default(""),
  /** A later start; the end is `starts_at + duration_ms`. Left out: the moment of the decision. */
  starts_at: millis.optional(),
  /** Only these actions, as `core/action_scope.ts` describes them. Left out: all that the accounts may do. */
  actions: z.array(z.string().min(1).max(limits.scope_action_chars_max)).min(1).max(limits.scope_actions_max).optional(),
  /** Only so many actions. */
  uses: z.int().min(1).max(limits.grant_uses_max).optional(),
  /** It begins at its first use and lasts `duration_ms` from then; not used within this long of when it could be, it is over. */
  first_use_within_ms: z.int().min(limits.grant_ms_min).max(limits.first_use_within_ms_max).optional(),
  /** At once, under a rule for that; somebody else reviews it afterwards. */
  break_glass: z.boolean().optional(),
})
/** One line of the audit log. */
export const auditEvent = z
  .object({
    sequence: z.int(),
    at: millis,
    kind: z.string(),
    actor: z.enum(["person", "policy", "gateway"]),
    by: z.string(),
    /** The network address it came from. */
    from: z.string().nullable(),
    reason: z.string(),
    rule: z.string().nullable(),
    request: requestId.nullable(),
    grant: grantId.nullable(),
    session: sessionId.nullable(),
    detail: z.unknown(),
  })
  .meta({ id: "AuditEvent" })
/** The end moves later by `duration_ms`, from where it is when this is asked. */
export const extension = z.strictObject({ duration_ms: newRequest.shape.duration_ms, reason: words.default("") })
export const reason = z.strictObject({ reason: words.default("") })
export const askable = z
  .object({
    name,
    protocol: z.enum(["ssh", "postgres", "http", "tcp"]),
    labels: z.record(z.string(), z.string()),
    accounts: z.array(name),
    max_ms: z.int(),
    /** Who decides; "break_glass": it is only given at once, when asked for by that name. */
    approve: z.enum(["auto", "people", "break_glass"]),
    /** Whether it can be asked for at once, by that name. */
    break_glass: z.boolean(),
    reason_required: z.boolean(),
    /** The only actions that may be asked for; null: all that the accounts may do. */
    actions: z.array(z.string()).nullable(),
    /** The longest that a grant may wait for its first use; 0: it begins by itself. */
    first_use_ms_max: z.int(),
  })
  .meta({ id: "AskableTarget" })
/** Whether somebody may open something now, and their groups. */
export const personStanding = z.object({ subject: name, groups: z.array(name), disabled: z.boolean(), revision: z.int() })
/** `ended`: by its person, by an administrator, or because its person is not there any more. */
export const loginStanding = z.object({ id: loginId, subject: name, expires_at: millis, ended: z.boolean(), revision: z.int() })
/** How somebody logged in; `auth_time`: when they last proved who they are, where that is known. */
export const loginView = z.object({
  id: loginId,
  kind: z.enum(["web", "cli", "device"]),
  via: z.string(),
  auth_time: millis.nullable(),
  expires_at: millis,
})
/** `login`: null when the token came from an SSH key. */
export const whoami = z
  .object({ subject: name, groups: z.array(name), admin: z.boolean(), auditor: z.boolean(), login: loginView.nullable() })
  .meta({ id: "Identity" })
export const person = z
  .object({
    name,
    groups: z.array(name),
    /** "config": in the file; "company": by company login; "both". */
    known_from: z.enum(["config", "company", "both"]),
    email: z.string().nullable(),
    /** Of the last company login. */
    seen_at: millis.nullable(),
    disabled: z.object({ by: name, at: millis, reason: z.string() }).nullable(),
  })
  .meta({ id: "Person" })
export const aboutPerson = z.strictObject({ subject: name, reason: words.default("") })
/** A token for `target` alone; left out: for each target there is a grant for. */
export const mintWanted = z.strictObject({ target: name.optional() })

// Certificates as credentials.
export const authorityKind = z.enum(["ssh-user", "client", "ssh-target", "token"])
export const authority = z
  .object({
    id: z.string(),
    kind: authorityKind,
    /** "ssh-user", "ssh-target": an OpenSSH public key line. "client": a certificate in PEM. "token": what signs tokens, a JWK. */
    public: z.string(),
    not_before: millis,
    /** Trusted until then; null: it signs now. */
    not_after: millis.nullable(),
    status: z.enum(["signing", "retired"]),
  })
  .meta({ id: "Authority" })
export const certificatesWanted = z.strictObject({
  /** One line as in a .pub file. */
  ssh_public_key: z.string().min(1).max(limits.certificate_request_chars_max).optional(),
  /** PKCS#10, in PEM. */
  csr: z.string().min(1).max(limits.certificate_request_chars_max).optional(),
})
export const certificates = z
  .object({
    subject: name,
    expires_at: millis,
    /** As in a -cert.pub file; null: none was asked for. */
    ssh_certificate: z.string().nullable(),
    /** PEM; null: none was asked for. */
    certificate: z.string().nullable(),
  })
  .meta({ id: "Certificates" })
export const rotation = z.strictObject({
  reason: words.default(""),
  /** What the old ones signed is good no longer. */
  distrust: z.boolean().default(false),
})

// Workloads.
export const workloadToken = z.strictObject({ token: z.string().min(1).max(limits.workload_token_chars_max) })
export const workloadLogin = z
  .object({
    /** For this API. */
    token: z.string(),
    expires_at: millis,
    /** Who the workload is here. */
    subject: name,
    /** The end of its login: no token lasts longer. */
    login_expires_at: millis,
  })
  .meta({ id: "WorkloadLogin" })

// Between a gateway and the service.
export const tokenWanted = z.strictObject({
  subject: name,
  /** "api": this API as that person. "targets": any target. "target": that one alone. */
  use: z.enum(["api", "targets", "target"]),
  target: name.optional(),
  via: z.string().max(200),
  /** The login that the proof came from: the token ends with it. */
  login: loginId.optional(),
})
export const linkWanted = z.strictObject({ subject: name, via: z.string().max(200) })
export const link = z.object({ url: z.string(), expires_at: millis })
export const redeemWanted = z.strictObject({ code: z.string().max(128), host: z.string().max(300), state: z.string().max(128) })
export const leaveWanted = z.strictObject({ login: loginId })
export const token = z.object({ token: z.string(), expires_at: millis })
/** The grants of one subject on one target that are not over, as of feed sequence `sequence`. */
export const grantsAnswer = z.object({ sequence: z.int(), grants: z.array(grant) })
export const sessionReport = z.discriminatedUnion("event", [
  z.strictObject({ event: z.literal("started"), session: session.omit({ ended_at: true, ended_why: true }) }),
  z.strictObject({ event: z.literal("ended"), id: sessionId, ended_at: millis, ended_why: z.string() }),
  // A rule says that such actions are to be looked at. `id`: the session of the first; `actions`: the first few, shortened.
  z.strictObject({
    event: z.literal("flagged"),
    id: sessionId,
    rule: name,
    count: z.int().min(1),
    actions: z.array(z.string().max(limits.hold_recent_chars_max + 1)).max(limits.flagged_told_max),
    since: millis,
  }),
])
export const beginning = z.strictObject({ gateway: name })
export const claim = z.strictObject({
  gateway: name,
  session: sessionId,
  /** The action's digest, where it has one. */
  action: z
    .string()
    .regex(/^sha256:[0-9a-f]{64}$/)
    .optional(),
})
/** `live`: after a gateway started, and when the service wants to know: sessions of it that are not listed are marked "interrupted". */
export const sessionReports = z.strictObject({
  gateway: name,
  live: z.array(sessionId).optional(),
  /** With `live`: of how many processes the gateway consists now. Sessions of its others, from an earlier run, are over as well. */
  workers: z.int().min(1).optional(),
  reports: z.array(sessionReport).max(1_000),
})

/** A process of a gateway says that it is there. */
export const presence = z.strictObject({
  gateway: name,
  instance: instanceId,
  version: z.string().max(64),
  started_at: millis,
  /** Addresses, by protocol. */
  listening: z.record(z.string().max(32), z.string().max(300)),
  /** Of how many processes its gateway consists now; the first one says so. */
  workers: z.int().min(1).optional(),
  /** It goes, and holds nothing any more. */
  leaving: z.boolean().optional(),
})
export const presenceAnswer = z.object({
  /** Which service answers, and its time. */
  service: z.string(),
  at: millis,
  /** The service does not know what it holds: it shall report its sessions anew. */
  announce: z.boolean(),
  /** Another gateway that was started later has its name. */
  superseded: z.boolean(),
})
export const gateways = z.object({
  /** Of the service that answers. */
  version: z.string(),
  gateways: z.array(
    z
      .object({
        name,
        instance: instanceId,
        version: z.string(),
        /** It differs from the service's. */
        other_version: z.boolean(),
        started_at: millis,
        listening: z.record(z.string(), z.string()),
        /** The service that hears it. */
        service: z.string(),
        from: z.string(),
        seen_at: millis,
        /** "silent": a few words did not come; "lost": its sessions were given up. */
        status: z.enum(["live", "silent", "lost"]),
        lost_at: millis.nullable(),
        /** That are not over. */
        sessions: z.int(),
      })
      .meta({ id: "Gateway" }),
  ),
})

export type GrantView = z.infer<typeof grant>
export type AuditEvent = z.infer<typeof auditEvent>
export type RequestView = z.infer<typeof request>
export type SessionView = z.infer<typeof session>
export type NewRequest = z.input<typeof newRequest>
export type AskableTarget = z.infer<typeof askable>
export type PersonStanding = z.infer<typeof personStanding>
export type LoginStanding = z.infer<typeof loginStanding>
export type PersonView = z.infer<typeof person>
export type Whoami = z.infer<typeof whoami>
export type AuthorityKind = z.infer<typeof authorityKind>
export type AuthorityView = z.infer<typeof authority>
export type CertificatesWanted = z.input<typeof certificatesWanted>
export type Certificates = z.infer<typeof certificates>
export type WorkloadLogin = z.infer<typeof workloadLogin>
export type Rotation = z.input<typeof rotation>
export type TokenWanted = z.infer<typeof tokenWanted>
export type TokenAnswer = z.infer<typeof token>
export type GrantsAnswer = z.infer<typeof grantsAnswer>
export type SessionReport = z.infer<typeof sessionReport>
export type SessionReports = z.infer<typeof sessionReports>
export type Presence = z.input<typeof presence>
export type PresenceAnswer = z.infer<typeof presenceAnswer>
export type GatewaysAnswer = z.infer<typeof gateways>
export type GatewayView = GatewaysAnswer["gateways"][number]
export type ErrorBody = z.infer<typeof errorBody>
