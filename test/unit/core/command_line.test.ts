// Whether a command line is read as a real shell takes it apart: what the reader is sure of, `sh` must agree with.
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { chmodSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { readCommandLine } from "../../../src/core/command_line.ts"
import { scratch } from "../../support/scratch.ts"

/** Deterministic (mulberry32): a failure names its seed and comes again. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Programs that there are where the lines are run: each says its own name and words. */
const programs = ["pa", "pb", "x", "y"]
// oxfmt-ignore
const pieces = [
  "pa ", "pb ", " x", " y", "x", "y", "'", "'", '"', '"', " ", " ", "\t", "\\", "$x", "$(x)", "`x`", "`",
  ";", "&", "|", "&&", "||", "\n", "\r", "\v", "\f", "\u00a0", "\u2028", "#", " #", "!", "(", ")", "{", "}", "{x,y}", "~", "*", "?", "[x]",
  "<", ">", "x=y", "=", "=x", "\0", "é", "-", "--", "%", "^", ":", ",", "@", "'x y'", '"x y"', '"$x"', "\\ ", "\\\n", "''", '""', "env ", "exec ",
]

function shell(): (line: string) => readonly string[][] {
  const folder = scratch("command_line")
  const out = join(folder, "out")
  for (const name of programs) {
    writeFileSync(join(folder, name), `#!/bin/sh\nprintf '%s\\0' "$#" "\${0##*/}" "$@" >> '${out}'\n`)
    chmodSync(join(folder, name), 0o755)
  }
  return (line) => {
    rmSync(out, { force: true })
    const ran = spawnSync("/bin/sh", ["-c", line], { env: { PATH: `${folder}:/usr/bin:/bin`, x: "value" }, cwd: folder, timeout: 5_000 })
    assert(ran.error === undefined || "code" in ran.error, String(ran.error))
    const said = existsSync(out) ? readFileSync(out, "utf8") : ""
    const words = said.split("\0")
    const runs: string[][] = []
    for (let at = 0; at < words.length - 1; at += Number(words[at]) + 2) runs.push(words.slice(at + 1, at + 2 + Number(words[at])))
    return runs
  }
}

test("command line: where the reader is sure, sh runs those commands with those words, and no others", () => {
  const run = shell()
  const seed = 20_261_124
  const next = random(seed)
  const pick = (): string => pieces[Math.floor(next() * pieces.length)] as string
  let sure = 0
  for (let count = 0; count < 60_000 && sure < 250; count++) {
    const line = `${next() < 0.5 ? "pa" : "pb"} ${Array.from({ length: 1 + Math.floor(next() * 6) }, pick).join("")}`
    const { commands, whole } = readCommandLine(line)
    if (!whole || line.includes("\0")) continue
    sure++
    const read = commands.map(({ words }) => words)
    for (const ran of run(line)) {
      const same = read.some((words) => words.length === ran.length && words.every((word, at) => word === ran[at]))
      assert(same, `seed ${seed}: of ${JSON.stringify(line)} sh ran ${JSON.stringify(ran)}, read was ${JSON.stringify(read)}`)
    }
  }
  assert.equal(sure, 250)
})

test("command line: quotes, spaces and several commands are read as sh does", () => {
  const run = shell()
  for (const line of [
    "pa x  y",
    "pa 'x y' \"y\"x",
    "pa ''",
    "pa x; pb y",
    "pa x && pb 'y;z'\npa",
    "pa x=y",
    "/bin/env pb x",
    "pa x|pb y",
  ]) {
    const { commands, whole } = readCommandLine(line)
    assert(whole, line)
    // Two that are joined by a pipe come in any order.
    const texts = (all: readonly (readonly string[])[]): Set<string> => new Set(all.map((words) => JSON.stringify(words)))
    assert.deepEqual(texts(commands.map(({ words }) => words)), texts(run(line)), line)
  }
})
