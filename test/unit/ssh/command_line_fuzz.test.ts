// The line of a verb, by fixed seeds: whatever words there are, quoted as people and programs quote them, they come out again; and any
// line at all is words or a refusal. The real `sh` is asked too.
import assert from "node:assert/strict"
import { spawnSync } from "node:child_process"
import { suite, test } from "node:test"
import { splitLine } from "../../../protocols/ssh/command_line.ts"
import { limits } from "../../../src/core/limits.ts"
import { Random } from "../../support/random.ts"

const letters = [
  "a",
  "b",
  "Z",
  "0",
  "-",
  "=",
  "'",
  '"',
  "\\",
  " ",
  "\t",
  "\n",
  "$",
  "`",
  "!",
  "*",
  ";",
  "|",
  "&",
  "é",
  "\u2028",
  "😀",
  "\u0001",
  "#",
  "~",
]

const quotings: readonly ((word: string) => string)[] = [
  (word) => `'${word.replaceAll("'", `'\\''`)}'`,
  (word) => `"${word.replaceAll(/["\\$`]/g, "\\$&")}"`,
  // A shell takes a backslash before the end of a line out, with the line's end.
  (word) =>
    word === ""
      ? `""`
      : Array.from(word)
          .map((letter) => (letter === "\n" ? `'\n'` : `\\${letter}`))
          .join(""),
]

const anyWord = (random: Random): string => Array.from({ length: random.below(9) }, () => random.pick(letters)).join("")
const anyWords = (random: Random): string[] => Array.from({ length: 1 + random.below(6) }, () => anyWord(random))

suite("ssh: the line of a verb, by chance", () => {
  test("words come out as they were quoted", () => {
    const random = new Random(1)
    for (let run = 0; run < 5_000; run++) {
      const words = anyWords(random)
      const line = words.map((word) => random.pick(quotings)(word)).join(random.pick([" ", "  ", "\t"]))
      assert.deepEqual(splitLine(line), words, `run ${run}: ${JSON.stringify(line)}`)
    }
  })

  test("sh reads the same words in such a line", () => {
    const random = new Random(2)
    const lines = Array.from({ length: 300 }, () =>
      anyWords(random)
        .map((word) => random.pick(quotings)(word))
        .join(" "),
    )
    const script = `say() { printf '%s\\0' "$#" "$@"; }\n${lines.map((line) => `say ${line}`).join("\n")}`
    const { stdout } = spawnSync("/bin/sh", ["-c", script], { encoding: "utf8", timeout: 30_000 })
    const said = stdout.split("\0")
    const read: string[][] = []
    for (let at = 0; at < said.length - 1; at += Number(said[at]) + 1) read.push(said.slice(at + 1, at + 1 + Number(said[at])))
    assert.deepEqual(
      read,
      lines.map((line) => splitLine(line)),
    )
  })

  test("any line is words, or a refusal in our words; never more of them than allowed", () => {
    const random = new Random(3)
    for (let run = 0; run < 20_000; run++) {
      const line = Array.from({ length: random.below(40) }, () => random.pick([...letters, "\0"])).join("")
      let words: readonly string[]
      try {
        words = splitLine(line)
      } catch (failure) {
        assert.equal((failure as { code?: string }).code, "invalid", `run ${run}: ${JSON.stringify(line)}`)
        continue
      }
      assert.ok(words.length <= limits.ssh_line_words_max)
      // Nothing is made up: what is in the words was in the line, in this order.
      let at = 0
      for (const letter of words.join("")) {
        at = line.indexOf(letter, at) + letter.length
        assert.ok(at >= letter.length, `run ${run}: ${JSON.stringify(line)}`)
      }
    }
  })
})
