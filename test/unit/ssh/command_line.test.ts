import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { splitLine } from "../../../protocols/ssh/command_line.ts"
import { limits } from "../../../src/core/limits.ts"

suite("ssh: the line of a verb", () => {
  const split: readonly [line: string, words: readonly string[]][] = [
    ["", []],
    ["   ", []],
    ["request prod-host --for 1h", ["request", "prod-host", "--for", "1h"]],
    [`request db --reason "INC-7: pods crash"`, ["request", "db", "--reason", "INC-7: pods crash"]],
    [`deny 4 --reason 'it'\\''s late'`, ["deny", "4", "--reason", "it's late"]],
    [`a "" ''`, ["a", "", ""]],
    [`one\\ word "two \\"quoted\\" \\n"`, ["one word", 'two "quoted" \\n']],
    [`--reason=a" b "c`, ["--reason=a b c"]],
  ]
  for (const [line, words] of split) test(`is split as a shell would: ${line}`, () => assert.deepEqual(splitLine(line), words))

  test("nothing is ever expanded or run", () => {
    const line = "a $HOME `id` $(id) *.ts ~ {a,b} ; | & > < # !"
    assert.deepEqual(splitLine(line), line.split(" "))
  })

  for (const line of [
    `"open`,
    `'open`,
    `a\\`,
    "a\0b",
    "x".repeat(limits.ssh_line_bytes_max + 1),
    "x ".repeat(limits.ssh_line_words_max + 1),
  ]) {
    test(`is refused when it cannot be meant so: ${JSON.stringify(line.slice(0, 10))}`, () => {
      assert.throws(() => splitLine(line), { code: "invalid" })
    })
  }
})
