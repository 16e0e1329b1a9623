// A page that cannot be shown, or a form that could not be taken: what happened, and what to do next.
import type { ErrorCode } from "../core/errors.ts"
import { type Content, html } from "./html.ts"
import { page, type Visit } from "./shell.ts"

export interface ProblemPage {
  readonly visit: Visit | undefined
  readonly code: ErrorCode
  /** The error's own words, which are fit for anybody. */
  readonly words: string
}

interface Known {
  readonly title: string
  readonly next: Content
}

const overview = html`<p><a class="button" href="/">Go to the overview</a></p>`
const known: Partial<Record<ErrorCode, Known>> = {
  not_found: {
    title: "There is nothing here for you",
    next: html`<p>
        It does not exist, or it is not yours to see. If somebody sent you the link, they may have meant a colleague, or you may be signed
        in as somebody else.
      </p>
      ${overview}`,
  },
  unauthenticated: {
    title: "You are not signed in",
    next: html`<p>Your session here has ended, or there was none. Nothing was changed.</p>
      <p><a class="button primary" href="/sign-in">Sign in</a></p>`,
  },
  forbidden: {
    title: "You may not do that",
    next: html`<p>Nothing was changed.</p>
      ${overview}`,
  },
  too_many: {
    title: "Too much at once",
    next: html`<p>Wait a moment, then try again.</p>
      ${overview}`,
  },
  stale: { title: "Not now", next: html`<p>The service cannot look into its store. Nothing was changed; try again in a moment.</p>` },
  internal: {
    title: "Something went wrong here",
    next: html`<p>It was not you. Try again in a moment; if it stays, tell whoever runs Sluice.</p>`,
  },
}

export function problemPage({ visit, code, words }: ProblemPage): string {
  const { title, next } = known[code] ?? {
    title: "That did not work",
    next: html`<p>Nothing was changed.</p>
      ${overview}`,
  }
  const told = code === "not_found" || code === "internal" ? undefined : html`<p>${sentence(words)}</p>`
  return page({
    title,
    visit,
    main: html`<h1>${title}</h1>
      ${told}${next}`,
  })
}

/** The table's words as a sentence of their own. */
export const sentence = (words: string): string => `${words.slice(0, 1).toUpperCase()}${words.slice(1)}${/[.!?]$/.test(words) ? "" : "."}`
