// `sluice policy test`, as an operator runs it.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { run } from "../../support/run.ts"
import { scratch } from "../../support/scratch.ts"

const main = join(import.meta.dirname, "../../../src/main.ts")
const config = join(import.meta.dirname, "../../../config/sluice.yaml")
const tried = (...more: string[]) => run(process.execPath, [main, "policy", "test", "--config", config, ...more])

/** The example's own cases with one word changed. */
function changed(from: string, to: string): string {
  const text = readFileSync(join(import.meta.dirname, "../../../config/policy_tests.yaml"), "utf8")
  assert(text.includes(from), from)
  const file = join(scratch("policy"), "tests.yaml")
  writeFileSync(file, text.replace(from, to))
  return file
}

test("policy test: the examples that come with the example hold", async () => {
  const { stdout, status } = await tried()
  assert.match(stdout, /^ok {5}who is on call gets in at once[\s\S]*\n5 of 5 hold\.\n$/)
  assert.equal(status, 0)
})

test("policy test: one that does not hold says what happens instead, where it stands, and ends with 1", async () => {
  for (const [from, to, words] of [
    ["refused: too_long", "rule: 0", /tests\.yaml:\d+: it should be possible to ask, and it is refused \(too_long\): .* at most 1h/],
    ["refused: invalid", "refused: not_askable", /should be refused \(not_askable\), and it is refused \(invalid\): .* asks for a reason/],
    [
      "expect: { rule: 0, approve: auto }",
      "expect: { refused: too_long }",
      /should be refused \(too_long\), and it can be asked for, under policy\.access\[0\]/,
    ],
    ["count: 1", "count: 2", /count should be 2, and is 1/],
    ["by: [oncall], count", "by: [engineers], count", /by should be \["engineers"\], and is \["oncall"\]/],
    ["break_glass: true", "break_glass: false", /approve should be "break_glass", and is "people"/],
  ] as const) {
    const { stdout, status } = await tried("--tests", changed(from, to))
    assert.match(stdout, words)
    assert.match(stdout, /\n1 of 5 do not hold\.\n$/)
    assert.equal(status, 1, from)
  }
})

test("policy test: a file that cannot be read or understood is misuse, told with its place", async () => {
  for (const [from, to, words] of [
    [
      "who: bob@example.com",
      "who: bobb@example.com",
      /tests\.yaml:4:10: "bobb@example\.com" is not a user of the config .* did you mean "bob@example\.com"/,
    ],
    ["target: prod-host", "target: prodhost", /tests\.yaml:5:13: "prodhost" is not a target; did you mean "prod-host"/],
    ["for: 1d", "for: 3650d", /tests\.yaml:\d+:\d+: from 1s to 366d/],
    ["at: 2026-01-15T03:00 Europe/Berlin", "at: 2026-03-29T02:30 Europe/Berlin", /clocks are set forward over it/],
    ["refused: too_long", "refuse: too_long", /unknown key "refuse"; did you mean "refused"/],
  ] as const) {
    const { stderr, status } = await tried("--tests", changed(from, to))
    assert.match(stderr, words)
    assert.equal(status, 2, from)
  }
  assert.match((await tried("--tests", "/nowhere.yaml")).stderr, /nowhere\.yaml:1:1: .*no such file/)
})

/** The blocks of docs/actions.md under "Rules for a team": the rules, and the examples. */
function teamExample(): { config: string; tests: string } {
  const text = readFileSync(join(import.meta.dirname, "../../../docs/actions.md"), "utf8")
  const [rules = "", examples = ""] = Array.from(
    text.split("## Rules for a team")[1]?.matchAll(/```yaml\n([^]*?)```/g) ?? [],
    ([, one]) => one,
  )
  const folder = scratch("policy")
  const [config, tests] = ["sluice.yaml", "policy_tests.yaml"].map((name) => join(folder, name)) as [string, string]
  const user = (name: string, group: string): string => `{ name: ${name}@example.com, groups: [${group}], ssh_keys: [] }`
  const people = [user("ana", "analysts"), user("eve", "engineers"), user("bob", "oncall"), user("erin", "oncall")]
  writeFileSync(
    config,
    `gateway: { name: gw.example.com }
identity: { users: [${people.join(", ")}] }
targets:
  - { name: orders, labels: { env: prod }, postgres: { address: "127.0.0.1:1", database: orders, tls: disable, roles: { readonly: {} } } }
  - name: prod-host
    labels: { env: prod }
    ssh: { address: "127.0.0.1:1", logins: [root], auth: certificate, host_key: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDt/auWOQuy5DHZsB5/xjmCISyGBv7EztA+w4x2Zva3x" }
  - { name: grafana, labels: { env: prod }, http: { url: "http://127.0.0.1:1" } }
${rules}`,
  )
  writeFileSync(tests, examples)
  return { config, tests }
}

test("policy test: the rules for a team that the documentation shows do what its examples say, and each example can fail", async () => {
  const { config: team, tests } = teamExample()
  const run_tests = () => run(process.execPath, [main, "policy", "test", "--config", team])
  const { stdout, stderr, status } = await run_tests()
  assert.match(stdout, /\n(\d+) of \1 hold\.\n$/, stdout + stderr)
  assert.equal(status, 0)
  // With no rules at all whatever is not allowed anyway is told as wrong.
  writeFileSync(team, readFileSync(team, "utf8").replace(/ {2}actions:[^]*$/, ""))
  const without = await run_tests()
  const forbids = readFileSync(tests, "utf8").match(/action: (deny|hold)|action_rule/g)?.length
  assert.match(without.stdout, new RegExp(`\n${forbids} of \\d+ do not hold\\.\n$`))
  assert.match(without.stdout, /WRONG {2}nothing is dropped\n {7}\S+:\d+: action should be deny, and is allow\n/)
})

test("policy test: an example of an action that says nothing, or that is no action there, is told with its place", async () => {
  const { config: team, tests } = teamExample()
  for (const [line, words] of [
    ["target: orders, action: SELECT 1, expect: {}", /:2:\d+: say what should come of it: action or action_rule/],
    ["target: orders, expect: {}", /say what should come of it: refused, rule/],
    ["target: orders, expect: { action: deny }", /are about an action: write which/],
    ["target: orders, action: SELECT 1, expect: { action: allow, rule: 1 }", /of an action only action and action_rule/],
    ["target: prod-host, action: sftp rename /a, expect: { action: deny }", /expected sftp, an operation \(read, write/],
    ["target: prod-host, action: forward here, expect: { action: deny }", /expected forward \[remote\] host:port/],
    ["target: grafana, action: delete /api, expect: { action: deny }", /expected a method in capital letters/],
    ["target: grafana, action: 'GET /api?x=1', expect: { action: deny }", /query is not looked at/],
    ["target: orders, action: ' ', expect: { action: deny }", /an action is not empty/],
  ] as const) {
    writeFileSync(tests, `tests:\n  - { name: one, who: eve@example.com, ${line} }\n`)
    const { stderr, status } = await run(process.execPath, [main, "policy", "test", "--config", team])
    assert.match(stderr, words, line)
    assert.equal(status, 2, line)
  }
})

test("policy test: --json says it for machines", async () => {
  const { stdout, status } = await tried("--json", "--tests", changed("count: 1", "count: 2"))
  const answer = JSON.parse(stdout) as { ok: boolean; tests: { name: string; wrong: string[] }[] }
  assert.equal(answer.ok, false)
  assert.deepEqual(
    answer.tests.filter(({ wrong }) => wrong.length > 0).map(({ wrong }) => wrong),
    [["count should be 2, and is 1"]],
  )
  assert.equal(status, 1)
})

test("policy test: an example may ask for a later start, and the hours of that start count", async () => {
  const folder = scratch("policy")
  const text = readFileSync(config, "utf8").replaceAll("file:example/", `file:${join(config, "../example")}/`)
  const rule = "{ who: [oncall], targets: { env: prod }, max: 1h, approve: auto"
  assert(text.includes(rule))
  const scheduled = join(folder, "sluice.yaml")
  writeFileSync(scheduled, text.replace(rule, `${rule}, schedule: { days: mon-fri, hours: "09:00-17:00", zone: Europe/Berlin }`))
  const asked = "who: bob@example.com, target: prod-host, for: 30m, at: 2026-01-15T12:00 Europe/Berlin"
  writeFileSync(
    join(folder, "policy_tests.yaml"),
    [
      "tests:",
      `  - { name: by day, ${asked}, expect: { rule: 0, approve: auto } }`,
      `  - { name: by night, ${asked}, start: 2026-01-16T02:00 Europe/Berlin, expect: { refused: not_askable } }`,
      "",
    ].join("\n"),
  )
  const { stdout, stderr, status } = await run(process.execPath, [main, "policy", "test", "--config", scheduled])
  assert.deepEqual([stdout, stderr, status], ["ok     by day\nok     by night\n2 of 2 hold.\n", "", 0])
})
