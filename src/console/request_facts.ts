// What a request asks for, as its reader must know it before deciding: on the page of one request, and short in lists.
import type { Estimate, HeldAction } from "../api/hold_schema.ts"
import type { RequestView } from "../api/schema.ts"
import type { Millis } from "../core/clock.ts"
import { formatDuration } from "../core/duration.ts"
import { limits } from "../core/limits.ts"
import { mayHavePlan } from "../core/statement.ts"
import { visible } from "../core/visible.ts"
import { type Content, html, type Html } from "./html.ts"
import { csrfField, type Visit } from "./shell.ts"
import { badge, code, fact, moment, names, said } from "./words.ts"

interface Around extends Pick<Visit, "csrf" | "now"> {
  /** What the target offers; undefined when it is there no more. */
  readonly accounts: readonly string[] | undefined
}

/** The decisive facts, big: who, where, as whom, how long, why. */
export function decisiveFacts(request: RequestView, around: Around): Html {
  if (request.action !== null) return heldFacts(request, request.action, around)
  const { now } = around
  const { subject, groups, target, as, reason, actions, uses } = request
  return html`<dl class="big">
    ${fact("Who", html`${said(subject)}${groups.length > 0 && html` <span class="soft">(${names(groups)})</span>`}`)}
    ${fact("Target", said(target))} ${fact("As", accountWords(as, around))} ${fact("How long", howLong(request, now))}
    ${fact("Only", actions && actions.map(code))} ${fact("Uses", uses !== null && (uses === 1 ? "once" : `${uses} times`))}
    ${fact("Reason", reason === "" ? html`<span class="soft">none given</span>` : said(reason))}
  </dl>`
}

/** The exact action first: it is what an approval is for. Before one that fills the screen, what it does. */
function heldFacts(request: RequestView, action: HeldAction, around: Around): Html {
  const { csrf, now } = around
  const { subject, groups, target, as, reason, created_at, duration_ms, run_at } = request
  const { text, values, action_kind, tables, calls, notes, recent, digest, session } = action
  const does = [
    fact("Does", action_kind !== null && `${action_kind}${tables.length > 0 ? ` on ${tables.map(visible).join(", ")}` : ""}`),
    fact("Rows", rows(request, action, csrf)),
    fact("Calls", calls.length > 0 && said(calls.join(", "))),
    fact("Note", notes.length > 0 && notes.map((words) => html`<p>${said(words)}</p>`)),
  ]
  const exact = [
    fact("Action", code(text)),
    fact("Values", values.length > 0 && values.map((value, at) => code(`$${at + 1} = ${value === null ? "NULL" : `'${value}'`}`))),
  ]
  return html`<dl class="big">
    ${isLong(text) ? [fact("Length", length(text)), does, exact] : [exact, does]}
    ${fact("Who", html`${said(subject)}${groups.length > 0 && html` <span class="soft">(${names(groups)})</span>`}`)}
    ${fact("Target", said(target))} ${fact("As", accountWords(as, around))}
    ${fact("Reason", reason === "" ? html`<span class="soft">none given</span>` : said(reason))}
    ${fact("Just before", recent.length > 0 && recent.map((earlier) => code(earlier)))}
    ${fact("Waits until", moment(created_at + duration_ms, now))} ${fact("Ran", run_at !== null && moment(run_at, now))}
    ${fact("Session", code(session))} ${fact("Digest", code(digest))}
  </dl>`
}

const isLong = (text: string): boolean => text.length > limits.hold_list_chars_max || text.split("\n").length > 12

const length = (text: string): string => `${text.length} characters in ${text.split("\n").length} lines: read it to its end`

/** What the planner guessed, and for those who decide the button that asks it; nothing where there is no plan. */
function rows({ id, estimate, may_decide }: RequestView, action: HeldAction, csrf: string): Content {
  const ask =
    may_decide &&
    mayHavePlan(action) &&
    html`<form method="post" action="/requests/${id}/estimate">
      ${csrfField(csrf)}<button>${estimate === null ? "Have the planner guess" : "Guess again"}</button>
      <p class="hint">The target plans the statement and runs nothing. That you ask is on record.</p>
    </form>`
  return (estimate !== null || ask !== false) && html`${estimate && html`<p id="rows">${rowsOf(estimate)}</p>`} ${ask}`
}

/** Whoever asks for every account asks for each of them by name, root too. Nothing where the target has none. */
function accountWords(as: readonly string[] | null, { accounts }: Around): Content {
  if (as !== null) return names(as)
  if (accounts === undefined) return "any account"
  return accounts.length > 0 && html`any of ${names(accounts)}`
}

const rowsOf = ({ rows, cost, why }: Estimate): Content =>
  why === null ? `about ${rows} by the planner (cost ${cost})` : said(`no estimate: ${why}`)

function howLong({ duration_ms, starts_at, extends_to, first_use_within_ms }: RequestView, now: Millis): Content {
  const duration = formatDuration(duration_ms)
  if (extends_to !== null) return html`${duration} more, until ${moment(extends_to, now)}`
  const within = first_use_within_ms === null ? "" : `, from the first use, which must come within ${formatDuration(first_use_within_ms)}`
  return starts_at === null ? `${duration}${within}` : html`${duration}${within}, from ${moment(starts_at, now)}`
}

export function statusBadge({ status, approvals_needed, break_glass }: RequestView): Html {
  switch (status) {
    case "pending":
      return badge("wait", "Waiting")
    case "approved":
      if (break_glass) return break_glass.reviewed ? badge("good", "Break-glass, reviewed") : badge("bad", "Break-glass, to be reviewed")
      return badge("good", approvals_needed === 0 ? "Approved by a rule" : "Approved")
    case "denied":
      return badge("bad", "Denied")
    case "withdrawn":
      return badge("over", "Taken back")
    case "lapsed":
      return badge("over", "Nobody decided in time")
  }
}

/** Whose approval is still needed, in their order, and who may give it later. */
export function stillNeeded({ steps, order, escalates }: RequestView, now: Millis): Html {
  const open = steps.filter(({ count, approved_by }) => approved_by.length < count)
  const one = ({ by, count, approved_by }: RequestView["steps"][number]): Html => {
    const left = count - approved_by.length
    return html`${left === 1 ? "One person" : `${left} different people`} of ${names(by)}`
  }
  return html`<p>Still needed${order === "sequence" && open.length > 1 && ", one after the other"}:</p>
    <ul>
      ${open.map((step) => html`<li>${one(step)}</li>`)}
    </ul>
    ${escalates && html`<p class="soft">From ${moment(escalates.at, now)} on ${names(escalates.to)} may decide as well.</p>`}`
}

/** One request as a card of a list. */
export function requestCard(request: RequestView, now: Millis): Html {
  const { id, subject, target, as, duration_ms, reason, created_at, action } = request
  return html`<li class="card">
    <div class="row">
      <h3>
        <a href="/requests/${id}"
          >${said(target)}${as && html` as ${names(as)}`}, ${action === null ? formatDuration(duration_ms) : "an action"}</a
        >
      </h3>
      ${statusBadge(request)}
    </div>
    ${action !== null && html`<p>${code(action.text)}</p>`}
    <p>${said(subject)}${reason !== "" && html`: ${said(reason)}`}</p>
    <p class="soft">Request ${id}, asked at ${moment(created_at, now)}</p>
  </li>`
}

/** Cards, or the words for there being none. */
export const cards = (items: readonly Html[], none: Content): Html =>
  items.length === 0
    ? html`<p class="soft">${none}</p>`
    : html`<ul class="cards">
        ${items}
      </ul>`

/** To the next page of a list of `what`; nothing where there is none. */
export const olderLink = (older: string | undefined, what: string): Html | false =>
  older !== undefined && html`<p><a href="${older}">Older ${what}</a></p>`
