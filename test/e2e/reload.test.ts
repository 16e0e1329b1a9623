// A config that changes while Sluice runs, as its operator does it: the file, then SIGHUP or `sluice reload`, with people at work.
import assert from "node:assert/strict"
import { X509Certificate } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { connect } from "node:tls"
import { after, before, suite, test } from "node:test"
import { selfSigned } from "../support/certificate.ts"
import { psql } from "../support/clients.ts"
import { type Live, livePsql, liveSsh } from "../support/live.ts"
import { type People, type Person, people, person } from "../support/people.ts"
import { type Postgres, startPostgres } from "../support/postgres.ts"
import { must, run } from "../support/run.ts"
import { type Sluice, spawnSluice } from "../support/sluice.ts"
import { gatewayName, postgresTarget, type Section, sshTarget, writeConfig } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

const workers = 2
const main = join(import.meta.dirname, "../../src/main.ts")

suite("a config that is reloaded", { skip: needs("ssh", "sshd", "psql", "curl", "ps"), concurrency: 1 }, () => {
  const { alice, bob, carol, dana }: People = people()
  const hugo = person("hugo", "engineers")
  let postgres: Postgres
  let sshd: Sshd
  let sluice: Sluice
  let started: readonly Person[]
  const usual = (): Section[] => [postgresTarget("orders", postgres), sshTarget("prod-host", sshd)]

  before(async () => {
    ;[postgres, sshd] = [await startPostgres(), await startSshd()]
    started = [alice, bob, carol, dana]
    sluice = await spawnSluice({ users: started, targets: usual(), gateway: { workers } })
  })
  after(async () => {
    await sluice?.stop()
    await sshd?.stop()
    await postgres?.stop()
  })

  const write = (users: readonly Person[], targets: readonly Section[] = usual(), gateway: Section = {}): void =>
    void writeConfig({ folder: sluice.folder, users, targets, gateway: { workers, ...gateway } })
  const reload = () => run(process.execPath, [main, "reload", "--config", sluice.configFile])
  const said = (words: string): number => sluice.log().split(words).length - 1
  const audit = async (kind: string) => (await sluice.api(dana).call("audit", { query: { kind } })).events
  const psqlOnce = async (who: Person) =>
    run(...(await psql({ sluice, person: who, target: "orders" }, postgres.role, ["-tAc", "SELECT 41 + 1"])))
  const pids = (): number[] =>
    [...sluice.log().matchAll(/"pid":(\d+)[^\n]*"a worker is running"/g)].map(([, pid]) => Number(pid)).slice(-workers)
  const shownCertificate = (): Promise<string> =>
    new Promise((resolve, reject) => {
      const options = { host: "127.0.0.1", port: sluice.port("http"), servername: gatewayName, rejectUnauthorized: false }
      const socket = connect(options, () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? "")
        socket.destroy()
      })
      socket.once("error", reject)
    })
  const goesOn = async (live: readonly Live[]): Promise<void> => {
    for (const session of live) assert.ok(await session.runs(), `${session.name} goes on`)
  }

  test("SIGHUP: somebody new gets in, somebody removed does not and is cut, others do not notice", async () => {
    await sluice.grant(alice, "orders", { by: bob, for: "1h" })
    await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
    await sluice.grant(carol, "orders", { by: bob, for: "1h" })
    const login = (who: Person, target: string) => ({ sluice, person: who, target })
    const live = [await livePsql(login(alice, "orders"), postgres), await liveSsh(login(alice, "prod-host"), sshd)]
    const removed = await livePsql(login(carol, "orders"), postgres)
    const carolsToken = await psql(login(carol, "orders"), postgres.role, ["-tAc", "SELECT 1"])
    assert.equal((await run("ssh", [...sluice.ssh(hugo), "gateway", "whoami"])).status, 255)

    write([alice, bob, hugo, dana])
    sluice.program?.signal("SIGHUP")
    assert.match(await removed.ended, /FATAL: {2}sluice: your access to orders ended .*revoked/)
    await eventually("it to be told", () => said("the new config is in use") === 1)
    await goesOn(live)
    for (let count = 0; count < 2 * workers; count++) {
      assert.match(await must("ssh", [...sluice.ssh(hugo), "gateway", "whoami"]), /hugo@example\.com/)
      assert.equal((await run("ssh", [...sluice.ssh(carol), "gateway", "whoami"])).status, 255)
      assert.match((await run(...carolsToken)).stderr, /sluice: (authentication failed|your login has ended)/)
    }
    await sluice.grant(hugo, "orders", { by: bob, for: "1h" })
    assert.equal((await psqlOnce(hugo)).stdout, "42\n")
    assert.deepEqual(
      (await audit("config.reloaded")).map(({ by, reason }) => ({ by, reason })),
      [{ by: "sluice", reason: "users +1 -1" }],
    )
    for (const session of live) await session.stop()
  })

  test("a file that does not check keeps the old one, says so in the words of `sluice check`, and nobody notices", async () => {
    const live = await livePsql({ sluice, person: alice, target: "orders" }, postgres)
    write([alice, bob, { ...hugo, publicKey: "ssh-ed25519 AAAA" }, dana])
    const checked = await run(process.execPath, [main, "check", "--config", sluice.configFile])
    const outcome = await reload()
    assert.equal(outcome.status, 1)
    assert.equal(outcome.stderr, `${checked.stderr}The config in use is the one it was.\n`)
    assert.match(checked.stderr, /sluice\.yaml:\d+:\d+: /)
    assert.match(sluice.log(), /the new config cannot be used; the one in use stays/)
    writeFileSync(sluice.configFile, "gateway: [not yaml")
    assert.match((await reload()).stderr, /no sluice runs with the state folder/) // it says no state folder
    sluice.program?.signal("SIGHUP")
    await eventually("that to be refused as well", () => said("the new config cannot be used") === 2)
    await goesOn([live])
    assert.equal((await psqlOnce(alice)).stdout, "42\n")
    const health = await must("curl", ["-sS", `http://127.0.0.1:${sluice.port("health")}/readyz`])
    assert.deepEqual(JSON.parse(health), { status: "ready" })
    assert.deepEqual(
      (await audit("config.refused")).map(({ reason }) => /not YAML|ssh_keys|ssh-ed25519|key/.test(reason)),
      [true, true],
    )
    await live.stop()
  })

  test("what takes a restart is named with its place, and the rest of that file is not taken either", async () => {
    write([alice, bob, dana], usual(), { ssh: { listen: "127.0.0.1:2" } })
    const { status, stderr } = await reload()
    assert.equal(status, 1)
    assert.match(stderr, /sluice\.yaml:\d+:\d+: gateway\.ssh\.listen cannot change while sluice runs: it takes a restart\n/)
    assert.match(await must("ssh", [...sluice.ssh(hugo), "gateway", "whoami"]), /hugo/)
  })

  test("targets come, move and go: new sessions find them as they are, open ones go on by their grants", async () => {
    const live = await liveSsh({ sluice, person: alice, target: "prod-host" }, sshd)
    write(started.filter((one) => one !== carol).concat(hugo), [
      postgresTarget("invoices", postgres),
      postgresTarget("orders", postgres, { address: "127.0.0.1:1" }),
    ])
    assert.match((await reload()).stdout, /The new config is in use: targets \+1 -1 ~1, rules changed\.\n/)
    await goesOn([live])
    await sluice.grant(alice, "invoices", { by: bob, for: "1h" })
    const invoices = await run(...(await psql({ sluice, person: alice, target: "invoices" }, postgres.role, ["-tAc", "SELECT 42"])))
    assert.equal(invoices.stdout, "42\n")
    assert.match((await psqlOnce(alice)).stderr, /sluice: the target does not answer/)
    const gone = await run("ssh", [...sluice.ssh(alice), "-J", "gateway", `${sshd.login}@prod-host`, "true"])
    assert.match(gone.stderr, /sluice: you have no access to this target now/)
    write(started.filter((one) => one !== carol).concat(hugo))
    assert.equal((await reload()).status, 0)
    assert.equal((await psqlOnce(alice)).stdout, "42\n")
    await goesOn([live])
    await live.stop()
  })

  test("a worker that is started later has the newest config that was good, not the file as it is then", async () => {
    writeFileSync(sluice.configFile, "broken: [")
    const [killed] = pids()
    assert.ok(killed)
    process.kill(killed, "SIGKILL")
    await eventually("another to take its place", () => said('"a worker is running"') === workers + 1)
    for (let count = 0; count < 2 * workers; count++)
      assert.match(await must("ssh", [...sluice.ssh(hugo), "gateway", "whoami"]), /hugo@example\.com/)
  })

  test("a certificate that was renewed is the one that the next client sees", async () => {
    const live = await livePsql({ sluice, person: alice, target: "orders" }, postgres)
    const seen: string[] = []
    for (const round of ["first", "renewed"]) {
      const { cert, key } = await selfSigned([gatewayName])
      writeFileSync(join(sluice.folder, "gw.crt"), cert)
      writeFileSync(join(sluice.folder, "gw.key"), key)
      // The file is the same the second time: what its references give is not.
      if (round === "first") write([...started, hugo], usual(), { tls: { cert: "file:gw.crt", key: "file:gw.key" } })
      assert.match((await reload()).stdout, /gateway\.tls changed/)
      for (let count = 0; count < 2 * workers; count++) {
        const shown = await shownCertificate()
        assert.equal(shown, new X509Certificate(cert).fingerprint256)
        seen.push(shown)
      }
    }
    assert.equal(new Set(seen).size, 2)
    await goesOn([live])
    await live.stop()
    write([...started, hugo])
    assert.equal((await reload()).status, 0)
  })

  test("another key signs tokens: what is open goes on, and the next token is good at once", async () => {
    const live = await livePsql({ sluice, person: alice, target: "orders" }, postgres)
    const told = await must("ssh", [...sluice.ssh(dana), "gateway", "ca", "rotate", "token", "--distrust", "--reason", "a drill"])
    assert.match(told, /^KEY +OF +IS +TRUSTED\n\S+ +token +signing +yes\n/)
    await goesOn([live])
    assert.equal((await psqlOnce(alice)).stdout, "42\n")
    await live.stop()
  })

  test("a hangup of the whole group, as when a terminal is closed, ends nothing", async () => {
    const live = await livePsql({ sluice, person: alice, target: "orders" }, postgres)
    write(started)
    const before = said("the new config is in use")
    assert.ok(sluice.program?.pid)
    process.kill(-sluice.program.pid, "SIGHUP")
    await eventually("it to be in use", () => said("the new config is in use") === before + 1)
    await goesOn([live])
    assert.match(await must("ssh", [...sluice.ssh(carol), "gateway", "whoami"]), /carol/)
    await live.stop()
  })
})
