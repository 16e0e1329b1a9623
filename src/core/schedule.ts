// When a rule is in force: weekdays and hours in a time zone, as people there read their clocks. A window over midnight belongs to
// the day it begins on. Daylight saving needs no care of ours: the wall clock is asked, and an hour that comes twice counts twice.
import type { Millis } from "./clock.ts"

export const weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"] as const
export type Weekday = (typeof weekdays)[number]

export interface Window {
  readonly days: ReadonlySet<Weekday>
  /** Minutes since midnight: from `from` on, and before `to`. `to` at or before `from` is on the next day. */
  readonly from: number
  readonly to: number
  /** A name of the IANA time zone database. */
  readonly zone: string
}

/** Whether one of `windows` is open at `at`. */
export function inForce(windows: readonly Window[], at: Millis): boolean {
  return windows.some((window) => isOpen(window, at))
}

function isOpen({ days, from, to, zone }: Window, at: Millis): boolean {
  const { day, minute } = wallClock(zone, at)
  if (from < to) return days.has(day) && from <= minute && minute < to
  return (days.has(day) && from <= minute) || (days.has(dayBefore(day)) && minute < to)
}

const dayBefore = (day: Weekday): Weekday => weekdays[(weekdays.indexOf(day) + 6) % 7] as Weekday

/** "mon-fri 09:00-17:00 Europe/Berlin, or sat 10:00-12:00 UTC": as it may be read by those who wait for it. */
export function scheduleWords(windows: readonly Window[]): string {
  return windows.map(({ days, from, to, zone }) => `${dayWords(days)} ${hourWords(from)}-${hourWords(to)} ${zone}`).join(", or ")
}

function dayWords(days: ReadonlySet<Weekday>): string {
  const runs: Weekday[][] = []
  for (const day of weekdays.filter((one) => days.has(one))) {
    const run = runs.at(-1)
    if (run?.at(-1) === dayBefore(day)) run.push(day)
    else runs.push([day])
  }
  return runs.map((run) => (run.length === 1 ? run[0] : `${run[0]}-${run.at(-1)}`)).join(" and ")
}

const hourWords = (minutes: number): string =>
  `${String(Math.floor(minutes / 60)).padStart(2, "0")}:${String(minutes % 60).padStart(2, "0")}`

/** "mon", "mon-fri", "fri-mon"; undefined: not such words. */
export function parseDays(text: string): Weekday[] | undefined {
  const [first, last = first, ...more] = text.trim().toLowerCase().split("-")
  const from = weekdays.indexOf(first as Weekday)
  const to = weekdays.indexOf(last as Weekday)
  if (from < 0 || to < 0 || more.length > 0) return undefined
  return Array.from({ length: ((to - from + 7) % 7) + 1 }, (_, days) => weekdays[(from + days) % 7] as Weekday)
}

/** "09:00-17:30"; the day may end at 24:00. Undefined: not such words, or no time at all. */
export function parseHours(text: string): Pick<Window, "from" | "to"> | undefined {
  const [, from = "", to = ""] = /^\s*(\d{1,2}:\d\d)\s*-\s*(\d{1,2}:\d\d)\s*$/.exec(text) ?? []
  const [begins, ends] = [minuteOf(from), minuteOf(to)]
  if (begins === undefined || ends === undefined || begins === day_minutes || begins === ends) return undefined
  return { from: begins, to: ends }
}

const day_minutes = 24 * 60

function minuteOf(text: string): number | undefined {
  const [hour = Number.NaN, minute = Number.NaN] = text.split(":").map(Number)
  const minutes = hour * 60 + minute
  return minute < 60 && minutes <= day_minutes ? minutes : undefined
}

export function isZone(zone: string): boolean {
  try {
    return clockOf(zone) !== undefined
  } catch {
    return false
  }
}

/** Few zones, and all of them in the config. */
const clocks = new Map<string, Intl.DateTimeFormat>()

function clockOf(zone: string): Intl.DateTimeFormat {
  const known = clocks.get(zone)
  if (known) return known
  const clock = new Intl.DateTimeFormat("en-GB", {
    timeZone: zone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  })
  clocks.set(zone, clock)
  return clock
}

function wallClock(zone: string, at: Millis): { readonly day: Weekday; readonly minute: number } {
  const parts = new Map(
    clockOf(zone)
      .formatToParts(at)
      .map(({ type, value }) => [type, value]),
  )
  const day = parts.get("weekday")?.toLowerCase() as Weekday
  return { day, minute: Number(parts.get("hour")) * 60 + Number(parts.get("minute")) }
}
