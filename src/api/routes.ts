// Every route once. `who` is the credential it takes: a person's API token, the gateway's key, or none.
import type { z } from "zod"
import * as asking from "./asking_schema.ts"
import type * as holds from "./hold_schema.ts"
import type { ListedGrant, ListedSession } from "./listed.ts"
import * as schema from "./schema.ts"
import type { TargetCertificate, targetCertificateWanted } from "./target_certificate.ts"

export interface Route {
  readonly method: "GET" | "POST"
  readonly path: string
  readonly who: "person" | "gateway" | "anybody"
  readonly summary: string
}

export const routes = {
  whoami: { method: "GET", path: "/v1/whoami", who: "person", summary: "Who the token says I am" },
  logout: { method: "POST", path: "/v1/logout", who: "person", summary: "End the login behind this call, everywhere" },
  mint: { method: "POST", path: "/v1/tokens", who: "person", summary: "A token for targets, from one's login" },
  people: { method: "GET", path: "/v1/people", who: "person", summary: "Everybody there is, by name (administrators)" },
  disable: {
    method: "POST",
    path: "/v1/people/disable",
    who: "person",
    summary: "End somebody's logins, requests and grants, and let them in no more (administrators)",
  },
  enable: { method: "POST", path: "/v1/people/enable", who: "person", summary: "Let somebody in again (administrators)" },
  targets: { method: "GET", path: "/v1/targets", who: "person", summary: "The targets I may ask for" },
  requests: {
    method: "GET",
    path: "/v1/requests",
    who: "person",
    summary: "Requests: mine, and those I may decide about, newest first (?status=pending)",
  },
  ask: {
    method: "POST",
    path: "/v1/requests",
    who: "person",
    summary: "Ask for a target; the same question while one is pending answers that one",
  },
  request: {
    method: "GET",
    path: "/v1/requests/:id",
    who: "person",
    summary: "One request; ?wait_ms= waits until it is no longer pending",
  },
  approve: { method: "POST", path: "/v1/requests/:id/approve", who: "person", summary: "Approve, once a person; never one's own" },
  estimate: {
    method: "POST",
    path: "/v1/requests/:id/estimate",
    who: "person",
    summary: "Have the target's planner guess what a held SQL statement would do, for who may decide about it; it is not run",
  },
  deny: { method: "POST", path: "/v1/requests/:id/deny", who: "person", summary: "Deny, with a reason" },
  review: {
    method: "POST",
    path: "/v1/requests/:id/review",
    who: "person",
    summary: "Say what a break-glass was used for; never one's own",
  },
  audit: { method: "GET", path: "/v1/audit", who: "person", summary: "The audit log, newest first, for auditors and administrators" },
  withdraw: { method: "POST", path: "/v1/requests/:id/withdraw", who: "person", summary: "Take back one's own pending request" },
  grants: {
    method: "GET",
    path: "/v1/grants",
    who: "person",
    summary: "Grants: mine, and those I may revoke, newest first (?all=true: also those that are over)",
  },
  extend: {
    method: "POST",
    path: "/v1/grants/:id/extend",
    who: "person",
    summary: "Ask for a later end of one's own grant, under the rule that gave it; the same question while one is pending answers that one",
  },
  revoke: { method: "POST", path: "/v1/grants/:id/revoke", who: "person", summary: "End somebody's grant now" },
  drop: { method: "POST", path: "/v1/grants/:id/drop", who: "person", summary: "End one's own grant early" },
  sessions: {
    method: "GET",
    path: "/v1/sessions",
    who: "person",
    summary: "Sessions: mine, and those I may kill, newest first (?live=true)",
  },
  kill: { method: "POST", path: "/v1/sessions/:id/kill", who: "person", summary: "End one session now; the grant stays" },
  token: { method: "POST", path: "/v1/gateway/token", who: "gateway", summary: "A token for somebody the gateway has identified" },
  lookup: { method: "GET", path: "/v1/gateway/grants", who: "gateway", summary: "Grants of ?subject= on ?target=" },
  begin: { method: "POST", path: "/v1/gateway/grants/:id/begin", who: "gateway", summary: "Begin a grant that waits for its first use" },
  use: { method: "POST", path: "/v1/gateway/grants/:id/use", who: "gateway", summary: "Take one use of a grant that counts them" },
  certify: {
    method: "POST",
    path: "/v1/gateway/grants/:id/certificate",
    who: "gateway",
    summary: "A certificate of minutes for one login at the grant's target",
  },
  hold: { method: "POST", path: "/v1/gateway/holds", who: "gateway", summary: "Ask for an approval of an action that waits" },
  redeemHold: { method: "POST", path: "/v1/gateway/holds/:id/redeem", who: "gateway", summary: "Take the approval of an action, once" },
  estimated: { method: "POST", path: "/v1/gateway/holds/:id/estimate", who: "gateway", summary: "What the planner guessed" },
  withdrawHold: { method: "POST", path: "/v1/gateway/holds/:id/withdraw", who: "gateway", summary: "Nobody waits for it any more" },
  person: { method: "GET", path: "/v1/gateway/people", who: "gateway", summary: "Whether ?subject= may open something, and their groups" },
  login: { method: "GET", path: "/v1/gateway/logins", who: "gateway", summary: "Whether the login ?id= is still good" },
  offer: { method: "GET", path: "/v1/gateway/offer", who: "gateway", summary: "What ?subject= may ask for on ?target= from within a tool" },
  ask_here: {
    method: "POST",
    path: "/v1/gateway/requests",
    who: "gateway",
    summary: "Ask for somebody the gateway has identified, who waits in a tool; the same question while one is pending answers that one",
  },
  leave_here: {
    method: "POST",
    path: "/v1/gateway/requests/:id/leave",
    who: "gateway",
    summary: "Somebody waits no more: what was asked in a tool, and nobody has decided or waits for, is taken back",
  },
  link: { method: "POST", path: "/v1/gateway/link", who: "gateway", summary: "A link that signs somebody in to the pages, once" },
  redeem: {
    method: "POST",
    path: "/v1/gateway/redeem",
    who: "gateway",
    summary: "A target's token for a browser that came back with a code",
  },
  leave: { method: "POST", path: "/v1/gateway/leave", who: "gateway", summary: "End a login whose person said goodbye at a target" },
  report: { method: "POST", path: "/v1/gateway/sessions", who: "gateway", summary: "Sessions that started and ended" },
  presence: { method: "POST", path: "/v1/gateway/presence", who: "gateway", summary: "A gateway is there, or goes" },
  gateways: { method: "GET", path: "/v1/gateways", who: "person", summary: "The gateways there are (administrators and auditors)" },
  feed: {
    method: "GET",
    path: "/v1/gateway/feed",
    who: "gateway",
    summary: "NDJSON of every change after ?after= (left out: from now on), then as it happens",
  },
  certificates: {
    method: "POST",
    path: "/v1/certificates",
    who: "person",
    summary: "Short-lived certificates for my own keys: an SSH public key, a CSR, or both",
  },
  authorities: { method: "GET", path: "/v1/authorities", who: "anybody", summary: "The CAs whose certificates are good now" },
  rotate: {
    method: "POST",
    path: "/v1/authorities/:id/rotate",
    who: "person",
    summary:
      "An administrator's: a new CA or token key signs from now on; what the old one signed is good until its end, unless distrusted",
  },
  workload: {
    method: "POST",
    path: "/v1/workloads/token",
    who: "anybody",
    summary: "A CI job or a service logs in with the OpenID Connect token of its platform",
  },
  jwks: { method: "GET", path: "/.well-known/jwks.json", who: "anybody", summary: "The public keys that verify tokens" },
} as const satisfies Record<string, Route>

export type RouteName = keyof typeof routes

/** Of a list: at most `limit`, after the place that the answer before it gave as `next`. */
interface Rows<Place> {
  limit?: number
  before?: Place
}

/** What each route takes and answers. */
export interface Shapes {
  whoami: { answer: schema.Whoami }
  logout: { body: Record<string, never>; answer: Record<string, never> }
  mint: { body: z.input<typeof schema.mintWanted>; answer: schema.TokenAnswer }
  people: { query: Rows<string>; answer: { people: schema.PersonView[]; next: string | null } }
  disable: { body: z.input<typeof schema.aboutPerson>; answer: schema.PersonView }
  enable: { body: z.input<typeof schema.aboutPerson>; answer: schema.PersonView }
  targets: { answer: { targets: schema.AskableTarget[] } }
  requests: { query: { status?: "pending" | "unreviewed" } & Rows<number>; answer: { requests: schema.RequestView[]; next: number | null } }
  ask: { body: schema.NewRequest; answer: schema.RequestView }
  request: { id: number; query: { wait_ms?: number }; answer: schema.RequestView }
  approve: { id: number; body: z.input<typeof schema.reason>; answer: schema.RequestView }
  estimate: { id: number; body: Record<string, never>; answer: schema.RequestView }
  deny: { id: number; body: z.input<typeof schema.reason>; answer: schema.RequestView }
  review: { id: number; body: z.input<typeof schema.reason>; answer: schema.RequestView }
  audit: {
    query: { limit?: number; before?: number; since?: number; by?: string; kind?: string }
    answer: { events: schema.AuditEvent[] }
  }
  withdraw: { id: number; body: Record<string, never>; answer: schema.RequestView }
  grants: { query: { all?: boolean } & Rows<number>; answer: { grants: ListedGrant[]; next: number | null } }
  extend: { id: string; body: z.input<typeof schema.extension>; answer: schema.RequestView }
  revoke: { id: string; body: z.input<typeof schema.reason>; answer: schema.GrantView }
  drop: { id: string; body: Record<string, never>; answer: schema.GrantView }
  sessions: { query: { live?: boolean } & Rows<string>; answer: { sessions: ListedSession[]; next: string | null } }
  kill: { id: string; body: z.input<typeof schema.reason>; answer: schema.SessionView }
  token: { body: schema.TokenWanted; answer: schema.TokenAnswer }
  workload: { body: z.input<typeof schema.workloadToken>; answer: schema.WorkloadLogin }
  certificates: { body: schema.CertificatesWanted; answer: schema.Certificates }
  authorities: { answer: { authorities: schema.AuthorityView[] } }
  rotate: { id: string; body: schema.Rotation; answer: { authorities: schema.AuthorityView[] } }
  lookup: { query: { subject: string; target: string }; answer: schema.GrantsAnswer }
  begin: { id: string; body: z.input<typeof schema.beginning>; answer: schema.GrantView }
  use: { id: string; body: z.input<typeof schema.claim>; answer: schema.GrantView }
  certify: { id: string; body: z.input<typeof targetCertificateWanted>; answer: TargetCertificate }
  hold: { body: holds.HoldWanted; answer: holds.HoldStanding }
  redeemHold: { id: number; body: z.input<typeof holds.holdProof>; answer: holds.HoldStanding }
  estimated: { id: number; body: z.input<typeof holds.holdEstimate>; answer: Record<string, never> }
  withdrawHold: { id: number; body: z.input<typeof holds.holdProof>; answer: holds.HoldStanding }
  person: { query: { subject: string }; answer: schema.PersonStanding }
  login: { query: { id: string }; answer: schema.LoginStanding }
  offer: { query: { subject: string; target: string; as?: string }; answer: z.infer<typeof asking.offerAnswer> }
  ask_here: { body: z.input<typeof asking.askedHere>; answer: schema.RequestView }
  leave_here: { id: number; body: z.input<typeof asking.leftHere>; answer: schema.RequestView }
  link: { body: z.input<typeof schema.linkWanted>; answer: z.infer<typeof schema.link> }
  redeem: { body: z.input<typeof schema.redeemWanted>; answer: schema.TokenAnswer }
  leave: { body: z.input<typeof schema.leaveWanted>; answer: Record<string, never> }
  report: { body: schema.SessionReports; answer: Record<string, never> }
  presence: { body: schema.Presence; answer: schema.PresenceAnswer }
  gateways: { answer: schema.GatewaysAnswer }
}
