// Sessions that are open now, mine and those I may see, each with the way to end it.
import type { ListedSession } from "../api/listed.ts"
import { reasonField } from "./grants_page.ts"
import { html, type Html } from "./html.ts"
import { cards, olderLink } from "./request_facts.ts"
import { csrfField, note, page, type Visit } from "./shell.ts"
import { fact, moment, said } from "./words.ts"

export interface SessionsPage {
  readonly visit: Visit
  readonly sessions: readonly ListedSession[]
  /** Where older ones are, if there are any. */
  readonly older: string | undefined
  /** One that was just told to end. */
  readonly told?: string | undefined
  readonly problem?: string
}

export function sessionsPage({ visit, sessions, older, told, problem }: SessionsPage): string {
  return page({
    title: "Sessions",
    visit,
    place: "/sessions",
    main: html`${problem !== undefined && note("bad", html`<p>${problem}</p>`)}
      ${told !== undefined && note("good", html`<p>Session ${said(told)} was told to end. It leaves this list when its gateway says so.</p>`)}
      <h1>Open sessions</h1>
      <h2 class="unseen">All that you may see</h2>
      ${cards(
        sessions.map((session) => sessionCard(visit, session)),
        "None now.",
      )}
      ${olderLink(older, "sessions")}`,
  })
}

function sessionCard(visit: Visit, { id, subject, target, as, protocol, client, gateway, started_at, may_end }: ListedSession): Html {
  return html`<li class="card">
    <div class="row">
      <h3>${said(subject)} on ${said(target)}${as !== null && html` as ${said(as)}`}</h3>
      <span class="soft">${protocol}</span>
    </div>
    <dl>
      ${fact("Since", moment(started_at, visit.now))} ${fact("From", html`${said(client)}, through ${said(gateway)}`)}
      ${fact("Session", said(id))}
    </dl>
    ${
      may_end &&
      html`<details>
        <summary>End this session<span class="unseen"> (${subject}, ${target})</span></summary>
        <form method="post" action="/sessions/${id}/kill">
          ${csrfField(visit.csrf)}
          <p>The access stays: they can connect again until it ends.</p>
          ${reasonField(id, "Reason, which is kept")}<button class="no">End it now</button>
        </form>
      </details>`
    }
  </li>`
}
