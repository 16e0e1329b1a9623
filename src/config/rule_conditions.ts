// What else an access rule depends on: the hour, the reason, the duration, the login.
import { formatDuration, parseDuration } from "../core/duration.ts"
import { limits } from "../core/limits.ts"
import { parsePattern, type Pattern } from "../core/pattern.ts"
import { isZone, parseDays, parseHours, type Weekday, weekdays, type Window } from "../core/schedule.ts"
import type { AccessRule, FreshLogin } from "./config.ts"
import { nearest } from "./nearest.ts"
import type { Reading } from "./reading.ts"
import type { Context } from "./rule_people.ts"
import type { RuleFile } from "./schema.ts"
import type { Path } from "./source.ts"

type Conditions = Pick<AccessRule, "ticket" | "per_day" | "schedule" | "when" | "pending_ms" | "login">

export function readConditions({ reading }: Context, path: Path, file: RuleFile): Conditions {
  const ticket = file.ticket === undefined ? undefined : readPattern(reading, [...path, "ticket"], file.ticket)
  const when = file.when && readWhen(reading, [...path, "when"], file.when)
  if (file.per_day !== undefined && file.approve !== "auto")
    reading.problem([...path, "per_day"], "only what a rule gives by itself is counted: it goes with approve: auto")
  return {
    ...(ticket && { ticket }),
    ...(file.per_day !== undefined && { per_day: file.per_day }),
    ...(file.schedule && { schedule: readSchedule(reading, [...path, "schedule"], file.schedule) }),
    ...(when && { when }),
    pending_ms: readWait(reading, [...path, "pending"], { written: file.pending, ms_max: limits.pending_ms_max }),
    ...(file.login && { login: readFreshLogin(reading, [...path, "login"], file.login) }),
  }
}

/** A duration that something waits: more than nothing, and at most `ms_max`. */
export function readWait(reading: Reading, path: Path, { written, ms_max }: { readonly written: string; readonly ms_max: number }): number {
  const wait_ms = parseDuration(written)
  if (wait_ms === undefined || wait_ms <= 0) reading.problem(path, "expected a duration, such as 15m, 4h, 1h30m or 2d")
  else if (wait_ms > ms_max) reading.problem(path, `at most ${formatDuration(ms_max)}`)
  return wait_ms ?? 0
}

export function readFreshLogin(reading: Reading, path: Path, { max_age, acr }: NonNullable<RuleFile["login"]>): FreshLogin {
  if (max_age === undefined && acr === undefined) reading.problem(path, "write max_age, acr or both")
  return {
    ...(max_age !== undefined && {
      max_age_ms: readWait(reading, [...path, "max_age"], { written: max_age, ms_max: limits.pending_ms_max }),
    }),
    ...(acr !== undefined && { acr: [acr].flat() }),
  }
}

function readWhen(reading: Reading, path: Path, file: NonNullable<RuleFile["when"]>): NonNullable<AccessRule["when"]> {
  if (file.for === undefined && file.reason === undefined) reading.problem(path, "write for, reason or both")
  const reason = file.reason === undefined ? undefined : readPattern(reading, [...path, "reason"], file.reason)
  return {
    ...(file.for !== undefined && { for_ms: readWait(reading, [...path, "for"], { written: file.for, ms_max: limits.grant_ms_max }) }),
    ...(reason && { reason }),
  }
}

function readPattern(reading: Reading, path: Path, written: string): Pattern | undefined {
  try {
    return parsePattern(written)
  } catch (failure) {
    reading.problem(path, (failure as Error).message)
    return undefined
  }
}

function readSchedule(reading: Reading, path: Path, written: NonNullable<RuleFile["schedule"]>): Window[] {
  const several = Array.isArray(written)
  return [written].flat().map((window, index): Window => {
    const at: Path = several ? [...path, index] : path
    const hours = parseHours(window.hours)
    if (!hours)
      reading.problem([...at, "hours"], "expected hours that begin and end at different times, such as 09:00-17:00 or 22:00-06:00")
    if (!isZone(window.zone)) {
      const near = nearest(window.zone, Intl.supportedValuesOf("timeZone"))
      reading.problem([...at, "zone"], `no such time zone${near ? `; did you mean ${near}?` : ", such as Europe/Berlin or UTC"}`)
    }
    return { days: readDays(reading, [...at, "days"], window.days), from: hours?.from ?? 0, to: hours?.to ?? 0, zone: window.zone }
  })
}

function readDays(reading: Reading, path: Path, written: string | readonly string[]): ReadonlySet<Weekday> {
  const days = new Set<Weekday>()
  for (const [index, text] of [written].flat().entries()) {
    const parsed = parseDays(text)
    if (parsed) for (const day of parsed) days.add(day)
    else reading.problem(Array.isArray(written) ? [...path, index] : path, `expected days, such as mon-fri or sat: ${weekdays.join(", ")}`)
  }
  return days
}
