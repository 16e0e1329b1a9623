// What tools that drive ssh by themselves do with it: pipelining through a master that persists, as Ansible does it, rsync, git.
import assert from "node:assert/strict"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { type People, people } from "../support/people.ts"
import { must, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"

suite("ssh: tools", { skip: needs("ssh", "sshd", "ssh-keygen", "rsync", "git"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  const folder = scratch("tools")
  let sshd: Sshd
  let sluice: Sluice

  before(async () => {
    sshd = await startSshd()
    sluice = await startSluice({ users: [alice, bob], targets: [sshTarget("prod-host", sshd)] })
    await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })

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

  for (const [way, direct] of [
    ["-J", false],
    ["login@target@gateway", true],
  ] as const) {
    const command = (): string =>
      ["ssh", ...sluice.ssh(alice), ...(direct ? ["-l", `${sshd.login}@prod-host`] : ["-J", "gateway"])].join(" ")
    const host = (): string => (direct ? "gateway" : `${sshd.login}@prod-host`)
    const own = (name: string): string => join(folder, `${name}${direct ? 2 : 1}`)

    test(`${way}: rsync takes a tree there, and what has changed back, and its commands are on record`, async () => {
      const [from, to, back] = [own("from"), own("to"), own("back")]
      await must("mkdir", ["-p", join(from, "sub")])
      writeFileSync(join(from, "sub", "file"), "content\n")
      await must("rsync", ["-a", "-e", command(), `${from}/`, `${host()}:${to}/`])
      assert.equal(readFileSync(join(to, "sub", "file"), "utf8"), "content\n")
      writeFileSync(join(to, "sub", "new"), "more\n")
      await must("rsync", ["-az", "--delete", "-e", command(), `${host()}:${to}/`, `${back}/`])
      assert.equal(readFileSync(join(back, "sub", "new"), "utf8"), "more\n")
      const ours = commands().filter((one) => one.startsWith("rsync --server") && one.includes(to))
      assert.equal(ours.length, 2)
      assert.equal(ours.filter((one) => one.includes("--sender")).length, 1, "one there, one back")
    })

    test(`${way}: git clones, pushes, and reads what somebody else has pushed, and its commands are on record`, async () => {
      const repository = own("bare.git")
      await must("git", ["init", "-q", "--bare", "-b", "main", repository])
      const env = {
        GIT_SSH_COMMAND: command(),
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_AUTHOR_NAME: "a",
        GIT_AUTHOR_EMAIL: "a@example.com",
        GIT_COMMITTER_NAME: "a",
        GIT_COMMITTER_EMAIL: "a@example.com",
      }
      const git = (at: string, ...words: string[]): Promise<string> => must("git", ["-C", at, ...words], { env })
      const [one, two] = [own("one"), own("two")]
      for (const clone of [one, two]) await must("git", ["clone", "-q", `${host()}:${repository}`, clone], { env })
      writeFileSync(join(one, "file"), "content\n".repeat(10_000))
      await git(one, "add", "file")
      await git(one, "commit", "-qm", "a commit")
      await git(one, "push", "-q", "origin", "HEAD:main")
      await git(two, "pull", "-q", "origin", "main")
      assert.equal(await git(two, "rev-parse", "HEAD"), await git(one, "rev-parse", "HEAD"))
      const ours = commands().filter((line) => line.includes(repository))
      const ran = (command: string): number => ours.filter((line) => line.startsWith(`${command} `)).length
      assert.deepEqual([ours.length, ran("git-upload-pack"), ran("git-receive-pack")], [4, 3, 1])
    })
  }
})
