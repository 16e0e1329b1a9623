// Small pieces that every page is made of: what people wrote, names, times.
import { type Content, html, type Html } from "./html.ts"
import type { Millis } from "../core/clock.ts"
import { formatDuration } from "../core/duration.ts"
import { utc } from "../core/utc.ts"
import { visible, visibleLines } from "../core/visible.ts"

/** What somebody wrote: nothing in it moves, hides or reorders what stands around it. */
export const said = (text: string): Html => html`<bdi>${visible(text)}</bdi>`

/** The same, byte for byte as it would run; a line ends where it ends, and says so. */
export const code = (text: string): Html => html`<code><bdi>${visibleLines(text)}</bdi></code>`

export const names = (list: readonly string[]): Html => said(list.join(", "))

/** "2026-01-15 14:30:00 UTC (in 42m)" */
export function moment(at: Millis, now: Millis): Html {
  const distance = formatDuration(Math.abs(at - now))
  const words = distance === "0s" ? "now" : at > now ? `in ${distance}` : `${distance} ago`
  const whole = utc(at)
  const today = whole.slice(0, 10) === utc(now).slice(0, 10)
  return html`<time datetime="${new Date(at).toISOString()}">${today ? whole.slice(11) : whole}</time> <span class="soft">(${words})</span>`
}

/** A term and its value; nothing for a value that is not there. */
export const fact = (term: string, value: Content): Html | undefined =>
  value === undefined || value === null || value === false
    ? undefined
    : html`<div>
        <dt>${term}</dt>
        <dd>${value}</dd>
      </div>`

const marks = { good: "✓", bad: "✕", wait: "…", over: "–" } as const

/** A word with a mark of its own, so that colour is not needed to tell one from another. */
export const badge = (kind: keyof typeof marks, word: string): Html =>
  html`<span class="badge ${kind}"><span aria-hidden="true">${marks[kind]}</span> ${word}</span>`
