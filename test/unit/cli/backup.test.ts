// The embedded store to a file and back, as an operator does it: with the service running, stopped, and with the wrong file.
import assert from "node:assert/strict"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import { people } from "../../support/people.ts"
import { run, type Ran } from "../../support/run.ts"
import { scratch } from "../../support/scratch.ts"
import { startSluice } from "../../support/sluice.ts"

const main = join(import.meta.dirname, "../../../src/main.ts")

test("backup and restore: all that was in it, but no access that was taken back since", async () => {
  const { alice, bob, dana } = people()
  const folder = scratch("backup")
  const options = {
    users: [alice, bob, dana],
    targets: [{ name: "app", http: { url: "http://127.0.0.1:1" } }],
    folder,
    role: "approvals" as const,
  }
  const first = await startSluice(options)
  const sluice = (...words: string[]): Promise<Ran> => run(process.execPath, [main, ...words, "--config", first.configFile])
  const copy = join(folder, "copy.db")
  const revoked = await first.grant(alice, "app", { by: bob, for: "2h" })

  const made = await sluice("backup", copy)
  assert.match(made.stdout, /copy\.db holds all of .*sluice\.db, checked\. Not in it: the keys and recordings/)
  assert.equal(statSync(copy).mode & 0o077, 0)
  assert.match((await sluice("backup", copy)).stderr, /no copy was made: .*copy\.db is there already/)
  await first.revoke(revoked, dana)
  const { id } = await first.api(alice).call("ask", { body: { target: "app", duration_ms: 60_000, reason: "after the copy" } })

  const refused = await sluice("restore", copy)
  assert.match(refused.stderr, /nothing was restored: .*sluice\.db is in use: stop the service first/)
  assert.equal(refused.status, 1)
  await first.stop()
  for (const [name, content] of [
    ["text", "not a store"],
    ["cut", readFileSync(copy).subarray(0, 9_000)],
  ] as const) {
    writeFileSync(join(folder, name), content)
    assert.match((await sluice("restore", join(folder, name))).stderr, /nothing was restored: .* cannot be used/)
  }

  const restored = await sluice("restore", copy)
  assert.match(restored.stdout, /One grant was ended: .* What was there is kept as (\S+)\.\n$/)
  assert.ok(existsSync(/kept as (\S+)\.\n$/.exec(restored.stdout)?.[1] ?? ""))
  const second = await startSluice(options)
  try {
    const { grants } = await second.api(alice).call("grants", { query: { all: true } })
    assert.deepEqual(
      grants.map((grant) => [grant.id, grant.status, grant.ended_by]),
      [[revoked.id, "revoked", "restore"]],
    )
    await assert.rejects(second.api(alice).call("request", { id, query: {} }), { code: "not_found" })
    assert.ok(await second.grant(alice, "app", { by: bob, for: "1h" }))
  } finally {
    await second.stop()
  }
})

test("backup and restore: a copy is one file, and one without a grant goes back as well", async (t) => {
  const { alice, bob } = people()
  const folder = scratch("empty-store")
  const targets = [{ name: "app", http: { url: "http://127.0.0.1:1" } }]
  const service = await startSluice({ users: [alice, bob], targets, folder, role: "approvals" })
  t.after(() => service.stop())
  const sluice = (...words: string[]): Promise<Ran> => run(process.execPath, [main, ...words, "--config", service.configFile])
  const copies = join(folder, "copies")
  mkdirSync(copies)
  const made = await sluice("backup", join(copies, "copy.db"))
  assert.equal(made.status, 0, made.stderr)
  assert.deepEqual(readdirSync(copies), ["copy.db"])
  await service.stop()
  const restored = await sluice("restore", join(copies, "copy.db"))
  assert.match(restored.stdout, /in \S+copy\.db\. No grant was live in it\. What was there is kept/, restored.stderr)
  assert.deepEqual(readdirSync(copies), ["copy.db"])
})

test("backup: where no service has run yet, it says that there is no store, and leaves no file", async () => {
  const folder = scratch("no-store")
  const config = join(folder, "sluice.yaml")
  writeFileSync(config, readFileSync(join(import.meta.dirname, "../../../config/sluice.yaml"), "utf8").replaceAll("file:example/", "env:"))
  const copy = join(folder, "copy.db")
  const env = { "prod_host.password": "a", "orders_readonly.password": "b" }
  const none = await run(process.execPath, [main, "backup", copy, "--config", config], { env })
  assert.equal(none.status, 1)
  assert.match(none.stderr, /no copy was made: there is no store at .*sluice\.db; a service makes it/)
  assert.ok(!existsSync(copy) && !existsSync(`${copy}.unfinished`))
})
