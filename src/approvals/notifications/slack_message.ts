// A Slack message (Block Kit). What people wrote stands in `plain_text` objects, where Slack reads no markup, with the three
// characters that mean something even there escaped. So nothing in it can become a link, a mention, a quote or a second field.
import { createHmac, timingSafeEqual } from "node:crypto"
import type { SlackChannel } from "../../config/config.ts"
import type { Millis } from "../../core/clock.ts"
import type { RequestId } from "../../core/ids.ts"
import type { Secret } from "../../core/secret.ts"
import { factsOf, isOpen, isToDecide, linkOf, type Notice, titleOf } from "./notice.ts"
import type { Posting } from "./post.ts"

const header_chars_max = 150 // Slack's own bounds
const field_chars_max = 2_000
const fields_max = 10

type Json = Readonly<Record<string, unknown>>

interface Sending {
  readonly id: string
  readonly notice: Notice
  readonly public_url: string
  readonly now: Millis
}

export function slackPosting(channel: SlackChannel, sending: Sending): Posting {
  return {
    url: new URL(channel.webhook.reveal()),
    headers: { "content-type": "application/json" },
    body: JSON.stringify(messageOf(channel, sending)),
  }
}

function messageOf({ signing_secret }: SlackChannel, { id, notice, public_url, now }: Sending): Json {
  const { request } = notice
  const decidable = signing_secret !== undefined && request !== undefined && isToDecide(notice) && isOpen(notice, now) && fits(notice)
  const link = linkOf(notice, public_url)
  const actions = [
    ...(decidable
      ? [
          button("approve", "Approve", { style: "primary", value: buttonValue(signing_secret, request.id) }),
          button("deny", "Deny", { style: "danger", value: buttonValue(signing_secret, request.id) }),
        ]
      : []),
    ...(link === undefined ? [] : [button("open", "Open", { url: link })]),
  ]
  return {
    // Beside blocks this is what a phone's notification shows. It is read as markup unless told not to, so it holds no word of anybody's.
    text: request ? `Request ${request.id}: ${notice.event.kind}` : notice.event.kind,
    mrkdwn: false,
    unfurl_links: false,
    unfurl_media: false,
    blocks: [
      { type: "header", text: plain(titleOf(notice), header_chars_max) },
      ...fieldBlocks(notice),
      ...(actions.length > 0 ? [{ type: "actions", block_id: "decide", elements: actions }] : []),
      { type: "context", elements: [plain(`${notice.event.kind} ${id}`, field_chars_max)] },
    ],
  }
}

/** Nobody decides here about what Slack would show them the half of: then there is the page. */
const fits = (notice: Notice): boolean =>
  factsOf(notice).every(({ label, value, cut }) => !cut && escapeSlack(`${label}: ${value}`).length <= field_chars_max)

/** Short facts side by side, as many in a block as Slack takes; those that may be long each on a line of its own. */
function fieldBlocks(notice: Notice): readonly Json[] {
  const facts = factsOf(notice)
  const short = facts.filter(({ label }) => !words.has(label))
  const long = facts.filter(({ label }) => words.has(label))
  const rows = Array.from({ length: Math.ceil(short.length / fields_max) }, (_, row) =>
    short.slice(row * fields_max, (row + 1) * fields_max),
  )
  return [
    ...rows.map((row) => ({ type: "section", fields: row.map(({ label, value }) => plain(`${label}: ${value}`, field_chars_max)) })),
    ...long.map(({ label, value }) => ({ type: "section", text: plain(`${label}: ${value}`, field_chars_max) })),
  ]
}

const words: ReadonlySet<string> = new Set(["Action", "Calls", "Note", "Reason", "Words", "Only"])

const button = (action_id: string, words: string, more: Json): Json => ({
  type: "button",
  action_id,
  text: { type: "plain_text", text: words },
  ...more,
})

/** `emoji: false`: words between colons stay words. Cut before it is escaped, so that no escape is cut in two. */
export function plain(text: string, chars_max: number): Json {
  let escaped = escapeSlack(text)
  for (let keep = chars_max - 1; escaped.length > chars_max; keep -= escaped.length - chars_max)
    escaped = `${escapeSlack(Array.from(text).slice(0, Math.max(0, keep)).join(""))}…`
  return { type: "plain_text", text: escaped, emoji: false }
}

/** Slack's control characters, as its documentation has them escaped. */
export const escapeSlack = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")

/**
 * What a button carries back: the request, and a proof that the message around it was ours. Whoever has the webhook's URL can post
 * a message that tells lies, but not one whose buttons do anything.
 */
export const buttonValue = (secret: Secret, id: RequestId): string => `${id}.${proof(secret, id)}`

const proof = (secret: Secret, id: number): string =>
  createHmac("sha256", secret.reveal()).update(`sluice button of request ${id}`).digest("hex")

/** The request a button stands for; undefined for a button that is not ours. */
export function requestOfButton(secret: Secret, value: string): RequestId | undefined {
  const [, digits, shown] = /^(\d{1,15})\.([0-9a-f]{64})$/.exec(value) ?? []
  if (digits === undefined || shown === undefined) return undefined
  const id = Number(digits)
  return timingSafeEqual(Buffer.from(shown), Buffer.from(proof(secret, id))) ? (id as RequestId) : undefined
}
