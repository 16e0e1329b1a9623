// The frame around every page: the head, who is signed in, where one can go. Pages are whole documents that need no script.
import type { Millis } from "../core/clock.ts"
import { visible } from "../core/visible.ts"
import { type Content, type Html, html } from "./html.ts"
import { style, styleHash } from "./style.ts"
import { said } from "./words.ts"

/** Somebody signed in, looking at a page. */
export interface Visit {
  readonly subject: string
  /** Goes with every form of theirs. */
  readonly csrf: string
  readonly now: Millis
  /** An administrator or auditor: sees what runs, not only what concerns them. */
  readonly oversees: boolean
}

export interface Page {
  readonly title: string
  /** Undefined: nobody is signed in. */
  readonly visit: Visit | undefined
  /** The path of the place in the navigation that this belongs to. */
  readonly place?: Place
  readonly main: Content
}

export type Place = keyof typeof places

const places = {
  "/": "Home",
  "/requests": "Requests",
  "/grants": "Access",
  "/sessions": "Sessions",
  "/gateways": "Gateways",
  "/ask": "Ask",
} as const

/** The places that only those who oversee may go to. */
const overseen: ReadonlySet<string> = new Set<Place>(["/gateways"])

/** What a browser is told about every page. */
export const headers: Readonly<Record<string, string>> = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; style-src ${styleHash}; img-src data:; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  "referrer-policy": "same-origin", // with none, a browser would not say where a form comes from
  "x-frame-options": "DENY",
  "x-content-type-options": "nosniff",
  "cross-origin-opener-policy": "same-origin",
  "cache-control": "no-store",
}

const icon =
  "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 24 24'%3E%3Crect width='24' height='24' rx='5' fill='%230a5a68'/%3E%3Cpath d='M5 8c3 0 3 3 7 3s4-3 7-3M5 14c3 0 3 3 7 3s4-3 7-3' fill='none' stroke='white' stroke-width='2'/%3E%3C/svg%3E"

export function page({ title, visit, place, main }: Page): string {
  return `<!doctype html>\n${html`<html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>${visible(title)} · Sluice</title>
      <link rel="icon" href="${icon}" />
      ${style}
    </head>
    <body>
      <a class="skip" href="#main">Skip to the content</a>
      <header class="top">
        <div>
          <a class="brand" href="/"
            ><svg viewBox="0 0 24 24" aria-hidden="true"><path d="M3 8c4 0 4 3 9 3s5-3 9-3M3 15c4 0 4 3 9 3s5-3 9-3" /></svg>Sluice</a
          >
          ${visit && navigation(visit, place)}
        </div>
      </header>
      <main id="main" tabindex="-1">${main}</main>
    </body>
  </html>`.toString()}\n`
}

function navigation({ subject, csrf, oversees }: Visit, place: Place | undefined): Html {
  const open = Object.entries(places).filter(([path]) => oversees || !overseen.has(path))
  const links = open.map(([path, word]) => html`<a href="${path}" ${path === place ? html` aria-current="page"` : ""}>${word}</a> `)
  return html`<nav aria-label="Main">${links}</nav>
    <form class="me" method="post" action="/sign-out">
      <span>${said(subject)}</span>${csrfField(csrf)}<button class="plain">Sign out</button>
    </form>`
}

export const csrfField = (csrf: string): Html => html`<input type="hidden" name="csrf" value="${csrf}" />`

/** Something that just happened, or did not. */
/** Leads to a proof of who somebody is, where a rule wants a fresher or stronger one, and back. */
export const proveLink = (path: string | undefined): Content =>
  path !== undefined && html`<p><a class="button primary" href="${path}">Log in again, then try once more</a></p>`

export const note = (kind: "good" | "bad", words: Content): Html =>
  html`<div class="note ${kind}" role="${kind === "bad" ? "alert" : "status"}">${words}</div>`
