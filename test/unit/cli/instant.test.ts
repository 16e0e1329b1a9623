import assert from "node:assert/strict"
import { test } from "node:test"
import { instant } from "../../../src/cli/instant.ts"

const iso = (text: string): string => new Date(instant(text)).toISOString().slice(0, 16)

test("instant: a time with its offset or its zone, as people type it", () => {
  for (const text of [
    "2026-11-30T02:00Z",
    "2026-11-30 02:00 UTC",
    "2026-11-30T03:00:00+01:00",
    "2026-11-30T03:00 Europe/Berlin",
    "2026-11-30T03:00[Europe/Berlin]",
    "2026-11-29 21:00 America/New_York",
    "2026-11-30T07:30 Asia/Kolkata",
  ])
    assert.equal(iso(text), "2026-11-30T02:00", text)
  assert.equal(iso("2026-07-30T02:00 Europe/Berlin"), "2026-07-30T00:00")
})

test("instant: hours that clocks leave out or show twice are not guessed", () => {
  assert.throws(() => instant("2026-03-29T02:30 Europe/Berlin"), /does not exist in Europe\/Berlin/)
  assert.throws(() => instant("2026-10-25T02:30 Europe/Berlin"), /twice in Europe\/Berlin/)
  assert.equal(iso("2026-03-29T03:00 Europe/Berlin"), "2026-03-29T01:00")
  assert.equal(iso("2026-10-25T03:00 Europe/Berlin"), "2026-10-25T02:00")
})

test("instant: what is no time, no date or no zone says so", () => {
  for (const text of ["tomorrow", "2026-11-30", "2026-11-30T02:00", "02:00 Europe/Berlin", "2026-11-30T02:00 +1", ""])
    assert.throws(() => instant(text), /A time says its zone/, text)
  assert.throws(() => instant("2026-11-31T02:00Z"), /not in the calendar/)
  assert.throws(() => instant("2026-11-30T25:00Z"), /not in the calendar/)
  assert.throws(() => instant("2026-11-30T02:00 Europe/Atlantis"), /no time zone Europe\/Atlantis/)
})
