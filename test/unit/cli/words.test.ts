import assert from "node:assert/strict"
import { test } from "node:test"
import { factLines, indented } from "../../../src/cli/fact_lines.ts"
import { table } from "../../../src/cli/table.ts"
import { distance, reasonOf, targetAs, time, until } from "../../../src/cli/words.ts"
import { jumpWith } from "../../../src/config/ways_in.ts"
import { visible, visibleJson } from "../../../src/core/visible.ts"

const noon = Date.UTC(2026, 0, 15, 12)

test("words: what could steer a terminal or reorder its letters is shown as its escape", () => {
  assert.equal(visible("crash é漢😀"), "crash é漢😀")
  assert.equal(visible("a\u001b[2J\r\n\tb\u0000\u009b"), "a\\e[2J\\r\\n\\tb\\x00\\x9b")
  assert.equal(
    visible("\u202etxt.exe\u2066\u200b\ufeff\u2028\ud800\ue000"),
    "\\u{202e}txt.exe\\u{2066}\\u{200b}\\u{feff}\\u{2028}\\u{d800}\\u{e000}",
  )
  assert.equal(
    visible("a\u00a0b\u3000c\u115fd\u3164e\u034ff\u2800g\ufe0fh\u0378"),
    "a\\xa0b\\u{3000}c\\u{115f}d\\u{3164}e\\u{34f}f\\u{2800}g\\u{fe0f}h\\u{378}",
    "nothing unseen, and no space but one",
  )
  assert.equal(visible(`a${"\u0301".repeat(6)}`), `a${"\u0301".repeat(4)}\\u{301}\\u{301}`, "no heap of marks over other lines")
  assert.equal(visible("नमस्ते ประเทศไทย שָׁלוֹם"), "नमस्ते ประเทศไทย שָׁלוֹם")
  assert.equal(visible("\\n"), "\\\\n", "an escape that was written is told from one that was made")
  const value = { reason: "\u202e\u009b\u2028\u0007" }
  assert.deepEqual(JSON.parse(visibleJson(value)), value)
  assert.ok(!/[\p{Cc}\p{Cf}\p{Zl}]/u.test(visibleJson(value)))
})

test("words: times say that they are UTC, and their day when it is another", () => {
  assert.equal(time(noon + 1_000, noon), "12:00:01 UTC")
  assert.equal(time(noon + 86_400_000, noon), "2026-01-16 12:00:00 UTC")
  assert.equal(until(noon + 5_400_000, noon), "13:30:00 UTC (in 1h30m)")
  assert.equal(distance(noon - 60_000, noon), "1m ago")
  assert.equal(distance(noon, noon), "now")
  assert.equal(targetAs("prod\n", ["root", "de\u202eploy"]), "prod\\n as root, de\\u{202e}ploy")
  assert.equal(reasonOf(""), "(no reason given)")
})

test("words: a text of others never begins where a line of ours does, however it is made to wrap, and nothing of it is lost", () => {
  const forged = `SELECT 1${" ".repeat(62)}  rule    policy.actions[9]${"漢".repeat(60)}`
  for (const columns of [Infinity, 80, 33, 5]) {
    const lines = factLines("action", forged, columns).split("\n")
    assert.equal(lines[0]?.slice(0, 18), "  action  SELECT 1")
    assert.ok(lines.slice(1).every((line) => line.startsWith(" ".repeat(10))))
    assert.equal(lines.map((line) => line.slice(10)).join(""), forged)
    if (columns === 80) assert.ok(lines.every((line) => line.replaceAll(/[^\u0020-\u007e]/g, "..").length <= 80))
  }
  assert.equal(factLines("action", "DELETE\\n\nFROM t", 80), "  action  DELETE\\n\n          FROM t")
  assert.equal(indented("x".repeat(100), 60), `  ${"x".repeat(58)}\n  ${"x".repeat(42)}`)
})

test("words: a table is aligned, folds its last column to the screen and loses nothing", () => {
  const rows = [
    ["1", "alice", "the quick brown fox jumps over the lazy dog"],
    ["22", "bob", ""],
  ]
  const wide = table(["ID", "WHO", "WHY"], rows, { columns: Infinity, nothing: "none" })
  assert.equal(wide, "ID  WHO    WHY\n1   alice  the quick brown fox jumps over the lazy dog\n22  bob")
  const narrow = table(["ID", "WHO", "WHY"], rows, { columns: 32, nothing: "none" })
  assert.deepEqual(narrow.split("\n"), [
    "ID  WHO    WHY",
    "1   alice  the quick brown fox",
    "           jumps over the lazy",
    "           dog",
    "22  bob",
  ])
  assert.equal(table(["ID"], [], { columns: 80, nothing: "none" }), "none")
  const long = table(["ID", "WHY"], [["1", "x".repeat(50)]], { columns: 24, nothing: "" })
  assert.equal(long.replaceAll(/[^x]/g, ""), "x".repeat(50))
})

test("words: the line that jumps is made from the line that asks", () => {
  assert.equal(jumpWith("ssh gw.example.com"), "ssh -J gw.example.com")
  assert.equal(jumpWith("ssh -p 2222 gw.example.com"), "ssh -J gw.example.com:2222")
  assert.equal(jumpWith("ssh -p 22 gw"), "ssh -J gw")
  assert.equal(jumpWith("ssh -F demo/ssh_config gateway"), "ssh -F demo/ssh_config -J gateway")
})
