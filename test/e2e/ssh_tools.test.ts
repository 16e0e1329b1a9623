// What tools that drive ssh by themselves do with it: Ansible's pipelining through a master that persists, and an editor's server on the
// target, reached through SOCKS and through a socket.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { callThrough, type Greeter, startGreeter } from "../support/greeter.ts"
import { type People, people } from "../support/people.ts"
import { freePort } from "../support/port.ts"
import { launch, must, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

suite("ssh: tools", { skip: needs("ssh", "sshd", "ssh-keygen", "rsync", "git", "curl"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  const folder = scratch("tools")
  let sshd: Sshd
  let sluice: Sluice
  let server: Greeter

  before(async () => {
    sshd = await startSshd()
    server = await startGreeter(join(folder, "editor.sock"))
    const allow = { local_forward: ["localhost:*", "127.0.0.1:*", join(folder, "*.sock")] }
    sluice = await startSluice({ users: [alice, bob], targets: [sshTarget("prod-host", sshd, { allow })] })
    await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await Promise.all([sshd.stop(), server.stop()])
  })

  const command = (): string => ["ssh", ...sluice.ssh(alice), "-J", "gateway"].join(" ")
  const commands = (): string[] =>
    sluice
      .recorded()
      .flatMap((id) =>
        sluice.recording(id).flatMap((line) => (line.kind === "action" && line.action.kind === "ssh.exec" ? [line.action.command] : [])),
      )

  test("Ansible: modules piped into a shell, many at once, through one master that stays", async () => {
    const before = sluice.recorded().length
    const persist = ["-C", "-o", "ControlMaster=auto", "-o", "ControlPersist=60s", "-o", `ControlPath=${join(folder, "cp")}`]
    const args = [...sluice.ssh(alice), "-J", "gateway", ...persist, "-o", "KbdInteractiveAuthentication=no", `${sshd.login}@prod-host`]
    const module = (word: string) =>
      must("ssh", [...args, "/bin/sh -c 'sh - && sleep 0'"], { input: `echo '{"changed": false, "is": "${word}"}'\n` })
    assert.match(await module("first"), /"is": "first"/)
    const said = await Promise.all(["a", "b", "c", "d", "e"].map(module))
    assert.deepEqual(
      said.map((text) => (JSON.parse(text) as { is: string }).is),
      ["a", "b", "c", "d", "e"],
    )
    await run("ssh", [...args.slice(0, -1), "-O", "exit", args.at(-1)!])
    assert.equal(sluice.recorded().length, before + 1, "one session for all")
  })

  test("an editor: a script over a shell's stdin starts its server, which is reached by SOCKS and by a socket", async () => {
    const [socks, local] = [await freePort(), await freePort()]
    const web = await freePort()
    const args = [
      ...sluice.ssh(alice),
      "-J",
      "gateway",
      "-T",
      "-D",
      `${socks}`,
      "-L",
      `${local}:${server.at}`,
      `${sshd.login}@prod-host`,
      "bash",
    ]
    const editor = launch("ssh", args)
    writeFileSync(join(folder, "index.html"), "the editor's server\n")
    editor.type(`cd ${folder} && python3 -m http.server --bind 127.0.0.1 ${web} >/dev/null 2>&1 & echo started\n`)
    await editor.says(/started/)
    const page = await eventually("the server", () =>
      must("curl", ["-sS", "--proxy", `socks5h://127.0.0.1:${socks}`, `http://localhost:${web}/index.html`]),
    )
    assert.equal(page, "the editor's server\n")
    assert.equal(await callThrough(local, "hi\n"), "hello\nhi\ngoodbye\n")
    editor.type("kill %1\nexit\n")
    assert.equal((await editor.ended).status, 0)
  })

  test("rsync and git go over exec, and their commands are on record", async () => {
    const [from, to] = [join(folder, "from"), join(folder, "to")]
    await must("mkdir", [from])
    writeFileSync(join(from, "file"), "content\n")
    await must("rsync", ["-a", "-e", command(), `${from}/`, `${sshd.login}@prod-host:${to}/`])
    assert.equal(readFileSync(join(to, "file"), "utf8"), "content\n")
    const repository = join(folder, "bare.git")
    await must("git", ["init", "-q", "--bare", repository])
    const ran = await run("git", ["ls-remote", `${sshd.login}@prod-host:${repository}`], { env: { GIT_SSH_COMMAND: command() } })
    assert.equal(ran.status, 0, ran.stderr)
    assert.ok(commands().some((one) => one.startsWith("rsync --server")))
    assert.ok(commands().some((one) => one === `git-upload-pack '${repository}'`))
  })
})
