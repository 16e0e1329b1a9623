// What a reload looks at in a config: whether it takes a restart, what is different, and that another process makes the same of it.
import assert from "node:assert/strict"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import test from "node:test"
import { inspect } from "node:util"
import { configChanges } from "../../../src/config/config_changes.ts"
import { type Loaded, loadConfig, loadSource } from "../../../src/config/load.ts"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { needsRestart } from "../../../src/config/restart_only.ts"
import { sameValue } from "../../../src/config/same_value.ts"
import { Secret } from "../../../src/core/secret.ts"
import { scratch } from "../../support/scratch.ts"

const folder = scratch("reload")
const secret = "the-password-that-nobody-may-read"
writeFileSync(join(folder, "password"), `${secret}\n`)
const file = join(folder, "sluice.yaml")

const lines = [
  "gateway:",
  "  name: gw.example.com",
  "  ssh: { listen: 127.0.0.1:2222 }",
  "identity:",
  "  users:",
  `    - { name: alice, groups: [engineers], ssh_keys: ["${generateOpensshKey("a").public.trim()}"] }`,
  "    - { name: bob, groups: [oncall] }",
  "targets:",
  "  - { name: orders, postgres: { address: 127.0.0.1:5432, database: orders, tls: disable, roles: { app: { password: file:password } } } }",
  "policy: { access: [{ who: [engineers], targets: orders, max: 4h, approve: { by: [oncall], count: 1 } }] }",
  "",
]

async function load(change: (text: string) => string = (text) => text): Promise<Extract<Loaded, { ok: true }>> {
  writeFileSync(file, change(lines.join("\n")))
  const loaded = await loadConfig(file)
  assert.ok(loaded.ok, inspect(loaded, { depth: 4 }))
  return loaded
}

test("another process makes the same config of what it is sent, whatever has become of the files", async (t) => {
  const loaded = await load()
  const message = JSON.parse(JSON.stringify(loaded.source.message())) as ReturnType<typeof loaded.source.message>
  writeFileSync(file, "not: [yaml")
  rmSync(join(folder, "password"))
  t.after(() => writeFileSync(join(folder, "password"), `${secret}\n`))
  const again = await loadSource(message)
  assert.ok(again.ok)
  assert.ok(sameValue(again.config, loaded.config))
  assert.deepEqual(again.source.message(), loaded.source.message())
})

test("two values are the same when all they hold is, in maps, sets, secrets and URLs too", () => {
  const make = (text: string) => ({
    map: new Map([["a", { text }]]),
    set: new Set([text, "b"]),
    secret: new Secret(text),
    url: new URL(`https://${text}.example.com`),
    bytes: Buffer.from(text),
    none: undefined,
  })
  // One that is made anew could match anything else.
  assert.ok(!sameValue([(text: string) => text === "a"], [(text: string) => text === "a"]))
  assert.ok(sameValue(make("one"), make("one")))
  for (const key of ["map", "set", "secret", "url", "bytes"] as const)
    assert.ok(!sameValue(make("one"), { ...make("one"), [key]: make("two")[key] }), key)
  assert.ok(!sameValue(undefined, "undefined") && !sameValue(undefined, null))
})

test("what a config was made from prints as its digest, and never as what it holds", async () => {
  const { source } = await load()
  for (const text of [JSON.stringify({ source }), inspect(source, { showHidden: true, depth: 9 }), inspect({ source })])
    assert.ok(!text.includes(secret) && !text.includes("engineers"), text)
})

test("a secret that was exchanged behind its reference is a change, though the file is the same", async (t) => {
  const before = await load()
  writeFileSync(join(folder, "password"), "another\n")
  t.after(() => writeFileSync(join(folder, "password"), `${secret}\n`))
  const after = await load()
  assert.equal(before.source.digest, after.source.digest)
  assert.deepEqual(configChanges(before, after), ["targets ~1"])
})

test("where it listens, what it is called and where it keeps things take a restart, each named with its place", async () => {
  const before = await load()
  const faults = async (change: (text: string) => string): Promise<string[]> => {
    const { config, source } = await load(change)
    return needsRestart(before.config, config, source).map(({ line, column, message }) => `${line}:${column}: ${message}`)
  }
  const words = "cannot change while sluice runs: it takes a restart"
  assert.deepEqual(await faults((text) => text), [])
  assert.deepEqual(await faults((text) => text.replace("2222", "2223")), [`3:18: gateway.ssh.listen ${words}`])
  assert.deepEqual(await faults((text) => text.replace("name: gw.example.com", "name: other.example.com").replace("2222", "2223")), [
    `2:9: gateway.name ${words}`,
    `3:18: gateway.ssh.listen ${words}`,
  ])
  assert.deepEqual(await faults((text) => `state: elsewhere\n${text}`), [`1:8: state ${words}`])
  assert.deepEqual(await faults((text) => `${text}approvals: { store: sqlite:other.db }\n`), [`11:21: approvals.store ${words}`])
  assert.deepEqual(await faults((text) => text.replace("  ssh:", "  workers: 3\n  ssh:")), [`3:12: gateway.workers ${words}`])
  // One that was taken out has no place of its own.
  assert.deepEqual(await faults((text) => text.replace(/ {2}ssh: .*\n/, "  postgres: { listen: 127.0.0.1:2222 }\n")), [
    `3:23: gateway.postgres.listen ${words}`,
  ])
  assert.deepEqual(await faults((text) => text.replace(/ {2}ssh: .*\n/, "")), [`2:3: gateway.ssh.listen ${words}`])
})

test("a first provider of company logins can come while it runs; another one takes a restart", async () => {
  const oidc = (issuer: string) => (text: string) =>
    text.replace("identity:", `identity:\n  oidc: { issuer: "${issuer}", client_id: sluice, client_secret: file:password }`)
  const [none, one, other] = [await load(), await load(oidc("https://one.example.com")), await load(oidc("https://two.example.com"))]
  assert.deepEqual(needsRestart(none.config, one.config, one.source), [])
  assert.match(needsRestart(one.config, other.config, other.source)[0]?.message ?? "", /identity\.oidc\.issuer cannot change/)
  assert.equal(needsRestart(one.config, none.config, none.source).length, 1)
})

test("what is different is told in numbers, section by section", async () => {
  const before = await load()
  const changes = async (change: (text: string) => string) => configChanges(before, await load(change))
  assert.deepEqual(await changes((text) => `# only a comment\n${text}`), ["nothing but its text changed"])
  assert.deepEqual(await changes((text) => text.replace("groups: [oncall]", "groups: [oncall, admins]")), ["users ~1"])
  assert.deepEqual(
    await changes((text) => text.replace(/ .*name: bob.*\n/, "    - { name: carol, groups: [oncall] }\n    - { name: dana }\n")),
    ["users +2 -1"],
  )
  assert.deepEqual(await changes((text) => text.replace("max: 4h", "max: 5h").replace("5432", "5433")), ["targets ~1", "rules changed"])
  const actions = (path: string) => (text: string) =>
    text
      .replace("targets:", 'targets:\n  - { name: web, http: { url: "http://127.0.0.1:3000" } }')
      .replace("policy: {", `policy: { actions: [{ http: { path: "${path}" }, then: deny }],`)
  const [one, other] = [await load(actions("/a/*")), await load(actions("/b/*"))]
  assert.deepEqual(configChanges(one, other), ["rules changed"])
  assert.deepEqual(await changes((text) => `${text}recordings: { stream_bytes_max: 1KiB }\n`), ["recordings changed"])
})
