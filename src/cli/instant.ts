// A time as people type it: with its offset, or with the name of a zone. Never without either: it would mean the zone of whichever
// machine reads it.
import { InvalidArgumentError } from "commander"
import type { Millis } from "../core/clock.ts"

const form =
  /^(?<day>\d{4}-\d\d-\d\d)[T ](?<time>\d\d:\d\d(?::\d\d)?) ?(?:(?<offset>Z|UTC|[+-]\d\d:?\d\d)|\[?(?<zone>[A-Za-z][\w+/-]*)\]?)$/

/** "2026-11-30T02:00Z", "2026-11-30 02:00 +01:00", "2026-11-30T02:00 Europe/Berlin". Throws with words for the one who typed it. */
export function instant(text: string): Millis {
  const { day, time, offset, zone } = form.exec(text.trim())?.groups ?? {}
  if (day === undefined || time === undefined)
    throw new InvalidArgumentError('A time says its zone: 2026-11-30T02:00Z, 2026-11-30T02:00+01:00 or "2026-11-30T02:00 Europe/Berlin".')
  const local = `${day}T${time}`
  const as_utc = Date.parse(`${local}Z`)
  // Date takes the 31st of a month of 30 days for the first of the next.
  if (Number.isNaN(as_utc) || !new Date(as_utc).toISOString().startsWith(local))
    throw new InvalidArgumentError(`${day} ${time} is not in the calendar.`)
  if (zone === undefined) return Date.parse(`${local}${offset === "UTC" ? "Z" : offset}`)
  return inZone(as_utc, zone, `${day} ${time}`)
}

/** The instant at which clocks in `zone` show `wall` (as if it were UTC). */
function inZone(wall: Millis, zone: string, said: string): Millis {
  const day_ms = 24 * 3_600_000
  const offsets = new Set([wall - day_ms, wall + day_ms].map((at) => offsetAt(at, zone)))
  const found = [...offsets].map((offset) => wall - offset).filter((at) => at + offsetAt(at, zone) === wall)
  const [at] = found
  if (at === undefined) throw new InvalidArgumentError(`${said} does not exist in ${zone}: clocks are set forward over it.`)
  if (found.length > 1)
    throw new InvalidArgumentError(`${said} is there twice in ${zone}, because clocks are set back: give an offset, such as +01:00.`)
  return at
}

/** How far ahead of UTC clocks in `zone` are at `at`, in milliseconds. */
function offsetAt(at: Millis, zone: string): number {
  let words: Intl.DateTimeFormat
  try {
    words = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    })
  } catch {
    throw new InvalidArgumentError(`There is no time zone ${zone}.`)
  }
  const part = Object.fromEntries(words.formatToParts(at).map(({ type, value }) => [type, Number(value)]))
  const wall = Date.UTC(part["year"] ?? 0, (part["month"] ?? 1) - 1, part["day"], part["hour"], part["minute"], part["second"])
  return wall - Math.floor(at / 1000) * 1000
}
