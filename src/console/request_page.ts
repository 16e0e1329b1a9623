// One request: what is asked, what was decided, and, for those who may, the two buttons. Made for somebody with ten seconds and a
// thumb: the decisive facts come first, and the buttons stay in reach.
import type { RequestView } from "../api/schema.ts"
import { limits } from "../core/limits.ts"
import { type Content, html, type Html } from "./html.ts"
import { decisiveFacts, statusBadge, stillNeeded } from "./request_facts.ts"
import { csrfField, note, page, proveLink, type Visit } from "./shell.ts"
import { badge, code, fact, moment, names, said } from "./words.ts"

export interface RequestPage {
  readonly visit: Visit
  readonly request: RequestView
  /** What could not be done, in words for the person. */
  readonly problem?: string
  /** Where to prove anew who they are, when that is what was wrong. */
  readonly prove?: string | undefined
  /** The page loads itself again; the person may switch that off. */
  readonly reloading: boolean
  /** What the target offers; undefined when it is there no more. */
  readonly accounts: readonly string[] | undefined
  /** A line that uses what was given. */
  readonly use: string | undefined
  /** The page of the target that they wanted to see, now that they may. */
  readonly onward?: string | undefined
}

export function requestPage(given: RequestPage): string {
  const { visit, request, problem, prove, accounts } = given
  const { id, subject, target } = request
  const mine = subject === visit.subject
  const asks = request.action === null ? "asks for" : "waits with an action on"
  const title = mine ? `Request ${id}: ${target}` : `${subject} ${asks} ${target}`
  return page({
    title,
    visit,
    place: "/requests",
    main: html`${
        problem !== undefined &&
        note(
          "bad",
          html`<p>${problem}</p>
            ${proveLink(prove)}`,
        )
      }
      <h1>${mine ? html`Your request for ${said(target)}` : html`${said(subject)} ${asks} ${said(target)}`}</h1>
      <p>${statusBadge(request)} <span class="soft">Request ${id}</span></p>
      ${mine && answered(request)}
      <section class="card" aria-label="What is asked for">${decisiveFacts(request, { ...visit, accounts })}</section>
      ${request.may_decide ? decideForm(visit, request) : state(given, mine)} ${review(visit, request)} ${history(visit, request)}`,
  })
}

/** What a colleague wrote to the one who asked: they look for it first. */
function answered({ status, decisions }: RequestView): Content {
  const last = decisions.at(-1)
  if (!last || last.reason === "" || (status !== "denied" && status !== "approved")) return false
  return note(status === "denied" ? "bad" : "good", html`<p>${said(last.by)}: ${said(last.reason)}</p>`)
}

function decideForm({ csrf, subject, now }: Visit, request: RequestView): Html {
  const { id, decisions } = request
  if (decisions.some(({ by, verdict }) => by === subject && verdict === "approve"))
    return html`${note(
      "good",
      html`<p>You have approved.</p>
        ${stillNeeded(request, now)}`,
    )}${denyAlone(csrf, id)}`
  return html`<section aria-labelledby="decide">
    <h2 id="decide">Your decision</h2>
    <form method="post" action="/requests/${id}/approve">
      ${csrfField(csrf)}
      <div class="field">
        <label for="reason">Words to go with it</label>
        <p class="hint" id="reason-hint">Optional; ${said(request.subject)} reads them, and they are kept.</p>
        <textarea id="reason" name="reason" rows="2" maxlength="${limits.reason_chars_max}" aria-describedby="reason-hint"></textarea>
      </div>
      <div class="bar decide">
        <button class="no" formaction="/requests/${id}/deny">✕ Deny</button>
        <button class="go">✓ Approve</button>
      </div>
    </form>
  </section>`
}

const denyAlone = (csrf: string, id: number): Html =>
  html`<form method="post" action="/requests/${id}/deny">${csrfField(csrf)} <button class="no">✕ Deny after all</button></form>`

/** For somebody who does not decide about it: what comes next. */
function state({ visit, request, reloading, use, onward }: RequestPage, mine: boolean): Content {
  const { id, status, grant, extends_grant } = request
  if (status === "pending")
    return html`<section aria-labelledby="next">
      <h2 id="next">What comes next</h2>
      ${stillNeeded(request, visit.now)}
      ${
        mine &&
        html`<p class="soft">
            ${
              reloading
                ? html`This page loads itself again every ${limits.page_reload_ms / 1_000} seconds.
                    <a href="/requests/${id}?still=1">Stop that</a>`
                : html`<a href="/requests/${id}">Load this page again by itself</a>`
            }
          </p>
          <form method="post" action="/requests/${id}/withdraw">
            ${csrfField(visit.csrf)}<button class="no">Take the request back</button>
          </form>`
      }
    </section>`
  if (status === "approved" && grant)
    return html`<section aria-labelledby="next">
      <h2 id="next">${extends_grant === null ? "The access" : "The access that it extends"}</h2>
      <dl class="card">
        ${fact("From", moment(grant.starts_at, visit.now))}
        ${fact(grant.first_use_ms === null ? "Until" : "First use by", moment(grant.ended_at ?? grant.ends_at, visit.now))}
        ${fact("Grant", said(grant.id))} ${fact("State", grantState(grant, visit.now))}
        ${fact("Use it", mine && grant.status === "active" && visit.now < grant.ends_at && use !== undefined && code(use))}
      </dl>
      ${onward !== undefined && html`<p><a class="button" href="${onward}">Go on to ${said(request.target)}</a></p>`}
      <p><a class="button" href="/grants">See all access</a></p>
    </section>`
  if (request.action !== null) return ""
  return mine && html`<p><a class="button" href="/ask?target=${encodeURIComponent(request.target)}">Ask again</a></p>`
}

function grantState({ status, ends_at, ended_by, ended_reason }: NonNullable<RequestView["grant"]>, now: number): Content {
  const why = ended_reason ? html`: ${said(ended_reason)}` : ""
  switch (status) {
    case "active":
      return now < ends_at ? badge("good", "Open") : badge("over", "Over")
    case "revoked":
      return html`${badge("bad", "Ended early")} by ${said(ended_by ?? "")}${why}`
    case "dropped":
      return badge("over", "Given back")
    case "spent":
      return badge("over", "Used up")
  }
}

/** Of a break-glass: who must look at it until when, the form for those, and what they found. */
function review({ csrf, now }: Visit, { id, subject, break_glass, may_review }: RequestView): Content {
  if (!break_glass) return ""
  const { review_by, due_at, reviewed } = break_glass
  if (reviewed)
    return html`<section aria-labelledby="review">
      <h2 id="review">Reviewed</h2>
      <p>${said(reviewed.by)}, ${moment(reviewed.at, now)}: ${said(reviewed.note)}</p>
    </section>`
  const due = html`<p>
    One of ${names(review_by)} looks at what was done, ${now < due_at ? "before" : "and should have by"} ${moment(due_at, now)}.
  </p>`
  return html`<section aria-labelledby="review">
    <h2 id="review">${may_review ? "Your review" : "To be reviewed"}</h2>
    ${due}
    ${
      may_review &&
      html`<form method="post" action="/requests/${id}/review">
        ${csrfField(csrf)}
        <div class="field">
          <label for="note">What you found</label>
          <p class="hint" id="note-hint">What ${said(subject)} did is in the recordings of their sessions. Your words are kept.</p>
          <textarea
            id="note"
            name="reason"
            rows="2"
            required
            maxlength="${limits.reason_chars_max}"
            aria-describedby="note-hint"
          ></textarea>
        </div>
        <div class="bar"><button class="go">✓ Reviewed</button></div>
      </form>`
    }
  </section>`
}

function history({ now }: Visit, { status, created_at, subject, decisions, rule, approvals_needed, break_glass }: RequestView): Html {
  return html`<section aria-labelledby="history">
    <h2 id="history">What happened</h2>
    <ol class="steps">
      <li>${said(subject)} ${break_glass ? "broke the glass" : "asked"}, ${moment(created_at, now)}</li>
      ${decisions.map(
        ({ by, verdict, reason, at }) =>
          html`<li>
            ${approvals_needed === 0 ? html`The rule ${said(by)}` : said(by)} ${verdict === "approve" ? "approved" : "denied"},
            ${moment(at, now)}${reason !== "" && html`: ${said(reason)}`}
          </li>`,
      )}
    </ol>
    <p class="soft">${status === "pending" ? "Who decides is said by" : "Under"} the rule ${said(rule)}.</p>
  </section>`
}
