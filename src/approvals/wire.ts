// What each route takes and answers, as the schemas that check it. The OpenAPI page is made from the same ones.
import { z } from "zod"
import type { RouteName } from "../api/routes.ts"
import * as asking from "../api/asking_schema.ts"
import { feedLine } from "../api/feed_schema.ts"
import * as holds from "../api/hold_schema.ts"
import * as listed from "../api/listed.ts"
import * as schema from "../api/schema.ts"
import { targetCertificate, targetCertificateWanted } from "../api/target_certificate.ts"

export interface Wire {
  readonly params?: z.ZodType
  readonly query?: z.ZodType
  readonly body?: z.ZodType
  readonly answer: z.ZodType
}

const flag = z
  .enum(["true", "false"])
  .transform((text) => text === "true")
  .optional()
/** A whole number as it stands in a query: digits alone. */
const digits = z
  .string()
  .regex(/^\d{1,15}$/)
  .transform(Number)
const nothing = z.strictObject({})
const name = z.string().min(1).max(128)
/** Of a list: at most so many, after the place that the answer before it gave as `next`. */
const rows = digits.refine((count) => count > 0, "at least 1").optional()
const number = z
  .string()
  .regex(/^\d{1,15}$/)
  .pipe(schema.requestId as unknown as z.ZodType<z.output<typeof schema.requestId>, string>)
const aRequest = z.strictObject({ id: number })
const aGrant = z.strictObject({ id: schema.grantId })
const aSession = z.strictObject({ id: schema.sessionId })
const authorities = z.object({ authorities: z.array(schema.authority) })

export const wire = {
  whoami: { query: nothing, answer: schema.whoami },
  logout: { query: nothing, body: nothing, answer: nothing },
  mint: { query: nothing, body: schema.mintWanted, answer: schema.token },
  people: {
    query: z.strictObject({ limit: rows, before: name.optional() }),
    answer: z.object({ people: z.array(schema.person), next: name.nullable() }),
  },
  disable: { query: nothing, body: schema.aboutPerson, answer: schema.person },
  enable: { query: nothing, body: schema.aboutPerson, answer: schema.person },
  targets: { query: nothing, answer: z.object({ targets: z.array(schema.askable) }) },
  requests: {
    query: z.strictObject({ status: z.enum(["pending", "unreviewed"]).optional(), limit: rows, before: number.optional() }),
    answer: z.object({ requests: z.array(schema.request), next: schema.requestId.nullable() }),
  },
  ask: { query: nothing, body: schema.newRequest, answer: schema.request },
  request: { params: aRequest, query: z.strictObject({ wait_ms: digits.optional() }), answer: schema.request },
  approve: { params: aRequest, query: nothing, body: schema.reason, answer: schema.request },
  deny: { params: aRequest, query: nothing, body: schema.reason, answer: schema.request },
  review: { params: aRequest, query: nothing, body: schema.reason, answer: schema.request },
  audit: {
    query: z.strictObject({
      limit: digits.optional(),
      before: digits.optional(),
      since: digits.optional(),
      by: name.optional(),
      kind: z
        .string()
        .regex(/^[a-z_]{1,32}\.([a-z_]{1,32}|\*)$/)
        .optional(),
    }),
    answer: z.object({ events: z.array(schema.auditEvent) }),
  },
  estimate: { params: aRequest, query: nothing, body: nothing, answer: schema.request },
  withdraw: { params: aRequest, query: nothing, body: nothing, answer: schema.request },
  grants: {
    query: z.strictObject({ all: flag, limit: rows, before: number.optional() }),
    answer: z.object({ grants: z.array(listed.listedGrant), next: schema.requestId.nullable() }),
  },
  extend: { params: aGrant, query: nothing, body: schema.extension, answer: schema.request },
  revoke: { params: aGrant, query: nothing, body: schema.reason, answer: schema.grant },
  drop: { params: aGrant, query: nothing, body: nothing, answer: schema.grant },
  sessions: {
    query: z.strictObject({ live: flag, limit: rows, before: listed.sessionPlace.optional() }),
    answer: z.object({ sessions: z.array(listed.listedSession), next: z.string().nullable() }),
  },
  kill: { params: aSession, query: nothing, body: schema.reason, answer: schema.session },
  token: { query: nothing, body: schema.tokenWanted, answer: schema.token },
  certificates: { query: nothing, body: schema.certificatesWanted, answer: schema.certificates },
  authorities: { query: nothing, answer: authorities },
  rotate: { params: z.strictObject({ id: schema.authorityKind }), query: nothing, body: schema.rotation, answer: authorities },
  workload: { query: nothing, body: schema.workloadToken, answer: schema.workloadLogin },
  lookup: { query: z.strictObject({ subject: name, target: name }), answer: schema.grantsAnswer },
  begin: { params: aGrant, query: nothing, body: schema.beginning, answer: schema.grant },
  use: { params: aGrant, query: nothing, body: schema.claim, answer: schema.grant },
  certify: { params: aGrant, query: nothing, body: targetCertificateWanted, answer: targetCertificate },
  hold: { query: nothing, body: holds.holdWanted, answer: holds.holdStanding },
  redeemHold: { params: aRequest, query: nothing, body: holds.holdProof, answer: holds.holdStanding },
  estimated: { params: aRequest, query: nothing, body: holds.holdEstimate, answer: nothing },
  withdrawHold: { params: aRequest, query: nothing, body: holds.holdProof, answer: holds.holdStanding },
  person: { query: z.strictObject({ subject: name }), answer: schema.personStanding },
  login: { query: z.strictObject({ id: schema.loginId }), answer: schema.loginStanding },
  offer: { query: z.strictObject({ subject: name, target: name, as: name.optional() }), answer: asking.offerAnswer },
  ask_here: { query: nothing, body: asking.askedHere, answer: schema.request },
  leave_here: { params: aRequest, query: nothing, body: asking.leftHere, answer: schema.request },
  link: { query: nothing, body: schema.linkWanted, answer: schema.link },
  redeem: { query: nothing, body: schema.redeemWanted, answer: schema.token },
  leave: { query: nothing, body: schema.leaveWanted, answer: nothing },
  presence: { query: nothing, body: schema.presence, answer: schema.presenceAnswer },
  gateways: { query: nothing, answer: schema.gateways },
  report: { query: nothing, body: schema.sessionReports, answer: nothing },
  feed: { query: z.strictObject({ after: digits.optional(), history: name.optional() }), answer: feedLine },
  jwks: { query: nothing, answer: z.object({ keys: z.array(z.record(z.string(), z.unknown())) }) },
} as const satisfies Record<RouteName, Wire>

type Part<Name extends RouteName, Which extends keyof Wire> =
  (typeof wire)[Name] extends Record<Which, infer Schema extends z.ZodType> ? z.output<Schema> : undefined

/** What a handler gets: checked. */
export interface Input<Name extends RouteName> {
  readonly params: Part<Name, "params">
  readonly query: Part<Name, "query">
  readonly body: Part<Name, "body">
}
