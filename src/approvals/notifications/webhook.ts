// The signed webhook: one JSON body an event, and a signature over it and the moment it was sent. What a receiver does with them is
// in docs/notifications.md.
import { createHmac } from "node:crypto"
import type { WebhookChannel } from "../../config/config.ts"
import type { Millis } from "../../core/clock.ts"
import { limits } from "../../core/limits.ts"
import type { Secret } from "../../core/secret.ts"
import { utc } from "../../core/utc.ts"
import type { RequestRecord } from "../store.ts"
import { factsOf, linkOf, type Notice, titleOf } from "./notice.ts"
import type { Posting } from "./post.ts"

interface Sending {
  readonly id: string
  readonly notice: Notice
  readonly public_url: string
  readonly now: Millis
}

export function webhookPosting(channel: WebhookChannel, { id, notice, public_url, now }: Sending): Posting {
  const body = bodyOf(id, notice, public_url)
  const headers = {
    "content-type": "application/json",
    "sluice-notification": id,
    "sluice-event": notice.event.kind,
    "sluice-signature": signature(channel.secret, body, now),
  }
  return { url: channel.url, headers, body }
}

/** `t=<seconds>,v1=<hex>`: HMAC-SHA256 over the seconds, a dot, and the body's bytes. */
export function signature(secret: Secret, body: string, now: Millis): string {
  const t = Math.floor(now / 1_000)
  return `t=${t},v1=${createHmac("sha256", secret.reveal()).update(`${t}.${body}`).digest("hex")}`
}

function bodyOf(id: string, notice: Notice, public_url: string): string {
  const { event, request, grant, session } = notice
  const { sequence, kind, at, actor, by, from, reason, rule, detail } = event
  const body = {
    version: 1,
    id,
    event: kind,
    sequence,
    at,
    actor: { kind: actor, name: by, from },
    reason,
    rule,
    title: titleOf(notice),
    text: [titleOf(notice), ...factsOf(notice).map(({ label, value }) => `${label}: ${value}`), `At: ${utc(at)}`].join("\n"),
    link: linkOf(notice, public_url) ?? null,
    request: request ?? null,
    grant: grant ?? null,
    session: session ?? null,
  }
  const fits = (text: string): boolean => Buffer.byteLength(text) <= limits.notification_body_bytes_max
  const whole = JSON.stringify({ ...body, detail })
  if (fits(whole)) return whole
  const alone = JSON.stringify({ ...body, detail: null })
  return fits(alone) || !request ? alone : JSON.stringify({ ...body, request: { ...request, hold: beginning(request.hold) }, detail: null })
}

/** A held action may be as long as all that a body may be. */
const beginning = (hold: RequestRecord["hold"]): RequestRecord["hold"] =>
  hold && { ...hold, text: hold.text.slice(0, limits.hold_list_chars_max), values: [] }
