// `approvals.gateways`: who the gateways are. A fault is told with its place.
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import test from "node:test"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { loadConfig } from "../../../src/config/load.ts"
import { scratch } from "../../support/scratch.ts"

const folder = scratch("gateways")
const [first, second] = [generateOpensshKey("a").public, generateOpensshKey("b").public]

async function load(approvals: string) {
  const file = `${folder}/sluice.yaml`
  writeFileSync(`${folder}/key`, "k".repeat(40))
  writeFileSync(
    file,
    `gateway: { name: gw.example.com }\napprovals:\n${approvals}identity: { users: [{ name: alice, ssh_keys: ["${first}"] }] }\n`,
  )
  return loadConfig(file)
}

async function problemsOf(approvals: string): Promise<string> {
  const loaded = await load(approvals)
  return loaded.ok ? "" : loaded.problems.map(({ line, column, message }) => `${line}:${column} ${message}`).join("\n")
}

test("config: gateways are known by their names and keys, in lower case", async () => {
  const loaded = await load(`  gateway_key: file:key\n  gateways:\n  - { name: One.gw, public_key: "${first}" }\n  - { name: two.gw }\n`)
  assert(loaded.ok)
  assert.deepEqual(
    loaded.config.approvals.gateways?.map(({ name, key }) => [name, key?.type]),
    [
      ["one.gw", "ssh-ed25519"],
      ["two.gw", undefined],
    ],
  )
  const none = await load("  gateway_key: file:key\n")
  assert(none.ok)
  assert.equal(none.config.approvals.gateways, undefined)
})

test("config: the gateway of this machine needs no key in the list, others do unless all share one", async () => {
  assert.equal(await problemsOf("  gateways: [{ name: gw.example.com }]\n"), "")
  assert.match(await problemsOf("  gateways:\n  - { name: two.gw }\n"), /^4:\d+ how is it known\? Give it its public_key/)
})

test("config: what cannot be a gateway is refused", async () => {
  for (const [written, words] of [
    ["[]", /at least 1 is needed/],
    ["[{ name: gw/0 }]", /expected the `gateway.name` of a gateway/],
    [`[{ name: one.gw, public_key: "${first}" }, { name: ONE.gw, public_key: "${second}" }]`, /this name is listed twice/],
    [`[{ name: one.gw, public_key: "${first}" }, { name: two.gw, public_key: "${first}" }]`, /this key is listed twice/],
    ["[{ name: one.gw, public_key: ssh-ed25519 AAAA }]", /cannot be read; is it complete\?/],
    [
      '[{ name: one.gw, public_key: "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBEmKSENjQEezOmxkZMy7opKgwFB9nkt5YRrYMjNuG5N87uRgg6CLrbo5wAdT/y6v0mKV0U2w0WZ2YB/++Tpockg=" }]',
      /a gateway's key is an ssh-ed25519 key/,
    ],
    ["[{ name: one.gw, key: x }]", /unknown key "key"; .*allowed here: name, public_key/],
  ] as const)
    assert.match(await problemsOf(`  gateways: ${written}\n`), words, written)
})
