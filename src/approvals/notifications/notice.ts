// What a notification says, before any channel dresses it: a title of checked names, and facts as label and value. Values may be
// what a requester wrote: each channel escapes them in its own way. Pure.
import type { GrantView, SessionView } from "../../api/schema.ts"
import type { Millis } from "../../core/clock.ts"
import { formatDuration } from "../../core/duration.ts"
import { limits } from "../../core/limits.ts"
import { utc } from "../../core/utc.ts"
import { visible } from "../../core/visible.ts"
import type { EventKind, EventRecord, HoldRecord, RequestRecord } from "../store.ts"

/** An event and what it is about, as that is now. */
export interface Notice {
  readonly event: EventRecord
  readonly request: RequestRecord | undefined
  readonly grant: GrantView | undefined
  readonly session: SessionView | undefined
}

export interface Fact {
  readonly label: string
  /** Visible text: nothing in it moves, reorders or hides. */
  readonly value: string
  /** Something was left out of it, or in its place: nobody can decide by it. */
  readonly cut?: true
}

const titles: Partial<Record<EventKind, (names: { who: string; target: string; by: string }) => string>> = {
  "request.asked": ({ who, target }) => `${who} asks for ${target}`,
  "request.decision": ({ who, target, by }) => `${by} decided about ${target} for ${who}`,
  "request.approved": ({ who, target }) => `${target} is approved for ${who}`,
  "request.denied": ({ who, target }) => `${target} is denied to ${who}`,
  "request.withdrawn": ({ who, target }) => `${who} no longer asks for ${target}`,
  "grant.begun": ({ who, target }) => `${who}'s access to ${target} has begun`,
  "grant.used": ({ who, target }) => `${who} used a grant on ${target}`,
  "grant.extended": ({ who, target }) => `${who} has access to ${target} for longer`,
  "grant.spent": ({ who, target }) => `${who}'s access to ${target} is used up`,
  "grant.made": ({ who, target }) => `${who} has access to ${target}`,
  "grant.revoked": ({ who, target, by }) => `${by} ended ${who}'s access to ${target}`,
  "grant.dropped": ({ who, target }) => `${who} gave back ${target}`,
  "session.started": ({ who, target }) => `${who} is on ${target}`,
  "session.ended": ({ who, target }) => `${who} is no longer on ${target}`,
  "action.flagged": ({ who, target }) => `${who} did on ${target} what a rule flags`,
  "session.killed": ({ who, target, by }) => `${by} ended ${who}'s session on ${target}`,
}

/** About a gateway, which is the event's own `by`. */
const gateway_titles: Partial<Record<EventKind, string>> = {
  "gateway.joined": "has begun",
  "gateway.left": "was stopped",
  "gateway.lost": "is not heard any more",
  "gateway.returned": "is heard again",
  "gateway.refused": "spoke under a name that is not its own",
}

const heldTitles: typeof titles = {
  "request.asked": ({ who, target }) => `${who} waits with an action on ${target}`,
  "request.decision": ({ who, target, by }) => `${by} decided about an action of ${who} on ${target}`,
  "request.approved": ({ who, target }) => `An action of ${who} on ${target} is approved`,
  "request.denied": ({ who, target }) => `An action of ${who} on ${target} is denied`,
  "request.withdrawn": ({ who, target }) => `${who} no longer waits with an action on ${target}`,
  "hold.redeemed": ({ who, target }) => `An approved action of ${who} runs on ${target}`,
}

/** One line, of names alone: what somebody wrote is never in it. */
export function titleOf({ event, request, grant, session }: Notice): string {
  const subject = request?.subject ?? grant?.subject ?? session?.subject
  const target = request?.target ?? grant?.target ?? session?.target
  const by = visible(event.by)
  const held = request?.hold ? heldTitles[event.kind] : undefined
  if (held && request) return held({ who: visible(request.subject), target: visible(request.target), by })
  const words = titles[event.kind]
  if (words && subject !== undefined && target !== undefined) return words({ who: visible(subject), target: visible(target), by })
  const of_gateway = gateway_titles[event.kind]
  if (of_gateway !== undefined) return `gateway ${by} ${of_gateway}`
  // A kind without words of its own is named as the audit log names it.
  const about = [subject, target].filter((name) => name !== undefined).map(visible)
  return [`${event.kind.replace(".", " ").replaceAll("_", " ")} by ${by}`, ...about].join(", ")
}

/** The decisive ones first. */
export function factsOf({ event, request, grant, session }: Notice): readonly Fact[] {
  const facts: Stated[] = [
    ["Who", request ? who(request) : (grant?.subject ?? session?.subject)],
    ["Target", request?.target ?? grant?.target ?? session?.target],
    ["As", asWords(request, grant, session)],
    ...(event.kind === "action.flagged" ? flaggedFacts(event.detail as Flagged) : []),
    ...(request && event.kind !== "action.flagged" ? (request.hold ? heldFacts(request.hold) : termsOf(request)) : []),
    ["Until", grant && event.kind !== "request.asked" ? utc(grant.ended_at ?? grant.ends_at) : undefined],
    ["Reason", request && (request.reason === "" ? "(no reason given)" : request.reason)],
    ["Rule", (event.kind === "action.flagged" ? event.rule : (request?.rule ?? event.rule)) ?? undefined],
    ["By", event.kind === "request.asked" ? undefined : event.by],
    ["Words", event.reason !== "" && event.reason !== request?.reason ? event.reason : undefined],
    ["Request", request && String(request.id)],
    ["Grant", grant?.id],
    ["Session", session?.id],
  ]
  return facts.flatMap(([label, value, cut]) => (value === undefined ? [] : [{ label, value: visible(value), ...(cut ? { cut } : {}) }]))
}

/** Before it is made visible; `true`: something was left out. */
type Stated = readonly [label: string, value: string | undefined, cut?: true]

/** The exact action, as far as a message can be long. */
function heldFacts({ text, values, action_kind, tables, calls, notes }: HoldRecord): Stated[] {
  const shown = values.slice(0, limits.notification_values_max)
  const more = values.length - shown.length
  return [
    shortened("Action", text, limits.hold_list_chars_max),
    ...shown.map((value, at) => shortened(`$${at + 1}`, value === null ? "NULL" : `'${value}'`, limits.hold_recent_chars_max)),
    ...(more > 0 ? [["And", `${more} more values (they are on the page)`, true] satisfies Stated] : []),
    ["Does", action_kind === null ? undefined : [action_kind, ...(tables.length === 0 ? [] : ["on", tables.join(", ")])].join(" ")],
    ["Calls", calls.length === 0 ? undefined : calls.join(", ")],
    ...notes.map((note): Stated => ["Note", note]),
  ]
}

const shortened = (label: string, text: string, chars_max: number): Stated =>
  text.length > chars_max ? [label, `${text.slice(0, chars_max)}… (all of it is on the page)`, true] : [label, text]

interface Flagged {
  readonly count: number
  readonly actions: readonly string[]
}

function flaggedFacts({ count, actions }: Flagged): [string, string][] {
  const more = count - actions.length
  return [
    ...actions.map((text): [string, string] => ["Action", text]),
    ...(more > 0 ? [["And", `${more} more`] satisfies [string, string]] : []),
  ]
}

/** What exactly is asked for: how long, from when, how often, and for which actions alone. */
function termsOf({
  duration_ms,
  starts_at,
  extends_grant,
  extends_to,
  uses,
  first_use_within_ms,
  actions,
}: RequestRecord): [string, string][] {
  const duration = formatDuration(duration_ms)
  const how_long = extends_grant === null ? duration : `${duration} more, until ${extends_to === null ? "later" : utc(extends_to)}`
  return [
    ["For", first_use_within_ms === null ? how_long : `${how_long} from its first use, within ${formatDuration(first_use_within_ms)}`],
    ...(starts_at === null ? [] : ([["From", utc(starts_at)]] satisfies [string, string][])),
    ...(uses === null ? [] : ([["Uses", String(uses)]] satisfies [string, string][])),
    ...(actions ?? []).map((action): [string, string] => ["Only", action]),
  ]
}

function who({ subject, groups }: RequestRecord): string {
  return groups.length === 0 ? subject : `${subject} (${groups.join(", ")})`
}

function asWords(request: RequestRecord | undefined, grant: GrantView | undefined, session: SessionView | undefined): string | undefined {
  if (session) return session.as ?? undefined
  const as = request ? request.as : grant?.as
  return as === undefined ? undefined : as === null ? "any that the rule allows" : as.join(", ")
}

/** Whether it tells of something to decide about or to look at: the news is for those who may decide. Otherwise it is for the one who asked. */
export function isToDecide({ event: { kind } }: Pick<Notice, "event">): boolean {
  return /^(request\.(asked|escalated)$|action\.flagged$|break_glass\.|review\.)/.test(kind)
}

/** Whether somebody can still decide about it. */
export function isOpen({ request }: Notice, now: Millis): boolean {
  return request !== undefined && request.state === "pending" && now < request.lapses_at && request.approvals_needed > 0
}

/** Where to look at it; undefined when it has no page of its own. */
export function linkOf({ request, grant }: Notice, public_url: string): string | undefined {
  const id = request?.id ?? grant?.request
  return id === undefined ? undefined : `${public_url}/requests/${id}`
}
