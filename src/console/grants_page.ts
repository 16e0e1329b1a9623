// Access that is in force or to come: mine, to extend or give back, and that of others, to end.
import type { ListedGrant } from "../api/listed.ts"
import type { GrantView } from "../api/schema.ts"
import { limits } from "../core/limits.ts"
import { html, type Html } from "./html.ts"
import { cards, olderLink } from "./request_facts.ts"
import { csrfField, note, page, type Visit } from "./shell.ts"
import { badge, code, fact, moment, names, said } from "./words.ts"

export interface GrantsPage {
  readonly visit: Visit
  readonly grants: readonly ListedGrant[]
  /** Where older ones are, if there are any. */
  readonly older: string | undefined
  readonly problem?: string
}

export function grantsPage({ visit, grants, older, problem }: GrantsPage): string {
  const mine = grants.filter(({ subject }) => subject === visit.subject)
  const others = grants.filter(({ subject }) => subject !== visit.subject)
  return page({
    title: "Access",
    visit,
    place: "/grants",
    main: html`${problem !== undefined && note("bad", html`<p>${problem}</p>`)}
      <h1>Access</h1>
      <h2>Yours</h2>
      ${cards(
        mine.map((grant) => grantCard(visit, grant)),
        html`None now. <a href="/ask">Ask for access</a>`,
      )}
      ${
        others.length > 0 &&
        html`<h2>Of others</h2>
          ${cards(
            others.map((grant) => grantCard(visit, grant)),
            "",
          )}`
      }
      ${olderLink(older, "access")}`,
  })
}

/** With what may be done about it. */
export function grantCard(visit: Visit, grant: ListedGrant): Html {
  const { may_end, id, subject, target, as, actions, uses_left, uses_max, starts_at, ends_at, first_use_ms, request } = grant
  const { now } = visit
  const to_come = starts_at > now
  return html`<li class="card">
    <div class="row">
      <h3>${said(target)}${as && html` as ${names(as)}`}</h3>
      ${to_come ? badge("wait", "To come") : badge("good", "Open")}
    </div>
    <dl>
      ${fact("Who", subject !== visit.subject && said(subject))} ${fact("From", to_come && moment(starts_at, now))}
      ${fact(first_use_ms === null ? "Until" : "First use by", moment(ends_at, now))} ${fact("Only", actions && actions.map(code))}
      ${fact("Uses left", uses_left !== null && `${uses_left} of ${uses_max}`)}
      ${fact("Grant", html`${said(id)}, <a href="/requests/${request}">request ${request}</a>`)}
    </dl>
    ${subject === visit.subject ? ownActions(visit, grant) : may_end && revokeForm(visit, grant)}
  </li>`
}

function ownActions({ csrf }: Visit, { id, target }: GrantView): Html {
  return html`<details>
      <summary>Extend<span class="unseen"> (${target})</span></summary>
      <form method="post" action="/grants/${id}/extend">
        ${csrfField(csrf)}
        <div class="field">
          <label for="for-${id}">How much longer</label>
          <p class="hint" id="for-hint-${id}">Such as 30m or 1h. It is asked for under the rule that gave the access; sessions go on.</p>
          <input type="text" id="for-${id}" name="for" value="30m" size="8" autocomplete="off" aria-describedby="for-hint-${id}" />
        </div>
        ${reasonField(id, "Reason")}
        <button class="primary">Ask for more time</button>
      </form>
    </details>
    <details>
      <summary>Give back<span class="unseen"> (${target})</span></summary>
      <form method="post" action="/grants/${id}/drop">
        ${csrfField(csrf)}
        <p>Sessions on it end at once.</p>
        <button class="no">Give it back now</button>
      </form>
    </details>`
}

function revokeForm({ csrf }: Visit, { id, subject, target }: GrantView): Html {
  return html`<details>
    <summary>End this access<span class="unseen"> (${subject}, ${target})</span></summary>
    <form method="post" action="/grants/${id}/revoke">
      ${csrfField(csrf)}
      <p>Sessions on it end at once.</p>
      ${reasonField(id, "Reason, which they read")}<button class="no">End it now</button>
    </form>
  </details>`
}

export const reasonField = (id: string, label: string): Html =>
  html`<div class="field">
    <label for="reason-${id}">${label}</label
    ><textarea id="reason-${id}" name="reason" rows="2" maxlength="${limits.reason_chars_max}"></textarea>
  </div>`
