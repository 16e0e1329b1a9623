// The one table of errors. `say` is all that a client is ever told: constant words and a few checked facts. What went wrong
// inside (`cause`) goes to the log. Hostile input is a GatewayError; our own mistake is an `assert`.
import type { Millis } from "./clock.ts"
import type { GrantId, SessionId } from "./ids.ts"

/** What a protocol needs to know to answer in its own terms; each protocol's `refusal.ts` is exhaustive over these. */
export type ErrorKind =
  | "identity" // we do not know who this is
  | "access" // known, and not allowed
  | "ended" // it was allowed; it is over
  | "unavailable" // not now; trying again later may work
  | "upstream" // the target's side failed
  | "protocol" // the client broke its own protocol
  | "unsupported" // understood, and not offered
  | "input" // a request to the API that cannot be meant so
  | "conflict" // the state has moved on
  | "missing" // no such thing, or not yours to see

/** What `say` may mention. Everything here is either ours or was already checked against a safe alphabet. */
export interface Facts {
  readonly target?: string
  readonly session?: SessionId
  readonly grant?: GrantId
  readonly at?: Millis
  /** The line that would ask for access. */
  readonly ask?: string
  /** What is not supported or not valid, in our words. */
  readonly what?: string
  /** What a sign-in must be asked for, as the query of its page; it is in no words. */
  readonly prove?: { readonly max_age?: string; readonly acr?: string }
}

interface Row {
  readonly kind: ErrorKind
  say(facts: Facts): string
}

const clockTime = (at: Millis | undefined): string => (at === undefined ? "" : ` at ${new Date(at).toISOString().slice(11, 19)} UTC`)
const ended = (why: string) => (facts: Facts) =>
  `your access to ${facts.target ?? "the target"} ended${clockTime(facts.at)} (grant ${facts.grant ?? "unknown"}, ${why}).${facts.ask ? ` Ask again: ${facts.ask}` : ""}`
const constant = (words: string) => () => words

const table = {
  // who
  unauthenticated: { kind: "identity", say: constant("authentication failed") },
  login_over: { kind: "identity", say: constant("your login has ended; log in again") },
  login_failed: { kind: "identity", say: (facts) => facts.what ?? "this login cannot be accepted; start again" },
  provider_away: { kind: "unavailable", say: constant("company login does not answer right now; try again in a moment") },
  too_many_keys: {
    kind: "identity",
    say: constant("your ssh tried too many keys; name the right one: ssh -o IdentitiesOnly=yes -i <file> ..."),
  },
  certificate_refused: {
    kind: "identity",
    say: constant("the certificate is not one that is taken here, or it has ended. Get a new one: sluice login"),
  },
  // may they
  no_grant: {
    kind: "access",
    say: (facts) => `you have no access to this target now.${facts.ask ? ` Ask for it: ${facts.ask}` : ""}`,
  },
  action_denied: {
    kind: "access",
    say: ({ what, ask }) => `your grant does not cover this action${what ? `: ${what}` : ""}${ask ? `. Ask for it: ${ask}` : ""}`,
  },
  hold_denied: { kind: "access", say: (facts) => facts.what ?? "a colleague denied this action" },
  hold_over: { kind: "access", say: (facts) => facts.what ?? "nobody approved this action in time" },
  hold_withdrawn: { kind: "access", say: constant("the action was taken back before anybody decided about it") },
  cannot_be_held: { kind: "access", say: (facts) => facts.what ?? "this action needs an approval, and cannot be shown to an approver" },
  rules_differ: {
    kind: "unavailable",
    say: constant("this action needs an approval that cannot be asked for now: the rules are being changed"),
  },
  rule_denied: { kind: "access", say: (facts) => facts.what ?? "a rule does not allow this action" },
  not_allowed: { kind: "access", say: (facts) => `${facts.what ?? "this"} is not allowed on this target` },
  forbidden: { kind: "access", say: constant("you may not do that") },
  own_request: { kind: "access", say: constant("nobody approves their own request") },
  login_needed: { kind: "access", say: (facts) => facts.what ?? "this needs a fresh company login" },
  not_your_turn: { kind: "conflict", say: constant("others must approve first") },
  not_given: { kind: "access", say: (facts) => facts.what ?? "nobody has given access" },
  not_askable: { kind: "access", say: constant("no rule lets you ask for this") },
  // it is over
  expired: { kind: "ended", say: ended("expired") },
  revoked: { kind: "ended", say: ended("revoked") },
  dropped: { kind: "ended", say: ended("dropped") },
  spent: { kind: "ended", say: ended("all its uses are spent") },
  killed: { kind: "ended", say: (facts) => `this session was ended by a colleague${clockTime(facts.at)}` },
  recorder_failed: { kind: "ended", say: constant("this session can no longer be recorded, so it was ended") },
  shutdown: { kind: "ended", say: constant("the gateway is shutting down; connect again in a moment") },
  idle: { kind: "ended", say: constant("this connection was idle for too long") },
  silent: {
    kind: "ended",
    say: constant("nothing came from your side any more, not even when it was asked, so this connection was closed"),
  },
  // not now
  stale: { kind: "unavailable", say: constant("access cannot be checked right now; try again in a moment") },
  not_estimated: { kind: "unavailable", say: constant("the gateway that holds it has not answered; ask again in a moment") },
  busy: { kind: "unavailable", say: constant("too many connections; try again in a moment") },
  too_many: { kind: "unavailable", say: (facts) => facts.what ?? "too many at once; try again in a moment" },
  internal: { kind: "unavailable", say: constant("something went wrong in the gateway; try again in a moment") },
  handshake_timeout: { kind: "unavailable", say: constant("the login took too long") },
  // the target's side
  target_unreachable: { kind: "upstream", say: constant("the target does not answer") },
  target_busy: { kind: "unavailable", say: constant("the target takes no more connections now; try again in a moment") },
  target_login_failed: { kind: "upstream", say: constant("the target did not accept the gateway's credentials") },
  target_untrusted: { kind: "upstream", say: constant("the target could not prove that it is the one it should be") },
  target_silent: { kind: "upstream", say: constant("the target answers nothing any more, so the connection to it was closed") },
  target_broke: { kind: "upstream", say: constant("the target closed or broke the connection") },
  not_started: { kind: "upstream", say: constant("the target refused to start that program") },
  forward_failed: { kind: "upstream", say: (facts) => facts.what ?? "the target could not connect there" },
  // the client's side
  protocol_broken: { kind: "protocol", say: (facts) => facts.what ?? "the connection did not follow its protocol" },
  too_large: { kind: "protocol", say: constant("the message is larger than allowed") },
  unsupported: { kind: "unsupported", say: (facts) => `${facts.what ?? "this"} is not supported` },
  // the API
  invalid: { kind: "input", say: (facts) => facts.what ?? "the request is not valid" },
  too_long: { kind: "input", say: (facts) => facts.what ?? "longer than the rule allows" },
  already_asked: { kind: "conflict", say: (facts) => facts.what ?? "you have asked for this already, and it waits for a decision" },
  not_now: { kind: "conflict", say: (facts) => facts.what ?? "this cannot be decided at this hour" },
  decided: { kind: "conflict", say: constant("it was already decided") },
  grant_over: { kind: "conflict", say: constant("the grant has ended, and nothing brings it back: ask for a new one") },
  over: { kind: "conflict", say: constant("it is already over") },
  not_found: { kind: "missing", say: constant("no such thing, or not yours to see") },
} as const satisfies Record<string, Row>

export type ErrorCode = keyof typeof table
export const errorCodes = Object.keys(table) as readonly ErrorCode[]

/** Reasons that can end a live session from outside it. */
export type CutCode = "expired" | "revoked" | "dropped" | "spent" | "killed" | "recorder_failed" | "shutdown" | "idle"

export class GatewayError extends Error {
  readonly code: ErrorCode
  readonly kind: ErrorKind
  readonly facts: Facts

  constructor(code: ErrorCode, facts: Facts = {}, cause?: unknown) {
    const row: Row = table[code]
    super(row.say(facts), cause === undefined ? undefined : { cause })
    this.name = "GatewayError"
    this.code = code
    this.kind = row.kind
    this.facts = facts
  }

  /** The words for the client, the session's id with them so that it can be found in the log. */
  get say(): string {
    return `sluice: ${this.message}${this.facts.session ? ` [${this.facts.session}]` : ""}`
  }

  /** The same error with more facts, as it passes the places that know them. */
  with(facts: Facts): GatewayError {
    return new GatewayError(this.code, { ...this.facts, ...facts }, this.cause)
  }

  /** Any failure as a GatewayError: itself, or `code` with the failure as its cause. */
  static from(failure: unknown, code: ErrorCode): GatewayError {
    return failure instanceof GatewayError ? failure : new GatewayError(code, {}, failure)
  }
}
