// Signs of life, both ways: OpenSSH's ServerAliveInterval is answered whatever the connection waits for, and a client or a target that
// has gone without a word is found out, and put on record.
import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { sshWith } from "../../protocols/ssh/index.ts"
import { keyLife } from "../../protocols/ssh/key_renewal.ts"
import { tcp } from "../../protocols/tcp/index.ts"
import type { Line } from "../../src/record/events.ts"
import { Caller, type Greeter, startGreeter } from "../support/greeter.ts"
import { type People, people } from "../support/people.ts"
import { answers, freePort } from "../support/port.ts"
import { launch, type Program } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { sshOptions } from "../support/ssh_options.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { type TcpLine, tcpLine } from "../support/tcp_line.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

/** A client that leaves at once when it hears nothing for two seconds, and says what it hears. */
const impatient = ["-vvv", "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"]

suite("ssh: signs of life", { skip: needs("ssh", "sshd"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  let sshd: Sshd
  let toTarget: TcpLine
  let toGateway: TcpLine
  let greeter: Greeter
  let sluice: Sluice

  before(async () => {
    sshd = await startSshd()
    greeter = await startGreeter()
    toTarget = await tcpLine(sshd.address)
    const access = [{ who: ["engineers"], targets: { env: "prod" }, max: "8h", approve: { by: ["oncall"] } }]
    const actions = [{ targets: "careful-host", ssh: { exec: "echo held" }, then: "hold" }]
    sluice = await startSluice({
      users: [alice, bob],
      targets: [
        sshTarget("prod-host", sshd),
        sshTarget("careful-host", sshd),
        sshTarget("asked-host", sshd),
        { name: "redis", labels: { env: "prod" }, tcp: { address: greeter.at } },
        sshTarget("far-host", sshd, { address: toTarget.at, allow: { remote_forward: ["localhost:*"] } }),
      ],
      policy: { access, actions },
      protocols: [sshWith({ ...keyLife, keepalive_ms: 200 }), tcp],
    })
    toGateway = await tcpLine({ host: "127.0.0.1", port: sluice.port("ssh") })
    for (const target of ["prod-host", "careful-host", "far-host", "redis"]) await sluice.grant(alice, target, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([toGateway.close(), toTarget.close()])
    await Promise.all([greeter.stop(), sshd.stop()])
  })

  async function renewLine(): Promise<void> {
    await toGateway.close()
    toGateway = await tcpLine({ host: "127.0.0.1", port: sluice.port("ssh") })
  }

  const through = (target: string, ...words: string[]): Program =>
    launch("ssh", [...sluice.ssh(alice), "-J", "gateway", ...impatient, ...words.slice(0, -1), `${sshd.login}@${target}`, words.at(-1)!])
  /** Answers to global requests that it has had; only keepalives are asked so often. */
  const answered = (program: Program, times: number): Promise<unknown> =>
    program.says(new RegExp(`(receive packet: type 8[12][^]*){${times}}`))
  const recording = (): readonly Line[] => sluice.recording(sluice.recorded().reduce((a, b) => (began(a) > began(b) ? a : b)))
  const began = (id: string): number => sluice.recording(id)[0]?.t ?? 0
  const ended = (): Promise<readonly Line[]> => eventually("the end", () => (recording().at(-1)?.kind === "end" ? recording() : undefined))

  suite("of the gateway's, for a client", () => {
    test("while a command is held", async () => {
      const program = through("careful-host", "echo held")
      const [, request] = await program.says(/ approve (\d+)/)
      await answered(program, 4)
      await sluice.api(bob).call("approve", { id: Number(request), body: {} })
      const { stdout, status, stderr } = await program.ended
      assert.deepEqual([stdout, status], ["held\n", 0], stderr)
    })

    test("while somebody is asked for access, before there is a session", async () => {
      const says = join(scratch("askpass"), "says")
      writeFileSync(says, `#!/bin/sh\ncase "$1" in *Reason*) echo INC-7 ;; *) echo ;; esac\n`, { mode: 0o755 })
      const env = { SSH_ASKPASS: says, SSH_ASKPASS_REQUIRE: "force", DISPLAY: ":0" }
      const words = [...sluice.ssh(alice), "-J", "gateway", ...impatient, `${sshd.login}@asked-host`, "echo in"]
      const program = launch("ssh", words, { env, input: "" })
      const [, request] = await program.says(/Request (\d+) for asked-host/)
      await program.says(/(receive packet: type 2\b[^]*){12}/)
      await sluice.api(bob).call("approve", { id: Number(request), body: {} })
      const { stdout, status, stderr } = await program.ended
      assert.deepEqual([stdout, status], ["in\n", 0], stderr)
    })

    test("while the target takes nothing and says nothing", async () => {
      const program = through("far-host", "echo up; exec cat")
      await program.says("up")
      toTarget.stall()
      program.type(Buffer.alloc(8 * 1024 * 1024, "x")) // more than any window
      await answered(program, 3)
      toTarget.go()
      program.closeInput()
      const { status, stdout } = await program.ended
      assert.deepEqual([status, stdout.length], [0, "up\n".length + 8 * 1024 * 1024])
    })
  })

  suite("of a client", () => {
    for (const [way, words] of [
      ["-J", ["-J", "gateway", `@prod-host`]],
      ["login@target@gateway", [`@prod-host@gateway`]],
    ] as const) {
      test(`${way}: one that has gone without a word ends its session within a bound, and it is on record`, async () => {
        const to = words.map((word) => (word.startsWith("@") ? sshd.login + word : word))
        const options = sshOptions({ person: alice, port: toGateway.port, folder: sluice.folder })
        const program = launch("ssh", [...options, ...to, "echo up; exec sleep 600"])
        await program.says("up")
        toGateway.swallow()
        const lines = await ended()
        const silent = lines.find((line) => line.kind === "silent")
        assert.ok(silent?.kind === "silent" && silent.side === "client" && silent.for_ms >= 600)
        assert.ok(lines.some((line) => line.kind === "outcome"))
        assert.equal((await sluice.sessions(alice, true)).length, 0)
        await program.stop()
        await renewLine()
      })
    }

    test("one with a connection to a tcp target likewise", async () => {
      const port = await freePort()
      const options = sshOptions({ person: alice, port: toGateway.port, folder: sluice.folder })
      const program = launch("ssh", [...options, "-N", "-L", `${port}:redis:${greeter.port}`, "gateway"])
      await eventually("the forward", () => answers(port))
      const caller = new Caller(port)
      await caller.hears("hello\n")
      toGateway.swallow()
      await eventually("a session of its own that says so", () =>
        sluice
          .recorded()
          .map((id) => sluice.recording(id))
          .some(
            (lines) =>
              lines.some((line) => line.kind === "session" && line.protocol === "tcp") &&
              lines.some((line) => line.kind === "silent" && line.side === "client") &&
              lines.at(-1)?.kind === "end",
          ),
      )
      await program.stop()
      await renewLine()
    })

    test("one that was only stopped, for too long, finds itself closed", async () => {
      const program = launch("ssh", [...sluice.ssh(alice), `${sshd.login}@prod-host@gateway`, "echo up; exec sleep 600"])
      await program.says("up")
      program.signal("SIGSTOP")
      await ended()
      program.signal("SIGCONT")
      assert.equal((await program.ended).status, 255)
    })

    test("one that answers stays, however little else it does", async () => {
      const program = launch("ssh", [...sluice.ssh(alice), "-J", "gateway", "-vvv", `${sshd.login}@prod-host`, "echo up; cat"])
      await program.says("up")
      await program.says(/(rtype keepalive@openssh\.com[^]*){10}/)
      program.type("still here\n")
      await program.says("still here")
      program.closeInput()
      assert.equal((await program.ended).status, 0)
    })
  })

  test("a target that has gone without a word: people read it, the session is over, and it is on record", async () => {
    const program = launch("ssh", [...sluice.ssh(alice), "-J", "gateway", `${sshd.login}@far-host`, "echo up; exec sleep 600"])
    await program.says("up")
    toTarget.swallow()
    const { stderr, status } = await program.ended
    assert.match(stderr, /^sluice: the target answers nothing any more, so the connection to it was closed \[s_\w+\]\r?$/m)
    assert.equal(status, 255)
    const lines = await ended()
    const silent = lines.find((line) => line.kind === "silent")
    assert.ok(silent?.kind === "silent" && silent.side === "target" && silent.for_ms >= 600)
    assert.ok(lines.some((line) => line.kind === "outcome" && line.status === "lost"))
  })
})
