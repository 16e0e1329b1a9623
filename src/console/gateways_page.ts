// The gateways there are: which are heard, which were given up, what they run. For those who oversee; nothing is done here.
import type { GatewaysAnswer, GatewayView } from "../api/schema.ts"
import type { Millis } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import { html, type Html } from "./html.ts"
import { cards } from "./request_facts.ts"
import { page, type Visit } from "./shell.ts"
import { badge, fact, moment, said } from "./words.ts"

export interface GatewaysPage extends GatewaysAnswer {
  readonly visit: Visit
  /** The name that the page begins behind; undefined: the first page. */
  readonly after: string | undefined
}

export function gatewaysPage({ visit, version, gateways, after }: GatewaysPage): string {
  const ordered = gateways.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const rest = after === undefined ? ordered : ordered.filter(({ name }) => name > after)
  const shown = rest.slice(0, limits.page_rows_max)
  const last = shown.length < rest.length ? shown.at(-1)?.name : undefined
  return page({
    title: "Gateways",
    visit,
    place: "/gateways",
    main: html`<h1>Gateways</h1>
      <p class="soft">${summary(gateways)} The approval service that answers runs version ${said(version)}.</p>
      <h2 class="unseen">All that there are</h2>
      ${cards(
        shown.map((gateway) => gatewayCard(gateway, visit.now)),
        after === undefined ? "No gateway was heard." : "No more.",
      )}
      ${last !== undefined && html`<p><a href="/gateways?${new URLSearchParams({ after: last }).toString()}">More gateways</a></p>`}`,
  })
}

/** "4 processes: 2 live, 1 silent, 1 lost." A gateway may consist of several processes, each with a name of its own. */
function summary(gateways: readonly GatewayView[]): string {
  const count = (wanted: GatewayView["status"]): number => gateways.filter(({ status }) => status === wanted).length
  const parts = (["live", "silent", "lost"] as const).map((status) => [count(status), status] as const).filter(([many]) => many > 0)
  if (parts.length === 0) return ""
  return `${gateways.length === 1 ? "1 process" : `${gateways.length} processes`}: ${parts.map(([many, status]) => `${many} ${status}`).join(", ")}.`
}

function gatewayCard(gateway: GatewayView, now: Millis): Html {
  const { name, version, other_version, status, sessions, seen_at, lost_at, started_at, listening, service, from } = gateway
  const ports = Object.entries(listening)
  return html`<li class="card">
    <div class="row">
      <h3>${said(name)}</h3>
      ${stateBadge(status)}
    </div>
    <dl>
      ${fact("Sessions", String(sessions))}
      ${fact("Version", html`${said(version)}${other_version && html` <span class="soft">(not the service's)</span>`}`)}
      ${fact("Last heard", html`${moment(seen_at, now)}, by ${said(service)}`)}
      ${fact("Given up", lost_at !== null && moment(lost_at, now))} ${fact("Started", moment(started_at, now))}
      ${fact("Calls from", said(from))}
      ${fact("Listens on", ports.length > 0 && ports.map(([protocol, address]) => html`<p>${said(`${protocol} ${address}`)}</p>`))}
    </dl>
  </li>`
}

function stateBadge(status: GatewayView["status"]): Html {
  switch (status) {
    case "live":
      return badge("good", "Live")
    case "silent":
      return badge("wait", "Silent")
    case "lost":
      return badge("bad", "Lost")
  }
}
