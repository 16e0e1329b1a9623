// How editors with a backend on the target work over ssh. VS Code's Remote - SSH runs the ssh of the machine with a script on a shell's
// stdin, and reaches the server that the script starts through SOCKS on the same connection; JetBrains' Gateway and Toolbox have a library of their own
// and use one connection for commands, SFTP and a forwarded port. What a target must allow for it is `local_forward` to its loopback.
import assert from "node:assert/strict"
import { createHash } from "node:crypto"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import type { Line } from "../../src/record/events.ts"
import { callThrough, type Greeter, startGreeter } from "../support/greeter.ts"
import { python } from "../support/other_ssh_clients.ts"
import { type People, people } from "../support/people.ts"
import { answers, freePort } from "../support/port.ts"
import { launch, must, type Program, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("ssh: editors", { skip: needs("ssh", "sshd", "curl", "bash", "python3"), concurrency: 1 }, () => {
  const { alice, bob, carol }: People = people()
  const folder = scratch("editors")
  const file = (name: string): string => join(folder, name)
  let sshd: Sshd
  let sluice: Sluice
  let greeter: Greeter
  let onSocket: Greeter

  before(async () => {
    sshd = await startSshd()
    greeter = await startGreeter()
    onSocket = await startGreeter(file("code-server.sock"))
    const allow = { local_forward: ["127.0.0.1:*", "localhost:*", `${folder}/*.sock`] }
    sluice = await startSluice({
      users: [alice, bob, carol],
      targets: [sshTarget("dev-host", sshd, { allow }), sshTarget("plain-host", sshd)],
    })
    for (const target of ["dev-host", "plain-host"]) await sluice.grant(alice, target, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([greeter.stop(), onSocket.stop()])
    await sshd.stop()
  })

  const recording = (): readonly Line[] => {
    const all = sluice.recorded().map((id) => sluice.recording(id))
    return all.reduce((a, b) => ((a[0]?.t ?? 0) > (b[0]?.t ?? 0) ? a : b))
  }
  const actions = (kind: string) =>
    recording().flatMap((line) => (line.kind === "action" && line.action.kind === kind ? [line.action] : []))

  suite("VS Code", () => {
    const site = file("index.html")
    /** As its script does: tells when it runs, starts the server unless one is there, and says between two marks where that listens. */
    const script = `
set -u
echo "0e21d0e5a3e0: running"
cd ${folder}
if ! { read -r pid port <server.pid && kill -0 "$pid"; } 2>/dev/null; then
  python3 -c '
import http.server, os
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
open("server.pid.part", "w").write(f"{os.getpid()} {server.server_port}\\n")
os.rename("server.pid.part", "server.pid")
server.serve_forever()' >server.log 2>&1 </dev/null &
  while ! read -r pid port <server.pid; do sleep 0.05; done 2>/dev/null
fi
echo "0e21d0e5a3e0: start"
echo "listeningOn==$port=="
echo "platform==linux=="
echo "0e21d0e5a3e0: end"
`
    /** \`ssh -T -D <port> <host> bash\`, as its log shows it. */
    async function opened(
      who: typeof alice,
      target: string,
      ...more: readonly string[]
    ): Promise<{ program: Program; socks: number; port: string }> {
      const socks = await freePort()
      const args = ["-T", "-D", String(socks), "-o", "ConnectTimeout=15", ...more, `${sshd.login}@${target}`, "bash"]
      const program = launch("ssh", [...sluice.ssh(who), "-J", "gateway", ...args])
      program.type(script)
      const [, port] = await program.says(/0e21d0e5a3e0: start\nlisteningOn==(\d+)==\nplatform==linux==\n0e21d0e5a3e0: end/)
      return { program, socks, port: port! }
    }
    const browse = (socks: number, port: string, times: number): Promise<string> => {
      const urls = Array.from({ length: times }, (_, n) => `http://127.0.0.1:${port}/index.html?${n}`)
      return must("curl", ["-sS", "-Z", "--parallel-max", "30", "--proxy", `socks5://127.0.0.1:${socks}`, ...urls])
    }

    test("the script runs, its server is reached through SOCKS by many connections at once, a second window finds it running", async () => {
      writeFileSync(site, "the server\n")
      const first = await opened(alice, "dev-host")
      assert.equal(await browse(first.socks, first.port, 30), "the server\n".repeat(30))
      const second = await opened(alice, "dev-host", "-o", "ControlMaster=auto", "-o", `ControlPath=${file("control")}`)
      assert.equal(second.port, first.port)
      assert.equal(await browse(second.socks, second.port, 1), "the server\n")
      for (const { program } of [second, first]) {
        program.type("exit\n")
        assert.equal((await program.ended).status, 0)
      }
    })

    test("its commands and each connection are on record", async () => {
      const { program, socks, port } = await opened(alice, "dev-host")
      await browse(socks, port, 2)
      assert.deepEqual(
        actions("ssh.exec").map((action) => action.kind === "ssh.exec" && action.command),
        ["bash"],
      )
      assert.deepEqual(
        actions("ssh.forward").map((action) => action.kind === "ssh.forward" && "port" in action && [action.host, action.port]),
        [1, 2].map(() => ["127.0.0.1", Number(port)]),
      )
      const typed = recording().flatMap((line) => (line.kind === "data" && line.stream === "stdin" && "text" in line ? [line.text] : []))
      assert.match(typed.join(""), /listeningOn==/)
      await program.stop()
    })

    test("a server that listens on a socket is reached with -L", async () => {
      const local = await freePort()
      const { program } = await opened(alice, "dev-host", "-L", `127.0.0.1:${local}:${onSocket.at}`)
      assert.equal(await callThrough(local, "hi\n"), "hello\nhi\ngoodbye\n")
      await program.stop()
    })

    test("on a target that allows no forwards the script runs, and ssh says why nothing reaches its server", async () => {
      const { program, socks, port } = await opened(alice, "plain-host")
      const ran = await run("curl", ["-sS", "--proxy", `socks5://127.0.0.1:${socks}`, `http://127.0.0.1:${port}/`])
      assert.notEqual(ran.status, 0)
      await program.says(
        new RegExp(`open failed: administratively prohibited: sluice: forwarding to 127.0.0.1:${port} is not allowed on this target`),
      )
      await program.stop()
    })

    test("at a cut the window has lost its connection at once, and is told why", async () => {
      const grant = await sluice.grant(carol, "dev-host", { by: bob, for: "1h" })
      const { program, socks, port } = await opened(carol, "dev-host")
      assert.equal(await browse(socks, port, 1), "the server\n")
      await sluice.revoke(grant, bob)
      const { stderr, status } = await program.ended
      assert.match(stderr, /sluice: your access to dev-host ended at .* revoked\)/)
      assert.equal(status, 255)
      assert.equal(await answers(socks), false)
    })

    after(async () => {
      const [pid] = readFileSync(file("server.pid"), "utf8").split(" ")
      process.kill(Number(pid))
    })
  })

  suite("JetBrains", () => {
    test("commands at once, a worker by SFTP, its backend, and a forwarded port, all on one connection and all on record", async () => {
      const worker = file("worker")
      writeFileSync(
        worker,
        `#!/bin/sh\n# ${"x".repeat(2_000_000)}\necho 'Join link: tcp://127.0.0.1:${greeter.port}#jt=0&p=PS'\nexec sleep 600\n`,
      )
      const to = file("cache")
      const user = `${sshd.login}@dev-host`
      const program = ["-W", "ignore", join(import.meta.dirname, "../support/ide_client.py")]
      const ran = await run(python, [...program, String(sluice.port("ssh")), user, alice.file, worker, to, "40"])
      assert.equal(ran.status, 0, ran.stderr)
      assert.match(ran.stdout, new RegExp(`^probes: Linux .*, ${sshd.login}, made\ncalls: 40\n$`))
      const lines = await eventually("the end", () => (recording().at(-1)?.kind === "end" ? recording() : undefined))
      assert.equal(actions("ssh.exec").length, 6)
      assert.equal(actions("ssh.forward").length, 40)
      const sent = lines.find((line) => line.kind === "transfer")
      assert.ok(sent?.kind === "transfer" && sent.sha256_up === createHash("sha256").update(readFileSync(worker)).digest("hex"))
    })
  })
})
