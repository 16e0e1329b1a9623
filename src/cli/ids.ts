// Ids, durations and counts as they are typed: checked before anything is sent, with words for the one who mistyped.
import { InvalidArgumentError } from "commander"
import { parseDuration } from "../core/duration.ts"
import { isGrantId, isSessionId, type GrantId, type SessionId } from "../core/ids.ts"

/** A request's number, as `42` or `#42`. */
export function requestNumber(text: string): number {
  const [, number] = /^#?([1-9]\d{0,14})$/.exec(text) ?? []
  if (number === undefined) throw new InvalidArgumentError("A request's number looks like 42.")
  return Number(number)
}

export function grantId(text: string): GrantId {
  if (!isGrantId(text)) throw new InvalidArgumentError("A grant's id looks like g_0123456789abcdef.")
  return text
}

export function sessionId(text: string): SessionId {
  if (!isSessionId(text)) throw new InvalidArgumentError("A session's id looks like s_0123456789abcdef.")
  return text
}

/** Milliseconds. */
export function duration(text: string): number {
  const duration_ms = parseDuration(text)
  if (duration_ms === undefined) throw new InvalidArgumentError("A duration looks like 90s, 15m, 1h30m or 2d.")
  return duration_ms
}

export function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError("A count is a whole number from 1 on.")
  return Number(text)
}
