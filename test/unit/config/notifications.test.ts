// The section `notify`: what is sound is read, and what could leak or never work is a fault with its place.
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import { inspect } from "node:util"
import type { Channel } from "../../../src/config/config.ts"
import { loadConfig } from "../../../src/config/load.ts"
import { scratch } from "../../support/scratch.ts"

process.env["SLUICE_TEST_SLACK"] = "https://hooks.slack.com/services/T0/B0/abc"
process.env["SLUICE_TEST_SIGNING"] = "0123456789abcdef0123456789abcdef"
process.env["SLUICE_TEST_SMTP"] = "smtp://sluice:p%40ss@mail.example.com"
process.env["SLUICE_TEST_SHORT"] = "short"

const folder = scratch("notify")
let count = 0

async function load(...channels: readonly string[]): Promise<readonly Channel[] | readonly string[]> {
  const path = join(folder, `${++count}.yaml`)
  const notify = channels.map((channel) => `  - ${channel}\n`).join("")
  writeFileSync(path, `gateway: { name: gw.example.com }\nidentity: { users: [{ name: alice, groups: [oncall] }] }\nnotify:\n${notify}`)
  const loaded = await loadConfig(path)
  return loaded.ok ? loaded.config.notify : loaded.problems.map(({ line, message }) => `${line} ${message}`)
}

test("notify: the three ways, with their defaults", async () => {
  const [hook, slack, mail] = (await load(
    "{ name: siem, webhook: { url: https://siem.example.com/in, secret: env:SLUICE_TEST_SIGNING }, on: [request.*, grant.revoked] }",
    "{ name: team, slack: { webhook: env:SLUICE_TEST_SLACK, signing_secret: env:SLUICE_TEST_SIGNING, people: { U012AB3CD: alice } } }",
    "{ name: mail, email: { smtp: env:SLUICE_TEST_SMTP, from: sluice@example.com, addresses: { alice: alice@example.com } } }",
  )) as readonly Channel[]
  assert(hook?.way === "webhook" && slack?.way === "slack" && mail?.way === "email", inspect([hook, slack, mail]))
  assert.deepEqual([hook.url.href, hook.on], ["https://siem.example.com/in", ["request.*", "grant.revoked"]])
  assert(slack.on.includes("request.asked"))
  assert.equal(slack.people.get("U012AB3CD"), "alice")
  assert.deepEqual(mail.to, ["approvers", "requester"])
  const { host, port, tls, login } = mail.smtp
  assert.deepEqual([host, port, tls, login?.user, login?.password.reveal()], ["mail.example.com", 587, "starttls", "sluice", "p@ss"])
  assert(!inspect([hook, slack, mail], { depth: 9 }).includes("p@ss"))
})

const signed = "secret: env:SLUICE_TEST_SIGNING"
const from = "from: sluice@example.com"
const faults: readonly (readonly [string, RegExp])[] = [
  ["{ name: x }", /^4 a channel says how it is reached: one of webhook, slack, email is missing$/],
  ["{ name: X Y, webhook: { url: https://a.example, " + signed + " } }", /lower case letters, digits and - make a channel's name/],
  ["{ name: x, webhook: { url: http://a.example, " + signed + " } }", /begins with https:\/\//],
  ["{ name: x, webhook: { url: 'https://u:p@a.example', " + signed + " } }", /without user and password/],
  ["{ name: x, webhook: { url: https://a.example, secret: written-here } }", /a secret is not written here itself/],
  ["{ name: x, webhook: { url: https://a.example, secret: env:SLUICE_TEST_SHORT } }", /has at least 16 characters/],
  ["{ name: x, webhook: { url: https://a.example } }", /secret is missing/],
  ["{ name: x, on: everything, webhook: { url: https://a.example, " + signed + " } }", /such as request.asked or request.\*/],
  ["{ name: x, slack: { webhook: https://hooks.slack.com/services/T0 } }", /a secret is not written here itself/],
  ["{ name: x, slack: { webhook: env:SLUICE_TEST_SLACK, people: { alice: alice } } }", /expected a Slack user id/],
  [`{ name: x, email: { smtp: "smtp://u:p@mail.example.com", ${from} } }`, /a secret is not written here itself/],
  [`{ name: x, email: { smtp: "http://mail.example.com", ${from} } }`, /expected smtp:\/\/host:587/],
  [`{ name: x, email: { smtp: "smtp://mail.example.com", from: "Sluice <sluice@example.com>" } }`, /expected an e-mail address/],
  [
    `{ name: x, email: { smtp: "smtp://mail.example.com", ${from}, to: [everybody] } }`,
    /expected approvers, requester or an e-mail address/,
  ],
  [
    `{ name: x, email: { smtp: "smtp://mail.example.com", ${from}, to: ["a@b.example\\r\\nBcc: eve@evil.example"] } }`,
    /expected approvers/,
  ],
  [`{ name: x, email: { smtp: "smtp://mail.example.com", ${from}, ca: nonsense } }`, /not a certificate in PEM/],
  ["{ name: x, webhok: { url: https://a.example } }", /did you mean "webhook"/],
]

for (const [channel, words] of faults) {
  test(`notify: refused: ${channel}`, async () => {
    const problems = (await load(channel)) as readonly string[]
    assert(
      problems.some((problem) => words.test(problem)),
      inspect(problems),
    )
  })
}

test("notify: a URL that is a secret is not in the message about it", async () => {
  process.env["SLUICE_TEST_SLACK_BAD"] = "http://hooks.slack.example/services/T0/B0/topsecret"
  const problems = (await load("{ name: x, slack: { webhook: env:SLUICE_TEST_SLACK_BAD } }")) as readonly string[]
  assert.match(problems.join("\n"), /begins with https/)
  assert(!problems.join("\n").includes("topsecret"))
})

test("notify: two channels of one name are a fault", async () => {
  const channel = "{ name: x, webhook: { url: https://a.example, " + signed + " } }"
  assert.match(((await load(channel, channel)) as readonly string[]).join(), /is the name of another channel already/)
})
