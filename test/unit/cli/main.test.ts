// The `sluice` command itself, as a process, with the real ssh.
import assert from "node:assert/strict"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, test } from "node:test"
import { people, type Person } from "../../support/people.ts"
import { launch, run, type Program, type Ran } from "../../support/run.ts"
import { scratch } from "../../support/scratch.ts"
import { spawnSluice, startSluice, type Sluice } from "../../support/sluice.ts"
import { needs } from "../../support/tools.ts"

const main = join(import.meta.dirname, "../../../src/main.ts")
const { alice, bob, dana } = people()
const hostKey = alice.publicKey.split(" ").slice(0, 2).join(" ")
const targets = [
  { name: "prod-host", ssh: { address: "127.0.0.1:1", logins: ["root"], auth: { key: `file:${alice.file}` }, host_key: hostKey } },
]
const homes = scratch("homes")
const skip = needs("ssh")

let sluice: Sluice

before(async () => {
  if (!skip) sluice = await startSluice({ users: [alice, bob, dana], targets })
})
after(() => sluice?.stop())

const home = (person: Person): string => join(homes, person.name)
const environment = (person: Person): Record<string, string | undefined> => ({
  HOME: home(person),
  SLUICE_GATEWAY: `${sluice.ssh(person).join(" ")} gateway`,
  XDG_CACHE_HOME: undefined,
  XDG_CONFIG_HOME: undefined,
})
const cli = (person: Person, ...words: string[]): Promise<Ran> => run(process.execPath, [main, ...words], { env: environment(person) })
const began = (person: Person, ...words: string[]): Program => launch(process.execPath, [main, ...words], { env: environment(person) })

test("sluice: with nothing but one's ssh key: ask, approve, see", { skip }, async () => {
  const waiting = began(alice, "request", "prod-host", "--for", "1h", "--reason", "INC-7", "--wait")
  await waiting.says(/Waiting for a decision/)
  const [, id = ""] = /Request (\d+)/.exec(waiting.stderr) ?? []
  const approved = await cli(bob, "approve", id)
  assert.equal(approved.status, 0, approved.stderr)
  assert.match(approved.stdout, /who {5}alice@example\.com/)
  const over = await waiting.ended
  assert.equal(over.status, 0)
  assert.match(over.stdout, /was approved by bob@example\.com: prod-host until/)
  const grants = await cli(alice, "grants", "--json")
  assert.equal((JSON.parse(grants.stdout) as { grants: unknown[] }).grants.length, 1)
  assert.match((await cli(alice, "token", "prod-host")).stdout, /^[\w-]+\.[\w-]+\.[\w-]+\n$/)
})

test("sluice: the proof is one's own file, used again, and made anew when the service does not take it", { skip }, async () => {
  assert.equal((await cli(alice, "whoami")).status, 0)
  const folder = join(home(alice), ".cache/sluice")
  const [name = ""] = readdirSync(folder)
  const path = join(folder, name)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  const kept = readFileSync(path, "utf8")
  await cli(alice, "whoami")
  assert.equal(readFileSync(path, "utf8"), kept)
  writeFileSync(path, kept.replace(/"token":"[^.]+\./, '"token":"e30.'))
  assert.equal((await cli(alice, "whoami")).stdout, "alice@example.com (engineers)\n")
  assert.notEqual(readFileSync(path, "utf8"), kept)
  for (const spoilt of ["", "{}", "null"]) {
    writeFileSync(path, spoilt)
    assert.equal((await cli(alice, "whoami")).status, 0)
  }
})

test("sluice: Ctrl-C while waiting takes the request back", { skip }, async () => {
  const waiting = began(alice, "request", "prod-host", "--for", "2h", "--reason", "gone", "--wait")
  await waiting.says(/Waiting for a decision/)
  process.kill(waiting.pid!, "SIGINT")
  const over = await waiting.ended
  assert.equal(over.status, 130)
  assert.match(over.stderr, /was taken back/)
  assert.match((await cli(bob, "requests")).stdout, /withdrawn +gone/)
})

test("sluice: without a gateway, or with one that does not answer, it says what to do", { skip }, async () => {
  const env = { ...environment(alice), SLUICE_GATEWAY: undefined }
  const none = await run(process.execPath, [main, "whoami"], { env })
  assert.equal(none.status, 2)
  assert.match(none.stderr, /no gateway to ask\nSay what `ssh` should connect to: --gateway /)
  assert.match(none.stderr, /SLUICE_SERVICE/)
  const wrong = await run(process.execPath, [main, "--gateway", "-p 1 -o ConnectTimeout=2 127.0.0.1", "whoami"], { env })
  assert.equal(wrong.status, 1)
  assert.match(wrong.stderr, /127\.0\.0\.1 port 1: .*\n+sluice: `ssh -p 1 .*127\.0\.0\.1` did not get through\nTry /s)
  mkdirSync(join(home(alice), ".config/sluice"), { recursive: true })
  writeFileSync(join(home(alice), ".config/sluice/config"), `gateway: ${sluice.ssh(alice).join(" ")} gateway\n`)
  assert.equal((await run(process.execPath, [main, "whoami"], { env })).status, 0)
})

test("sluice: --version is that of the package; a config that is not there is said in words", async () => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, "../../../package.json"), "utf8")) as { version: string }
  const told = await run(process.execPath, [main, "--version"])
  assert.deepEqual([told.status, told.stdout], [0, `${version} (Node ${process.versions.node})\n`])
  for (const verb of ["check", "start", "reload"]) {
    const none = await run(process.execPath, [main, verb, "--config", "no-such.yaml"])
    assert.equal(none.status, 2, verb)
    assert.match(none.stderr, /no-such\.yaml cannot be read: there is no such file\n/, verb)
  }
})

test("sluice: check says every problem with its place, or that it is sound", async () => {
  const folder = scratch("check")
  const file = join(folder, "sluice.yaml")
  writeFileSync(file, "gateway:\n  nmae: gw\n")
  const bad = await run(process.execPath, [main, "check", "--config", file])
  assert.equal(bad.status, 2)
  assert.match(bad.stderr, new RegExp(`^${file}:2:3: .*nmae`, "m"))
  assert.equal((await run(process.execPath, [main, "start", "--config", file])).status, 2)
  const sound = await run(process.execPath, [main, "check", "--config", join(import.meta.dirname, "../../../config/sluice.yaml")])
  assert.equal(sound.status, 0)
  assert.match(sound.stdout, /is sound\.\n$/)
})

test("sluice: start drains at SIGTERM and leaves with 0; a port in use is said, with what to do", async (t) => {
  const child = await spawnSluice({ users: [alice, bob, dana], targets, role: "approvals" })
  t.after(() => child.stop())
  const port = child.port("approvals")
  const second = spawnSluice({ users: [alice, bob, dana], targets, role: "approvals", approvals: { listen: `127.0.0.1:${port}` } })
  await assert.rejects(second, /could not start: .*EADDRINUSE.*\nAnother program listens there/s)
  process.kill(child.program!.pid!, "SIGTERM")
  assert.equal((await child.program!.ended).status, 0)
  assert.match(child.log(), /sluice has stopped/)
})

test("sluice: replay finds a session by its id, and says where it looked when there is none", async () => {
  const folder = scratch("replay")
  const config = join(import.meta.dirname, "../../../config/sluice.yaml")
  const none = await run(process.execPath, [main, "replay", "s_0000000000000000", "--config", config], { cwd: folder })
  assert.equal(none.status, 1)
  assert.match(none.stderr, /no recording of s_0{16} in \/.*recordings\nRecordings lie with the gateway/)
  assert.equal(existsSync(join(folder, "data")), false)
  const aFolder = await run(process.execPath, [main, "replay", folder])
  assert.deepEqual([aFolder.status, aFolder.stderr.split("\n")[0]], [1, `sluice: there is no recording ${folder}`])
  const misuse = await run(process.execPath, [main, "replay", "x", "--speed", "0"])
  assert.equal(misuse.status, 2)
})
