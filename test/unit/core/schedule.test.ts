// When a rule is in force, as clocks on walls show it.
import assert from "node:assert/strict"
import { test } from "node:test"
import { inForce, isZone, parseDays, parseHours, scheduleWords, type Window } from "../../../src/core/schedule.ts"

function window(days: string, hours: string, zone = "Europe/Berlin"): Window {
  const [on, during] = [parseDays(days), parseHours(hours)]
  assert(on && during, `${days} ${hours}`)
  return { days: new Set(on), ...during, zone }
}
const open = (one: Window, at: string): boolean => inForce([one], Date.parse(at))

test("schedule: office hours begin and end on the minute, in their own zone", () => {
  const office = window("mon-fri", "09:00-17:00")
  // 2026-01-05 is a Monday; Berlin is one hour ahead of UTC.
  for (const [at, is] of [
    ["2026-01-05T07:59:59Z", false],
    ["2026-01-05T08:00:00Z", true],
    ["2026-01-05T15:59:59Z", true],
    ["2026-01-05T16:00:00Z", false],
    ["2026-01-04T12:00:00Z", false],
    ["2026-01-09T12:00:00Z", true],
    ["2026-01-10T12:00:00Z", false],
  ] as const)
    assert.equal(open(office, at), is, at)
})

test("schedule: a window over midnight belongs to the day it begins on", () => {
  const friday_night = window("fri", "22:00-06:00", "UTC")
  for (const [at, is] of [
    ["2026-01-09T21:59:00Z", false],
    ["2026-01-09T22:00:00Z", true],
    ["2026-01-10T05:59:00Z", true],
    ["2026-01-10T06:00:00Z", false],
    ["2026-01-10T22:00:00Z", false],
    ["2026-01-09T05:00:00Z", false],
  ] as const)
    assert.equal(open(friday_night, at), is, at)
  assert.equal(open(window("sun", "22:00-06:00", "UTC"), "2026-01-05T03:00:00Z"), true, "from Sunday into Monday")
})

test("schedule: both changes of daylight saving follow the clock on the wall", () => {
  // On 2026-03-29 Berlin goes from 02:00 to 03:00, on 2026-10-25 from 03:00 back to 02:00.
  const night = window("mon-sun", "01:30-03:30")
  for (const [at, is] of [
    ["2026-03-29T00:29:00Z", false], // 01:29
    ["2026-03-29T00:59:00Z", true], // 01:59
    ["2026-03-29T01:00:00Z", true], // 03:00
    ["2026-03-29T01:30:00Z", false], // 03:30
    ["2026-10-25T00:30:00Z", true], // 02:30, for the first time
    ["2026-10-25T01:30:00Z", true], // 02:30, for the second
    ["2026-10-25T02:29:00Z", true], // 03:29
    ["2026-10-25T02:30:00Z", false], // 03:30
  ] as const)
    assert.equal(open(night, at), is, at)
})

test("schedule: a night in which the clocks change is as long as that night is, and belongs to the day it begins on", () => {
  const saturday_night = window("sat", "22:00-06:00")
  for (const [at, is] of [
    ["2026-03-28T20:59:00Z", false], // Saturday 21:59
    ["2026-03-28T21:00:00Z", true], // 22:00
    ["2026-03-29T03:59:00Z", true], // Sunday 05:59, seven hours later
    ["2026-03-29T04:00:00Z", false], // 06:00
    ["2026-10-24T20:00:00Z", true], // Saturday 22:00
    ["2026-10-25T00:59:00Z", true], // 02:59, for the first time
    ["2026-10-25T01:00:00Z", true], // 02:00, for the second
    ["2026-10-25T04:59:00Z", true], // 05:59, nine hours later
    ["2026-10-25T05:00:00Z", false], // 06:00
    ["2026-10-25T21:00:00Z", false], // Sunday 22:00
  ] as const)
    assert.equal(open(saturday_night, at), is, at)
})

test("schedule: where the clocks skip midnight itself, the day before lasts until they do", () => {
  // On 2026-04-24, a Friday, Cairo goes from 00:00 to 01:00.
  const [thursday, friday] = [window("thu", "22:00-00:30", "Africa/Cairo"), window("fri", "00:00-02:00", "Africa/Cairo")]
  assert.deepEqual([open(thursday, "2026-04-23T21:59:00Z"), open(friday, "2026-04-23T21:59:00Z")], [true, false])
  assert.deepEqual([open(thursday, "2026-04-23T22:00:00Z"), open(friday, "2026-04-23T22:00:00Z")], [false, true])
  assert.equal(open(friday, "2026-04-23T23:00:00Z"), false)
})

test("schedule: a whole day, several windows, days that go round the week", () => {
  assert.equal(open(window("sat-sun", "00:00-24:00", "UTC"), "2026-01-10T23:59:59Z"), true)
  const windows = [window("mon", "09:00-10:00", "UTC"), window("tue", "09:00-10:00", "UTC")]
  assert.equal(inForce(windows, Date.parse("2026-01-06T09:30:00Z")), true)
  assert.equal(inForce(windows, Date.parse("2026-01-07T09:30:00Z")), false)
  assert.deepEqual(parseDays("sat-mon"), ["sat", "sun", "mon"])
})

test("schedule: what is no day, no time or no zone is told apart", () => {
  for (const days of ["", "monday", "mon-", "mon-fri-sat", "-", "1-5"]) assert.equal(parseDays(days), undefined, days)
  for (const hours of ["", "9-17", "09:00", "09:00-09:00", "24:00-06:00", "09:60-10:00", "25:00-26:00", "09:00-17:00:00"])
    assert.equal(parseHours(hours), undefined, hours)
  assert.equal(isZone("Europe/Berlin"), true)
  assert.equal(isZone("Europe/Atlantis"), false)
})

test("schedule: in words, as somebody who waits for it reads them", () => {
  assert.equal(scheduleWords([window("mon-fri", "9:00-17:30")]), "mon-fri 09:00-17:30 Europe/Berlin")
  const some: Window = { ...window("mon", "22:00-06:00", "UTC"), days: new Set(["sun", "mon", "wed", "thu"]) }
  assert.equal(
    scheduleWords([some, window("sat", "00:00-24:00", "UTC")]),
    "mon and wed-thu and sun 22:00-06:00 UTC, or sat 00:00-24:00 UTC",
  )
})
