// Lists of requests: what waits for me, what I wait for, what is over; and the overview, which begins with what is urgent.
import type { ListedGrant } from "../api/listed.ts"
import type { RequestView } from "../api/schema.ts"
import { grantCard } from "./grants_page.ts"
import { html } from "./html.ts"
import { cards, olderLink, requestCard } from "./request_facts.ts"
import { page, type Visit } from "./shell.ts"

export interface OverviewPage {
  readonly visit: Visit
  readonly pending: readonly RequestView[]
  /** Whether there are more of those than were looked at. */
  readonly more: boolean
  /** In force or to come. */
  readonly grants: readonly ListedGrant[]
}

export function overviewPage({ visit, pending, more, grants }: OverviewPage): string {
  const waiting = toDecide(visit, pending)
  const mine = pending.filter(({ subject, status }) => subject === visit.subject && status === "pending")
  const held = grants.filter(({ subject }) => subject === visit.subject)
  return page({
    title: "Overview",
    visit,
    place: "/",
    main: html`<h1>${waitingWords(waiting.length, more)}</h1>
      ${
        waiting.length > 0 &&
        html`<h2 class="unseen">Waiting for you</h2>
          <ul class="cards">
            ${waiting.map((request) => requestCard(request, visit.now))}
          </ul>`
      }
      ${
        mine.length > 0 &&
        html`<h2>You wait for</h2>
          <ul class="cards">
            ${mine.map((request) => requestCard(request, visit.now))}
          </ul>`
      }
      ${more && html`<p><a href="/requests">More requests wait: see all</a></p>`}
      <h2>Your access now</h2>
      ${cards(
        held.map((grant) => grantCard(visit, grant)),
        "None.",
      )}
      <p><a class="button primary" href="/ask">Ask for access</a></p>`,
  })
}

function waitingWords(count: number, more: boolean): string {
  if (more) return count === 0 ? "Many requests wait" : `${count} requests or more wait for you`
  if (count === 0) return "Nothing waits for you"
  return count === 1 ? "One request waits for you" : `${count} requests wait for you`
}

export interface RequestsPage {
  readonly visit: Visit
  /** Newest first. */
  readonly requests: readonly RequestView[]
  /** Where older ones are, if there are any. */
  readonly older: string | undefined
}

export function requestsPage({ visit, requests, older }: RequestsPage): string {
  const waiting = toDecide(visit, requests)
  const rest = requests.filter((request) => !waiting.includes(request))
  const mine = rest.filter(({ subject }) => subject === visit.subject)
  const others = rest.filter(({ subject }) => subject !== visit.subject)
  const list = (some: readonly RequestView[]) => some.map((request) => requestCard(request, visit.now))
  return page({
    title: "Requests",
    visit,
    place: "/requests",
    main: html`<h1>Requests</h1>
      <h2>Waiting for you</h2>
      ${cards(list(waiting), "None.")}
      <h2>Yours</h2>
      ${cards(list(mine), html`None. <a href="/ask">Ask for access</a>`)}
      ${
        others.length > 0 &&
        html`<h2>Of others</h2>
          ${cards(list(others), "")}`
      }
      ${olderLink(older, "requests")}`,
  })
}

/** To approve or deny, or, after a break-glass, to look at. */
const toDecide = ({ subject }: Visit, requests: readonly RequestView[]): readonly RequestView[] =>
  requests.filter(
    ({ may_decide, may_review, decisions }) =>
      may_review || (may_decide && !decisions.some(({ by, verdict }) => by === subject && verdict === "approve")),
  )
