// Forwards with the real OpenSSH on both sides: -L, -D, -W, -R, sockets, -A; what is refused, what is on record, and the cut.
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import type { Line } from "../../src/record/events.ts"
import { Caller, callThrough, type Greeter, startGreeter } from "../support/greeter.ts"
import { type HttpApp, startHttpApp } from "../support/http_app.ts"
import { keyPair, type People, people } from "../support/people.ts"
import { answers, freePort } from "../support/port.ts"
import { launch, must, type Program, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("ssh: forwards", { skip: needs("ssh", "sshd", "ssh-keygen", "ssh-agent", "ssh-add", "curl"), concurrency: 1 }, () => {
  const { alice, bob, carol }: People = people()
  const folder = scratch("forwards")
  let sshd: Sshd
  let sluice: Sluice
  let greeter: Greeter
  let other: Greeter
  let onSocket: Greeter
  let app: HttpApp

  before(async () => {
    sshd = await startSshd({ config: ["StreamLocalBindUnlink yes"], authorized: [alice.publicKey] })
    ;[greeter, other, onSocket] = await Promise.all([startGreeter(), startGreeter(), startGreeter(join(folder, "app.sock"))])
    app = await startHttpApp()
    const allow = {
      local_forward: [greeter.at, "127.0.0.1:1", `localhost:${new URL(app.url).port}`, join(folder, "*.sock"), sshd.at],
      remote_forward: ["localhost:*", "127.0.0.1:*", join(folder, "*.listen")],
      agent: true,
    }
    const policy = { access: [{ who: ["engineers"], targets: { env: "prod" }, max: "8h", approve: { by: ["oncall"], count: 1 } }] }
    sluice = await startSluice({
      users: [alice, bob, carol],
      targets: [
        sshTarget("prod-host", sshd, { allow }),
        sshTarget("plain-host", sshd),
        sshTarget("tunnel-host", sshd, { allow: { ...allow, shell: false, exec: false } }),
      ],
      policy,
    })
    for (const target of ["prod-host", "plain-host", "tunnel-host"]) await sluice.grant(alice, target, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([sshd, greeter, other, onSocket, app].map((server) => server.stop()))
  })

  const through = (target: string, ...options: string[]): string[] => [
    ...sluice.ssh(alice),
    "-J",
    "gateway",
    ...options,
    `${sshd.login}@${target}`,
  ]
  /** Of the session that was opened last. */
  const recording = (): Line[] => {
    const all = sluice.recorded().map((id) => sluice.recording(id))
    return all.reduce((a, b) => ((a[0]?.t ?? 0) > (b[0]?.t ?? 0) ? a : b))
  }
  /** Holds a connection with forwards open while `use` runs. */
  async function while_(args: readonly string[], port: number | undefined, use: (program: Program) => Promise<void>): Promise<void> {
    const program = launch("ssh", args)
    try {
      if (port !== undefined) await eventually("the forward to be there", () => !program.running || answers(port))
      await use(program)
    } finally {
      await program.stop()
    }
  }
  const actions = (): unknown[] => recording().flatMap((line) => (line.kind === "action" ? [line.action] : []))
  const refused = (): string[] => recording().flatMap((line) => (line.kind === "refused" ? [line.what] : []))

  suite("to where the target can reach", () => {
    test("-L: the server speaks first, each half ends by itself, and it is on record with its bytes", async () => {
      const port = await freePort()
      await while_(through("prod-host", "-N", "-L", `${port}:${greeter.at}`), undefined, async () => {
        await eventually("ssh to listen", () => answers(port))
        await eventually("that connection to be over", () => greeter.open() === 0)
        assert.equal(await callThrough(port, "hi\n"), "hello\nhi\ngoodbye\n")
        const outcome = await eventually("the outcome", () =>
          recording().find((line) => line.kind === "outcome" && line.bytes_up === 3 && line.status === "ok"),
        )
        assert.ok(outcome.kind === "outcome")
        assert.equal(outcome.bytes_down, "hello\nhi\ngoodbye\n".length)
        const action = recording()[outcome.action]
        assert.ok(action?.kind === "action")
        assert.deepEqual(action.action, { kind: "ssh.forward", direction: "local", host: "127.0.0.1", port: greeter.port })
      })
    })

    test("-W: 16 MiB there and back, byte for byte", async () => {
      const bytes = randomBytes(8 * 1024 * 1024).toString("hex")
      const ran = await run("ssh", through("prod-host", "-W", greeter.at), { input: bytes })
      const sum = (text: string): string => createHash("sha256").update(text).digest("hex")
      assert.equal(sum(ran.stdout), sum(`hello\n${bytes}goodbye\n`), ran.stderr)
    })

    test("-D: a client of SOCKS says the name, the target looks it up", async () => {
      const port = await freePort()
      await while_(through("prod-host", "-N", "-D", `${port}`), port, async () => {
        const where = `http://localhost:${new URL(app.url).port}`
        assert.match(await must("curl", ["-sS", "--proxy", `socks5h://127.0.0.1:${port}`, `${where}/`]), /./)
        const no = await run("curl", ["-sS", "--proxy", `socks5h://127.0.0.1:${port}`, `http://127.0.0.1:${other.port}/`])
        assert.notEqual(no.status, 0)
        assert.deepEqual(refused(), [`forwarding to ${other.at}`])
        assert.equal(other.served(), 0)
      })
    })

    test("-L to a socket of the target's", async () => {
      const port = await freePort()
      await while_(through("prod-host", "-N", "-L", `${port}:${onSocket.at}`), port, async () => {
        assert.equal(await callThrough(port, "hi\n"), "hello\nhi\ngoodbye\n")
        assert.deepEqual(actions()[0], { kind: "ssh.forward", direction: "local", path: onSocket.at })
      })
    })

    test("what the target's list does not name is refused, on record, and the target never hears of it", async () => {
      for (const [host, port] of [
        ["127.0.0.1", other.port],
        ["localhost", greeter.port],
        ["127.1", greeter.port],
        ["2130706433", greeter.port],
        ["0x7f.0.0.1", greeter.port],
        ["127.0.0.01", greeter.port],
        ["localhost.", Number(new URL(app.url).port)],
      ] as const) {
        const seen = sshd.log().length
        const ran = await run("ssh", through("prod-host", "-W", `${host}:${port}`))
        assert.match(ran.stderr, /open failed: administratively prohibited: sluice: forwarding to \S+.* is not allowed on this target/)
        assert.deepEqual(refused(), [`forwarding to ${host}:${port}`])
        assert.doesNotMatch(sshd.log().slice(seen), /direct-tcpip/)
      }
      const ran = await run("ssh", through("plain-host", "-W", greeter.at))
      assert.match(ran.stderr, /is not allowed on this target/)
    })

    test("when nobody answers there, ssh says so, and so does the record", async () => {
      const ran = await run("ssh", through("prod-host", "-W", "127.0.0.1:1"))
      assert.match(ran.stderr, /open failed: connect failed: sluice: the target could not connect there/)
      await eventually("the outcome", () => recording().some((line) => line.kind === "outcome" && line.status === "error"))
    })

    test("a chain: another host behind the target, whose ssh the gateway carries as a connection and does not read", async () => {
      const jump = `ssh -F ${sluice.ssh(alice)[1]} -J gateway -W %h:%p ${sshd.login}@prod-host`
      const args = [
        ...sluice.ssh(alice),
        "-o",
        `ProxyCommand=${jump}`,
        "-p",
        String(sshd.address.port),
        `${sshd.login}@127.0.0.1`,
        "echo in",
      ]
      assert.equal(await must("ssh", args), "in\n")
      assert.deepEqual(actions(), [{ kind: "ssh.forward", direction: "local", host: "127.0.0.1", port: sshd.address.port }])
    })

    test("through a master connection, forwards come and go beside programs", async () => {
      const control = ["-o", `ControlPath=${join(folder, "control")}`]
      const port = await freePort()
      await while_(through("prod-host", ...control, "-M", "-N"), undefined, async () => {
        const to = `${sshd.login}@prod-host`
        const say = (...words: string[]): Promise<string> => must("ssh", [...sluice.ssh(alice), ...control, ...words])
        await eventually("the master", async () => (await run("ssh", [...control, "-O", "check", to])).status === 0)
        await say("-O", "forward", "-L", `${port}:${greeter.at}`, to)
        const [echoed, ...called] = await Promise.all([
          say(to, "echo in"),
          ...[1, 2, 3, 4, 5, 6].map((one) => callThrough(port, `${one}\n`)),
        ])
        assert.equal(echoed, "in\n")
        assert.deepEqual(
          called,
          [1, 2, 3, 4, 5, 6].map((one) => `hello\n${one}\ngoodbye\n`),
        )
        const [, remote] = /(\d+)/.exec(await say("-O", "forward", "-R", `0:${greeter.at}`, to)) ?? []
        assert.equal(await callThrough(Number(remote), "back\n"), "hello\nback\ngoodbye\n")
        await say("-O", "cancel", "-R", `0:${greeter.at}`, to)
        await eventually("the target to listen no more", async () => !(await answers(Number(remote))))
        await eventually("the outcome", () => recording().some((line) => line.kind === "outcome" && line.status === "ok"))
      })
    })
  })

  suite("to the client", () => {
    test("-R: the target tells the port that it chose, and each connection is on record with where it came from", async () => {
      const program = launch("ssh", through("prod-host", "-N", "-R", `0:${greeter.at}`))
      const [, port] = await program.says(/Allocated port (\d+) for remote forward/)
      assert.equal(await callThrough(Number(port), "hi\n"), "hello\nhi\ngoodbye\n")
      const lines = await eventually("the end of the connection", () =>
        recording().some(({ kind }) => kind === "closed") ? recording() : undefined,
      )
      const action = lines.find((line) => line.kind === "action")
      const opened = lines.find((line) => line.kind === "opened")
      const closed = lines.find((line) => line.kind === "closed")
      assert.ok(action?.kind === "action" && opened?.kind === "opened" && closed?.kind === "closed")
      assert.deepEqual(action.action, { kind: "ssh.forward", direction: "remote", host: "localhost", port: 0 })
      assert.equal(opened.action, action.n)
      assert.match(opened.from ?? "", /^(127\.0\.0\.1|\[::1\]):\d+$/)
      assert.deepEqual(
        [closed.opened, closed.status, closed.bytes_down, closed.bytes_up],
        [opened.n, "ok", 3, "hello\nhi\ngoodbye\n".length],
      )
      await program.stop()
      await eventually("the target to listen no more", async () => !(await answers(Number(port))))
    })

    test("-R at a port and at a socket that the client names", async () => {
      const port = await freePort()
      const path = join(folder, "back.listen")
      await while_(through("prod-host", "-N", "-R", `${port}:${greeter.at}`, "-R", `${path}:${onSocket.at}`), port, async () => {
        assert.equal(await callThrough(port, "hi\n"), "hello\nhi\ngoodbye\n")
        await eventually("the target to listen at the socket", async () => (await callThrough(path, "ho\n")) === "hello\nho\ngoodbye\n")
      })
    })

    for (const [target, where, what] of [
      ["plain-host", "0:127.0.0.1:9", "remote forwarding from localhost:0"],
      ["prod-host", "0.0.0.0:0:127.0.0.1:9", "remote forwarding from 0.0.0.0:0"],
      ["prod-host", "/etc/back.listen:127.0.0.1:9", "remote forwarding from /etc/back.listen"],
    ] as const) {
      test(`-R ${where} is refused on ${target}, on record, and told at a terminal`, async () => {
        const ran = await run("ssh", through(target, "-tt", "-R", where).concat("true"))
        assert.match(ran.stderr, /remote (port|path|unix)? ?forwarding failed/i)
        assert.match(ran.stdout + ran.stderr, new RegExp(`sluice: ${what} is not allowed on this target`))
        assert.ok(refused().includes(what))
        const strict = await run("ssh", through(target, "-N", "-o", "ExitOnForwardFailure=yes", "-R", where))
        assert.equal(strict.status, 255)
      })
    }

    test("a port that is taken on the target fails as ssh says it, and nothing is left behind", async () => {
      const ran = await run("ssh", through("prod-host", "-R", `127.0.0.1:${greeter.port}:127.0.0.1:9`).concat("true"))
      assert.match(ran.stderr, new RegExp(`remote port forwarding failed for listen port ${greeter.port}`))
      await eventually("the outcome", () =>
        recording().some((line) => line.kind === "outcome" && line.status === "error" && line.exit === undefined),
      )
    })
  })

  suite("the agent", () => {
    async function withAgent(use: (env: Record<string, string>) => Promise<void>): Promise<void> {
      const socket = join(scratch("agent"), "s")
      const agent = launch("ssh-agent", ["-D", "-a", socket], { background: true })
      const env = { SSH_AUTH_SOCK: socket }
      await eventually("the agent", async () => (await run("ssh-add", ["-q", keyPair("in the agent").file], { env })).status === 0)
      try {
        await use(env)
      } finally {
        await agent.stop()
      }
    }
    const agent = ["-o", "IdentityAgent=SSH_AUTH_SOCK", "-A"]

    test("-A: programs there use it, several at once, and its use is on record, what is said to it is not", async () => {
      await withAgent(async (env) => {
        const eight = "for i in 1 2 3 4 5 6 7 8; do ssh-add -l & done; wait"
        const ran = await run("ssh", through("prod-host", ...agent).concat(eight), { env })
        assert.equal(ran.stdout.match(/in the agent/g)?.length, 8, ran.stderr)
        const lines = recording()
        const action = lines.find((line) => line.kind === "action" && line.action.kind === "ssh.agent")
        assert.ok(action)
        const opened = lines.filter((line) => line.kind === "opened")
        assert.equal(opened.length, 8)
        assert.ok(opened.every((line) => line.kind === "opened" && line.action === action.n))
        const closed = await eventually("all of them to be over", () => {
          const over = recording().filter((line) => line.kind === "closed")
          return over.length === 8 ? over : undefined
        })
        assert.ok(closed.every((line) => line.kind === "closed" && (line.bytes_up ?? 0) > 0 && (line.bytes_down ?? 0) > 0))
      })
    })

    test("where the target does not allow it, there is none", async () => {
      await withAgent(async (env) => {
        const ran = await run("ssh", through("plain-host", ...agent).concat('echo "[$SSH_AUTH_SOCK]"'), { env })
        assert.equal(ran.stdout, "[]\n")
        assert.deepEqual(refused(), ["agent forwarding"])
      })
    })
  })

  suite("what else a target does not do", () => {
    test("X11 is refused with a reason, once", async () => {
      const ran = await run("ssh", through("prod-host", "-Y").concat("echo in"), { env: { DISPLAY: ":99" } })
      assert.equal(ran.stdout, "in\n")
      assert.equal(ran.stderr.match(/sluice: X11 forwarding is not supported/g)?.length, 1, ran.stderr)
    })

    test("a target for tunnels alone takes no shell and no command", async () => {
      for (const [words, what] of [
        [["true"], "a command"],
        [[], "a shell"],
      ] as const) {
        const ran = await run("ssh", [...through("tunnel-host", "-T"), ...words])
        assert.deepEqual([ran.status, ran.stdout], [1, ""])
        assert.match(ran.stderr, new RegExp(`sluice: ${what} is not allowed on this target`))
        assert.deepEqual(refused(), [what])
      }
      assert.match((await run("ssh", through("tunnel-host", "-W", greeter.at), { input: "hi\n" })).stdout, /hello\nhi\n/)
    })
  })

  suite("grants", () => {
    test("one for certain actions covers a forward that it names, and nothing else", async () => {
      await sluice.grant(carol, "prod-host", { by: bob, for: "1h", actions: [`forward ${greeter.at}`, "uptime"] })
      const as = (...words: string[]): string[] => [...sluice.ssh(carol), "-J", "gateway", ...words]
      const to = `${sshd.login}@prod-host`
      assert.match((await run("ssh", as("-W", greeter.at, to), { input: "hi\n" })).stdout, /hello\nhi\n/)
      for (const words of [
        ["-W", "127.0.0.1:1", to],
        [to, `forward ${greeter.at}`],
        ["-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9", to],
      ]) {
        const ran = await run("ssh", as(...words))
        assert.notEqual(ran.status, 0)
        assert.ok(recording().some((line) => line.kind === "action" && line.verdict === "deny"))
      }
    })

    test("a cut closes what is forwarded both ways at once, with the words, and the target listens no more", async () => {
      const grant = await sluice.grant(carol, "tunnel-host", { by: bob, for: "1h" })
      const port = await freePort()
      const tunnel = launch("ssh", [
        ...sluice.ssh(carol),
        "-J",
        "gateway",
        "-N",
        "-L",
        `${port}:${greeter.at}`,
        "-R",
        `0:${other.at}`,
        `${sshd.login}@tunnel-host`,
      ])
      const [, remote] = await tunnel.says(/Allocated port (\d+)/)
      const [there, back] = [new Caller(port), new Caller(Number(remote))]
      await Promise.all([there.hears("hello\n"), back.hears("hello\n")])
      await sluice.revoke(grant, bob)
      const { stderr, status } = await tunnel.ended
      assert.match(stderr, /your access to tunnel-host ended at .* revoked\)\. Ask again: ssh gateway request tunnel-host/)
      assert.equal(status, 255)
      await Promise.all([there.closed, back.closed])
      await eventually("nobody to be connected", () => greeter.open() === 0 && other.open() === 0)
      await eventually("nothing to listen there", async () => !(await answers(Number(remote))))
      const lines = await eventually("the end", () => (recording().at(-1)?.kind === "end" ? recording() : undefined))
      assert.equal(lines.filter((line) => line.kind === "outcome" && line.status === "cut").length, 2)
      assert.equal(lines.filter((line) => line.kind === "closed" && line.status === "cut").length, 1)
    })

    test("a client that is writing when the cut comes reads the words first", async () => {
      const grant = await sluice.grant(carol, "tunnel-host", { by: bob, for: "1h" })
      const port = await freePort()
      const forward = ["-N", "-L", `${port}:${greeter.at}`, `${sshd.login}@tunnel-host`]
      const tunnel = launch("ssh", [...sluice.ssh(carol), "-J", "gateway", ...forward])
      await eventually("ssh to listen", () => answers(port))
      const callers = Array.from({ length: 8 }, () => new Caller(port))
      await Promise.all(callers.map((caller) => caller.hears("hello\n")))
      const bytes = randomBytes(64 * 1024)
      const write = (caller: Caller): void => void (caller.socket.writable && caller.socket.write(bytes, () => setImmediate(write, caller)))
      callers.forEach(write)
      await eventually("it to flow", () => callers.every((caller) => caller.text.length > bytes.length))
      await sluice.revoke(grant, bob)
      assert.match((await tunnel.ended).stderr, /your access to tunnel-host ended at .* revoked\)/)
      await Promise.all(callers.map((caller) => caller.closed))
    })
  })
})
