// The section `identity.oidc`, and what it changes in how the others are read.
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { inspect } from "node:util"
import { loadConfig } from "../../../src/config/load.ts"
import { scratch } from "../../support/scratch.ts"

process.env["SLUICE_TEST_SECRET"] = "hunter2-hunter2"
const oidc = "issuer: https://login.example.com, client_id: sluice, client_secret: env:SLUICE_TEST_SECRET"
const file = (identity: string, more = ""): string => `
gateway: { name: gw.example.com, http: {} }
identity: { ${identity} }
targets:
  - { name: wiki, http: { url: "http://10.0.0.7" } }
policy:
  access:
    - { who: engineers, targets: wiki, max: 1h, approve: { by: [oncall, dana@example.com], count: 2 } }
${more}`

async function load(text: string) {
  const path = join(scratch("oidc"), "sluice.yaml")
  writeFileSync(path, text)
  return loadConfig(path)
}

async function problems(text: string): Promise<string> {
  const loaded = await load(text)
  return loaded.ok ? "" : loaded.problems.map(({ line, message }) => `${line} ${message}`).join("\n")
}

test("config: with company login nobody need be in the file, and rules name groups that only logins bring", async () => {
  const loaded = await load(file(`oidc: { ${oidc} }`))
  assert(loaded.ok, inspect(loaded))
  const { users, oidc: read } = loaded.config.identity
  assert.deepEqual(users, [])
  assert.deepEqual(
    [read?.issuer, read?.groups_claim, read?.name_claim, read?.login_for_ms, read?.scopes],
    ["https://login.example.com", "groups", "email", 12 * 3_600_000, ["openid", "profile", "email"]],
  )
  assert.equal(read?.client_secret.reveal(), "hunter2-hunter2")
  assert(!inspect(loaded).includes("hunter2"))
})

test("config: without it a group that nobody is in is a fault, and so is a file with nobody", async () => {
  assert.match(await problems(file("users: []")), /nobody could log in/)
  assert.match(await problems(file("users: [{ name: alice, groups: [engineers] }]")), /"oncall" is not a group that somebody is in/)
})

for (const [what, from, to, words] of [
  ["an issuer in clear", "issuer: https://login.example.com", "issuer: http://login.example.com", /the issuer must be https/],
  ["an issuer that is no URL", "issuer: https://login.example.com", "issuer: login", /begins with http/],
  ["a secret in the file", "env:SLUICE_TEST_SECRET", "hunter2", /a secret is not written here itself/],
  ["no openid", "client_id: sluice", "client_id: sluice, scopes: [email]", /`openid` is missing/],
  ["two scopes in one", "client_id: sluice", 'client_id: sluice, scopes: [openid, "a b"]', /a scope is one word/],
  ["a login for a minute", "client_id: sluice", "client_id: sluice, login_for: 1m", /from 5m to 30d/],
  ["a login for a year", "client_id: sluice", "client_id: sluice, login_for: 365d", /from 5m to 30d/],
  ["a login without an end", "client_id: sluice", "client_id: sluice, login_for: forever", /from 5m to 30d/],
  ["a key that is none", "client_id: sluice", "client_id: sluice, group_claim: g", /did you mean "groups_claim"/],
] as const)
  test(`config: oidc: ${what} is a fault at its place`, async () => {
    const said = await problems(file(`oidc: { ${oidc.replace(from, to)} }`))
    assert.match(said, words)
    assert.match(said, /^3 /)
    assert(!said.includes("hunter2"))
  })

test("config: one login is one person's, and needs a provider", async () => {
  const users = "users: [{ name: a, oidc_sub: s }, { name: b, oidc_sub: s }]"
  assert.match(await problems(file(`${users}, oidc: { ${oidc} }`)), /this is a's already/)
  assert.match(await problems(file("users: [{ name: a, groups: [engineers, oncall], oidc_sub: s }]")), /there is no `oidc`/)
})

test("config: people reach the service by the gateway's own name when it serves HTTP, unless told", async () => {
  const url = async (text: string) => {
    const loaded = await load(text)
    assert(loaded.ok, inspect(loaded))
    return loaded.config.approvals.public_url
  }
  const text = file(`oidc: { ${oidc} }`)
  assert.equal(await url(text), "https://gw.example.com:8443")
  assert.equal(await url(text.replace("http: {}", "http: { listen: 0.0.0.0:443, domain: apps.example.com }")), "https://apps.example.com")
  assert.equal(await url(text.replace("http: {}", "ssh: {}")), "http://127.0.0.1:7070")
  assert.equal(await url(`${text}approvals: { public_url: "https://access.example.com" }\n`), "https://access.example.com")
})
