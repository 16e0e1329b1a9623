// Asking again: what there is already of the same question, and what becomes of it. It decides, and changes nothing.
import type { Millis } from "../../core/clock.ts"
import { formatDuration } from "../../core/duration.ts"
import { GatewayError } from "../../core/errors.ts"
import { utc } from "../../core/utc.ts"
import { isAlike, isPending, wasJustGiven } from "./request_state.ts"
import type { Change, NewRequestRecord, RequestRecord } from "../store.ts"

interface AskedBefore {
  /** Asking again only repeats this one. */
  readonly answer?: RequestRecord
  /** This one waits for people, and a rule gives by now what it asks for. */
  readonly instead?: RequestRecord
}

interface Asking {
  readonly record: NewRequestRecord
  /** A rule gives it at once. */
  readonly given: boolean
  /** They wait in a tool for whatever lets them in: what waits already is theirs too, though it asks for other times. */
  readonly joins: boolean
  readonly now: Millis
}

/** What there is already of those who ask the same. Throws `already_asked` when one waits that asks for other times. */
export async function askedBefore(change: Change, { record, given, joins, now }: Asking): Promise<AskedBefore> {
  const last = await change.lastRequest(record)
  if (!last) return {}
  if ((last.review === null) === (record.review === null) && wasJustGiven(last, record, now)) return { answer: last }
  // Nobody waits for a decision in an emergency: a break-glass takes nothing back.
  if (record.review !== null) return {}
  const waiting = last.state === "pending" ? last : await change.lastRequest(record, "pending")
  if (!waiting || !isPending(waiting, now)) return {}
  if (given) return isAlike(waiting, record) ? { instead: waiting } : {}
  if (joins || isAlike(waiting, record)) return { answer: waiting }
  const { id, duration_ms, starts_at } = waiting
  const from = starts_at === null ? "" : ` from ${utc(starts_at)} on`
  throw new GatewayError("already_asked", {
    what: `request ${id} asks for this already, for ${formatDuration(duration_ms)}${from}, and waits for a decision. Withdraw it to ask for another time`,
  })
}
