// What the approval service remembers, as values, and the door to it. The rules are not here: a store keeps what it is given,
// all of a change or nothing of it, and with each change the event that tells of it. `store/` has the two there are.
import type { Estimate, HeldAction } from "../api/hold_schema.ts"
import type { GrantView, SessionView } from "../api/schema.ts"
import type { ApprovalPlan, Escalation } from "../core/approval_plan.ts"
import type { Millis } from "../core/clock.ts"
import type { GrantId, RequestId, SessionId, WaiterId } from "../core/ids.ts"
import type { GatewayReads, GatewayWrites } from "./gateways/gateway_record.ts"
import type { AuthorityReads, AuthorityWrites } from "./authorities/authority_record.ts"
import type { OutboxChange, OutboxReader } from "./notifications/outbox.ts"
import type { PeopleChange, PeopleReader } from "./people/people_store.ts"

export interface DecisionRecord {
  readonly by: string
  /** "policy": a rule decided by itself, `by` names the rule. Such a one is nobody's approval: it never counts as a person. */
  readonly actor: "person" | "policy"
  readonly verdict: "approve" | "deny"
  readonly reason: string
  readonly at: Millis
  /** Of the request's plan: those it may count for. */
  readonly steps: readonly number[]
}

export interface Review {
  readonly by: string
  readonly at: Millis
  readonly note: string
}

/** What only time has made of a request, and nobody was told of yet. */
export interface DueRequest {
  readonly id: RequestId
  readonly why: "escalate" | "lapsed" | "review_overdue"
}

/** A request that nobody decided is over by time alone (`lapses_at`); no row changes for it. */
export type RequestState = "pending" | "approved" | "denied" | "withdrawn"

export interface NewRequestRecord {
  readonly subject: string
  /** The groups the subject had when asking, for those who decide. */
  readonly groups: readonly string[]
  readonly target: string
  /** Sorted, each once; null: all that the target offers. */
  readonly as: readonly string[] | null
  readonly duration_ms: number
  readonly starts_at: Millis | null
  readonly reason: string
  readonly created_at: Millis
  readonly lapses_at: Millis
  readonly state: RequestState
  /** The rule that answers for it, as "policy.access[0]". */
  readonly rule: string
  /** Who may decide about it: groups and names, as the rule said when it was asked. Empty: the rule decides by itself. */
  readonly approve_by: readonly string[]
  readonly approvals_needed: number
  /** What approvals make it approved; no steps: the rule decides by itself. */
  readonly plan: ApprovalPlan
  readonly escalation: Escalation | null
  /** Of a break-glass: who must look at it, and until when. */
  readonly review: { readonly by: readonly string[]; readonly due_at: Millis } | null
  /** Canonical (`core/action_scope.ts`); null: all that the accounts may do. */
  readonly actions: readonly string[] | null
  /** How many actions; null: any number. */
  readonly uses: number | null
  /** The grant begins at its first use, which must come within this long of when it could; null: it begins by itself. */
  readonly first_use_within_ms: number | null
  /** The grant that is to end at `extends_to` instead; both null: it is for a new one. */
  readonly extends_grant: GrantId | null
  readonly extends_to: Millis | null
  /** The action that waits for it; null: it is for access. */
  readonly hold: HoldRecord | null
}

/** An action that waits. `bound`: for its session alone; else for its subject, whenever the same is asked for again. */
export interface HoldRecord extends HeldAction {
  readonly bound: boolean
  /** Of the rule that held it, as that was then; undefined where an earlier version filed it. */
  readonly rule_digest?: string
  /** Asked for last; `answer` is null until it is there. */
  readonly estimate?: { readonly asked_at: Millis; readonly answer: Estimate | null }
}

/** What makes two held actions the same to one who asks again. */
export type HoldQuestion = Pick<NewRequestRecord, "subject" | "target"> & Pick<HeldAction, "digest" | "grant">

export interface RequestRecord extends NewRequestRecord {
  readonly id: RequestId
  /** Whether it was left so long that those of `escalation` may decide as well. */
  readonly escalated: boolean
  readonly reviewed: Review | null
  /** When the approval of a held action was taken. */
  readonly redeemed_at: Millis | null
  readonly decisions: readonly DecisionRecord[]
  /** What it made, or what it extends. */
  readonly grant: GrantView | null
}

export type EventKind =
  | "request.asked"
  | "request.decision"
  | "request.approved"
  | "request.denied"
  | "request.withdrawn"
  /** Nobody decided it in its rule's time; nobody decided it so long that more people may. */
  | "request.lapsed"
  /** An approval counts no more: its giver may not decide any more. */
  | "request.unapproved"
  /** An action that was held is decided, or nobody waits for it any more; its approval was taken, and it runs. */
  | "hold.settled"
  | "hold.redeemed"
  /** Somebody who may decide about it wants to know how much it would do; the gateway that holds it has asked the target. */
  | "hold.estimate_asked"
  | "hold.estimated"
  | "request.escalated"
  /** Access that a rule gave at once to who asked for it by that name; somebody else has looked at it; nobody has, in time. */
  | "break_glass.used"
  | "break_glass.reviewed"
  | "break_glass.overdue"
  | "grant.made"
  | "grant.begun"
  | "grant.used"
  | "grant.extended"
  | "grant.spent"
  | "grant.revoked"
  | "grant.dropped"
  | "session.started"
  | "session.ended"
  /** Actions that a rule flags: what it says is to be looked at. */
  | "action.flagged"
  /** Its gateway was given up, and is heard again: it goes on. */
  | "session.returned"
  | "session.killed"
  | "notification.failed"
  /** A process of a gateway began; said goodbye; was not heard any more; and was, again. */
  | "gateway.joined"
  | "gateway.left"
  | "gateway.lost"
  | "gateway.returned"
  /** A gateway spoke under a name that is not its own. */
  | "gateway.refused"
  /** Somebody came by company login for the first time; their groups or label are others now. */
  | "person.joined"
  | "person.changed"
  | "person.disabled"
  | "person.enabled"
  | "login.started"
  | "login.ended"
  | "authority.made"
  | "authority.retired"
  | "certificate.issued"
  | "target_certificate.issued"
  /** Another config is in use; one that could not be used was left alone. */
  | "config.reloaded"
  | "config.refused"

/** One line of the audit log. */
export interface EventRecord {
  readonly sequence: number
  readonly at: Millis
  readonly kind: EventKind
  readonly actor: "person" | "policy" | "gateway"
  readonly by: string
  /** The network address it came from; null: from nowhere, a rule did it. */
  readonly from: string | null
  readonly reason: string
  /** The rule that decided, where one did. */
  readonly rule: string | null
  readonly request: RequestId | null
  readonly grant: GrantId | null
  readonly session: SessionId | null
  /** What changed, as it was right after the change. */
  readonly detail: unknown
}

/** A page of the audit log; what is left out does not matter. */
export interface EventsWanted {
  readonly limit: number
  /** Only events before this sequence. */
  readonly before?: number | undefined
  readonly since?: Millis | undefined
  readonly by?: string | undefined
  /** A kind, as "grant.made", or a family as "grant.*". */
  readonly kind?: string | undefined
}

/** Whose rows a list holds: their own and those whose rule names one of `names`; or everybody's. */
export type Seen = { readonly subject: string; readonly names: readonly string[] } | "all"

export interface List {
  readonly seen: Seen
  readonly limit: number
  /** Only what is not over at this time: pending requests, grants in force or to come, sessions without an end. */
  readonly live_at: Millis | undefined
}

/** Of a session in their list, newest first: two may have begun in the same millisecond. */
export interface SessionPlace {
  readonly started_at: Millis
  readonly id: SessionId
}

export interface FeedBatch {
  /** Of those kinds that gateways are told of, in order. */
  readonly events: readonly EventRecord[]
  /** Every event up to this one was looked at. */
  readonly through: number
}

/** What makes two requests ask the same thing. */
export type Question = Pick<NewRequestRecord, "subject" | "target" | "as" | "actions" | "extends_grant">

/** The public half of a key that signs tokens, as JSON, and when it was last shown to be in use. */
export interface TokenKey {
  readonly kid: string
  readonly jwk: string
  readonly seen_at: Millis
}

export interface TokenKeyRecord extends TokenKey {
  /** Since when it signs no more, and until when what it signed is good; both null: it signs. */
  readonly retired_at: Millis | null
  readonly good_until: Millis | null
}

/** Reads. Outside a change they see what is committed. */
export interface Reader extends OutboxReader, PeopleReader, AuthorityReads, GatewayReads {
  request(id: RequestId): Promise<RequestRecord | undefined>
  /** The newest request that asks this; of those that nobody has decided, if that is said. */
  lastRequest(question: Question, state?: "pending"): Promise<RequestRecord | undefined>
  /** When this rule gave somebody something by itself, since `since`, the newest first; at most `limit` times. */
  timesGiven(rule: string, subject: string, within: { readonly since: Millis; readonly limit: number }): Promise<readonly Millis[]>
  /** Requests to extend a grant that nobody has decided. */
  pendingExtensions(grant: GrantId): Promise<readonly RequestId[]>
  /** All that were ever shown. */
  tokenKeys(): Promise<readonly TokenKeyRecord[]>
  pendingCount(subject: string, now: Millis): Promise<number>
  /** Those for access that wait for a decision, by number. */
  pendingRequests(wanted: { readonly after: RequestId; readonly now: Millis; readonly limit: number }): Promise<readonly RequestId[]>
  /** Held actions of somebody that wait. */
  pendingHolds(subject: string, now: Millis): Promise<number>
  /** Held actions that wait, of a grant, or bound to a session. */
  openHolds(of: { readonly grant: GrantId } | { readonly session: SessionId }): Promise<readonly RequestId[]>
  /**
   * The newest such hold, bound to no session, whose answer still stands: it waits, its approval was not taken, it was denied, or
   * nobody decided; for a moment longer than its time, so that a page that asks again by itself does not ask for ever.
   */
  reusableHold(question: HoldQuestion, now: Millis): Promise<RequestRecord | undefined>
  /** At most `limit`, of each kind. */
  dueRequests(now: Millis, limit: number): Promise<readonly DueRequest[]>
  grant(id: GrantId): Promise<GrantView | undefined>
  liveGrantCount(subject: string, now: Millis): Promise<number>
  session(id: SessionId): Promise<SessionView | undefined>
  /** Ids of a gateway's sessions without an end. */
  openSessions(gateway: string): Promise<readonly SessionId[]>
  /** The names of gateways that have sessions without an end. */
  gatewaysWithSessions(): Promise<readonly string[]>
}

/** Somebody who waits for a request in the tool they are in. */
export interface Wait {
  readonly waiter: WaiterId
  readonly request: RequestId
  readonly now: Millis
}

/** Writes of one change; nothing of it is kept unless `work` settles. */
export interface Change extends Reader, OutboxChange, PeopleChange, AuthorityWrites, GatewayWrites {
  /** The sequence the next `append` must carry: rising by one, without gaps, in the order of commits. */
  nextSequence(): Promise<number>
  append(event: EventRecord): Promise<void>
  addRequest(request: NewRequestRecord): Promise<RequestId>
  setRequestState(id: RequestId, state: RequestState): Promise<void>
  /** What is known of the action that waits. */
  setHold(id: RequestId, hold: HoldRecord): Promise<void>
  /** Its approval is taken. */
  redeemHold(id: RequestId, at: Millis): Promise<void>
  /** Those whom its rule named for later may decide as well. */
  escalateRequest(id: RequestId, approve_by: readonly string[]): Promise<void>
  /** It was told: `dueRequests` does not list it for that any more. */
  markTold(id: RequestId, why: "lapsed" | "review_overdue"): Promise<void>
  /** It lapses at `at`, and that was told. */
  lapseRequest(id: RequestId, at: Millis): Promise<void>
  /** Takes away what one person has said for it; the audit log keeps that they did. */
  dropApproval(id: RequestId, by: string): Promise<void>
  reviewRequest(id: RequestId, review: Review): Promise<void>
  addDecision(request: RequestId, decision: DecisionRecord): Promise<void>
  addGrant(grant: GrantView): Promise<void>
  /** A new revision: its end, its status, what is left of it, how it ended. What it covers never changes. */
  changeGrant(grant: GrantView): Promise<void>
  addSession(session: SessionView): Promise<void>
  /** It has no end after all. */
  reopenSession(id: SessionId): Promise<void>
  endSession(id: SessionId, end: { readonly ended_at: Millis; readonly ended_why: string }): Promise<void>
  /** Somebody begins to wait, or is heard of again. `filed`: the request was made for them. */
  addWait(wait: Wait & { readonly filed: boolean; readonly until: Millis }): Promise<void>
  /** They wait no more. Answers whether the request was made for somebody who waited, and how many still do. */
  endWait(wait: Wait): Promise<{ readonly filed: boolean; readonly waiting: number }>
  showTokenKey(key: TokenKey): Promise<void>
  retireTokenKey(key: Pick<TokenKeyRecord, "kid" | "retired_at" | "good_until">): Promise<void>
  /** Writes something that means nothing: to see that it can. */
  probe(at: Millis): Promise<void>
}

export interface Store extends Reader {
  /** Runs `work` alone: one change after the other, each whole and durable when it settles, or undone when it rejects. */
  change<T>(work: (change: Change) => Promise<T>): Promise<T>
  /** By their number, and grants by that of the request that made them; only those before `before`, if that is said. */
  requests(list: List & { readonly unreviewed?: boolean; readonly before?: RequestId | undefined }): Promise<readonly RequestRecord[]>
  grants(list: List & { readonly before?: RequestId | undefined }): Promise<readonly GrantView[]>
  sessions(list: List & { readonly before?: SessionPlace | undefined }): Promise<readonly SessionView[]>
  /** The grants of `subject` on `target` that are not over, and the sequence as of which that is so. */
  lookup(wanted: { readonly subject: string; readonly target: string; readonly now: Millis }): Promise<{
    readonly sequence: number
    readonly grants: readonly GrantView[]
  }>
  /** The audit log, newest first. */
  auditLog(wanted: EventsWanted): Promise<readonly EventRecord[]>
  /** The name of the history that the audit log tells; another one after a copy was put back. */
  history(): Promise<string>
  /** Of the last event. */
  sequence(): Promise<number>
  /** The feed's part of the audit log after `after`, at most `limit` events. */
  feed(after: number, limit: number): Promise<FeedBatch>
  /** Called after each commit with the events it brought, in order. Answers how to stop. */
  onCommit(listener: (events: readonly EventRecord[]) => void): () => void
  /** Rejects when nothing can be written. */
  probe(): Promise<void>
  close(): Promise<void>
}
