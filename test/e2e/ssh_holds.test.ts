// Files and forwards that wait for somebody, with OpenSSH's own sftp, scp and ssh: each by itself, and what was sent behind it in its
// order.
import assert from "node:assert/strict"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, afterEach, before, suite, test } from "node:test"
import type { RequestView } from "../../src/api/schema.ts"
import { callThrough, type Greeter, startGreeter } from "../support/greeter.ts"
import { type People, people } from "../support/people.ts"
import { answers, freePort } from "../support/port.ts"
import { launch, type Program } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("files and forwards that wait", { skip: needs("ssh", "scp", "sftp", "sshd"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  const folder = scratch("held_files")
  const at = (name: string): string => join(folder, name)
  let sshd: Sshd
  let greeter: Greeter
  let sluice: Sluice

  before(async () => {
    ;[sshd, greeter] = await Promise.all([startSshd(), startGreeter()])
    const allow = { local_forward: [greeter.at], remote_forward: ["127.0.0.1:*"] }
    const policy = {
      access: [{ who: ["engineers"], targets: ["prod-host"], max: "8h", approve: { by: ["oncall"] } }],
      actions: [
        { ssh: { sftp: { ops: ["write", "remove"], path: `${folder}/held/*` } }, then: "hold" },
        { ssh: { sftp: { ops: "remove", path: `${folder}/*` } }, then: "deny", say: "nothing is removed here" },
        { ssh: { forward: greeter.at, listen: true }, then: "hold" },
      ],
    }
    sluice = await startSluice({ users: [alice, bob], targets: [sshTarget("prod-host", sshd, { allow })], policy })
    await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
    await launch("mkdir", [at("held")]).ended
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([sshd.stop(), greeter.stop()])
  })
  afterEach(async () => assert.deepEqual(await waiting(), [], "nothing is left waiting"))

  const way = (): string[] => ["-J", "gateway"]
  const where = (): string => `${sshd.login}@prod-host`
  const waiting = async (): Promise<RequestView[]> => (await sluice.api(bob).call("requests", { query: { status: "pending" } })).requests
  const next = async (): Promise<RequestView> => eventually("somebody to be asked", async () => (await waiting())[0])
  const approve = (id: number) => sluice.api(bob).call("approve", { id, body: {} })
  const deny = (id: number, reason: string) => sluice.api(bob).call("deny", { id, body: { reason } })
  const sftp = (commands: string): Program => launch("sftp", [...sluice.ssh(alice), ...way(), "-b", "-", where()], { input: commands })

  test("sftp: a file that is put waits by itself, its user reads why, and what follows comes after it", async () => {
    writeFileSync(at("from"), "the new content")
    writeFileSync(at("held/old"), "x")
    const client = sftp(
      `put ${at("from")} ${at("free")}\nput ${at("from")} ${at("held/new")}\nrename ${at("held/old")} ${at("held/moved")}\n`,
    )
    const request = await next()
    assert.equal(request.action?.text, `open ${at("held/new")} (write, create, truncate)`)
    assert.deepEqual(request.action?.notes, ["what will be written to it is not known yet"])
    await eventually("the words", () => /sluice: held: request \d+/.test(client.stderr))
    assert.equal(readFileSync(at("free"), "utf8"), "the new content")
    assert.ok(!existsSync(at("held/new")) && existsSync(at("held/old")))
    await approve(request.id)
    const done = await client.ended
    assert.equal(done.status, 0, done.stderr)
    assert.equal(readFileSync(at("held/new"), "utf8"), "the new content")
    assert.ok(existsSync(at("held/moved")))
    const lines = sluice.recording(request.action?.session ?? "")
    const held = lines.findIndex((line) => line.kind === "held")
    assert.ok(lines.some((line) => line.kind === "action" && line.held === held && line.action.kind === "ssh.file"))
    const passed = lines.find((line) => line.kind === "transfer" && line.bytes_up === "the new content".length)
    assert.ok(passed, "its bytes are counted once")
  })

  test("sftp: denied, it is told in the decider's words, as a rule's own no is in that one's, and the session goes on", async () => {
    writeFileSync(at("held/kept"), "x")
    writeFileSync(at("kept"), "x")
    const client = sftp(`-rm ${at("held/kept")}\n-rm ${at("kept")}\npwd\n`)
    const { id, action } = await next()
    assert.equal(action?.text, `remove ${at("held/kept")}`)
    await deny(id, "use the runbook")
    const done = await client.ended
    assert.match(done.stderr, /request \d+ was denied by bob@example\.com: use the runbook/)
    assert.match(done.stderr, /Permission denied/)
    assert.match(done.stdout, /Remote working directory/)
    assert.ok(existsSync(at("held/kept")) && existsSync(at("kept")))
  })

  test("scp: the same; who leaves takes it back", async () => {
    writeFileSync(at("big"), Buffer.alloc(3_000_000, 7))
    const copy = (): Program => launch("scp", [...sluice.ssh(alice), ...way(), at("big"), `${where()}:${at("held/big")}`])
    const left = copy()
    const first = await next()
    left.signal("SIGTERM")
    await left.ended
    await eventually("it to be taken back", async () => (await waiting()).length === 0)
    await assert.rejects(approve(first.id), { code: "over" })
    assert.ok(!existsSync(at("held/big")))
    const other = copy()
    await approve((await next()).id)
    assert.equal((await other.ended).status, 0)
    assert.deepEqual(readFileSync(at("held/big")), readFileSync(at("big")))
  })

  test("-L: each connection waits, and leads nowhere before it is approved; -R: the target listens once it is", async () => {
    const port = await freePort()
    const client = launch("ssh", [...sluice.ssh(alice), "-tt", ...way(), "-L", `${port}:${greeter.at}`, where(), "cat"])
    await eventually("ssh to listen", () => answers(port))
    const probe = await next()
    await client.says(/held: request/)
    await deny(probe.id, "a probe")
    await client.says(/open failed: administratively prohibited: sluice: request \d+ was denied by bob@example\.com: a probe/)
    assert.equal(greeter.open(), 0)
    const called = callThrough(port, "hi\n")
    const { id, action } = await next()
    assert.equal(action?.text, `forward ${greeter.at}`)
    assert.equal(greeter.open(), 0)
    await approve(id)
    assert.equal(await called, "hello\nhi\ngoodbye\n")
    await client.stop()

    const there = await freePort()
    const listening = launch("ssh", [...sluice.ssh(alice), "-N", ...way(), "-R", `127.0.0.1:${there}:${greeter.at}`, where()])
    const listen = await next()
    assert.equal(listen.action?.text, `forward remote 127.0.0.1:${there}`)
    assert.equal(await answers(there), false)
    await approve(listen.id)
    await eventually("the target to listen", () => answers(there))
    assert.equal(await callThrough(there, "hi\n"), "hello\nhi\ngoodbye\n")
    await listening.stop()
  })
})
