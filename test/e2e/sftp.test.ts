// Files with the programs people have: OpenSSH's sftp and scp, rsync and git, through both ways in, to a real sshd.
import assert from "node:assert/strict"
import { createHash, randomFillSync } from "node:crypto"
import { createReadStream, existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { pipeline } from "node:stream/promises"
import type { Line } from "../../src/record/events.ts"
import { type People, people } from "../support/people.ts"
import { must, type Ran, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"

const big = 120 * 1024 * 1024

suite("sftp", { skip: needs("ssh", "scp", "sftp", "sshd", "ssh-keygen", "rsync", "git"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  const folder = scratch("sftp")
  const at = (name: string): string => join(folder, name)
  let sshd: Sshd
  let sluice: Sluice

  before(async () => {
    sshd = await startSshd()
    const modes = { "prod-host": {}, "read-host": { sftp: "read" }, "closed-host": { sftp: "off" }, "few-host": {} }
    sluice = await startSluice({ users: [alice, bob], targets: Object.entries(modes).map(([name, more]) => sshTarget(name, sshd, more)) })
    for (const target of Object.keys(modes).filter((name) => name !== "few-host")) await sluice.grant(alice, target, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })

  const ways = (target: string): readonly (readonly string[])[] => [
    ["-J", "gateway", `${sshd.login}@${target}`],
    [`${sshd.login}%${target}@gateway`],
  ]
  const sftp = (way: readonly string[], commands: string): Promise<Ran> =>
    run("sftp", [...sluice.ssh(alice), "-b", "-", ...way], { input: commands })
  const scp = (way: readonly string[], from: string, to: string, ...more: string[]): Promise<Ran> =>
    run("scp", [...sluice.ssh(alice), ...more, ...way.slice(0, -1), from.replace("HOST", way.at(-1)!), to.replace("HOST", way.at(-1)!)])
  const recorded = (): Line[] => sluice.recorded().flatMap((id) => sluice.recording(id))
  const files = (path: string): string[] =>
    recorded().flatMap((line) =>
      line.kind === "action" && line.action.kind === "ssh.file" && "path" in line.action && line.action.path === path
        ? [line.action.op]
        : [],
    )

  for (const [index, name] of ["-J", "login%target@gateway"].entries()) {
    test(`by ${name}: put, get, rename, change and remove work and are on record`, async () => {
      const [from, there, moved, back] = ["from", "there", "moved", "back"].map((word) => at(`${word} ${index}`)) as [
        string,
        string,
        string,
        string,
      ]
      writeFileSync(from, "some contents\n")
      const commands = `put "${from}" "${there}"\nchmod 600 "${there}"\nrename "${there}" "${moved}"\nget "${moved}" "${back}"\nls "${folder}"\nrm "${moved}"\n`
      const ran = await sftp(ways("prod-host")[index]!, commands)
      assert.equal(ran.status, 0, ran.stderr)
      assert.equal(readFileSync(back, "utf8"), "some contents\n")
      assert.equal(existsSync(moved), false)
      assert.deepEqual(files(there), ["open", "setattr", "rename"])
      assert.deepEqual(files(moved), ["open", "remove"])
      const sum = createHash("sha256").update("some contents\n").digest("hex")
      const transfers = recorded().filter((line) => line.kind === "transfer")
      assert.equal(transfers.filter((line) => line.sha256_up === sum || line.sha256_down === sum).length >= 2, true)
    })

    test(`by ${name}: scp, old and new, rsync and git`, async () => {
      const way = ways("prod-host")[index]!
      writeFileSync(at("file"), "a file\n")
      await must("mkdir", ["-p", at("tree/deep")])
      writeFileSync(at("tree/deep/leaf"), "a leaf\n")
      for (const more of [[], ["-O"]]) {
        const copied = at(`copied${more.length}.${index}`)
        const there = await scp(way, at("file"), `HOST:${copied}`, ...more)
        assert.equal(there.status, 0, there.stderr)
        assert.equal(readFileSync(copied, "utf8"), "a file\n")
        const tree = await scp(way, `HOST:${at("tree")}`, at(`trees${more.length}.${index}`), "-r", ...more)
        assert.equal(tree.status, 0, tree.stderr)
        assert.equal(readFileSync(at(`trees${more.length}.${index}/deep/leaf`), "utf8"), "a leaf\n")
      }
      const shell = ["ssh", ...sluice.ssh(alice), ...way.slice(0, -1)].join(" ")
      const synced = await run("rsync", ["-a", "-e", shell, `${at("tree")}/`, `${way.at(-1)}:${at(`synced.${index}`)}/`])
      assert.equal(synced.status, 0, synced.stderr)
      assert.equal(readFileSync(at(`synced.${index}/deep/leaf`), "utf8"), "a leaf\n")
      await must("git", ["init", "-q", "--bare", at(`bare.${index}`)])
      const clone = await run("git", ["clone", "-q", `${way.at(-1)}:${at(`bare.${index}`)}`, at(`clone.${index}`)], {
        env: { GIT_SSH_COMMAND: shell },
      })
      assert.equal(clone.status, 0, clone.stderr)
    })
  }

  test("a large file arrives whole in both directions, with its digest on record", async () => {
    const chunk = randomFillSync(Buffer.alloc(big / 8))
    for (let count = 0; count < 8; count++) writeFileSync(at("big"), chunk, { flag: "a" })
    const ran = await sftp(ways("prod-host")[0]!, `put ${at("big")} ${at("big.there")}\nget ${at("big.there")} ${at("big.back")}\n`)
    assert.equal(ran.status, 0, ran.stderr)
    const [sum, back] = await Promise.all(["big", "big.back"].map((name) => digest(at(name))))
    assert.equal(back, sum)
    const transfers = recorded().filter((line) => line.kind === "transfer")
    assert.ok(transfers.some((line) => line.bytes_up === big && line.sha256_up === sum))
    assert.ok(transfers.some((line) => line.bytes_down === big && line.sha256_down === sum))
  })

  test("where files may only be read, writing fails, is on record, and reading goes on", async () => {
    writeFileSync(at("kept"), "kept\n")
    const way = ways("read-host")[0]!
    const ran = await sftp(
      way,
      `-put ${at("kept")} ${at("new")}\n-rm ${at("kept")}\n-mkdir ${at("made")}\nget ${at("kept")} ${at("got")}\n`,
    )
    assert.equal(ran.status, 0, ran.stderr)
    assert.match(ran.stderr, /Permission denied/)
    assert.deepEqual([existsSync(at("new")), existsSync(at("made")), readFileSync(at("got"), "utf8")], [false, false, "kept\n"])
    const denied = recorded().flatMap((line) =>
      line.kind === "action" && line.verdict === "deny" && line.action.kind === "ssh.file" ? [line.action.op] : [],
    )
    assert.deepEqual(denied, ["open", "remove", "mkdir"])
  })

  test("a grant for certain files lets sftp and scp at these, and at nothing else", async () => {
    await must("mkdir", ["-p", at("logs")])
    writeFileSync(at("logs/one"), "one\n")
    writeFileSync(at("secret"), "secret\n")
    await sluice.grant(alice, "few-host", { by: bob, for: "1h", actions: [`sftp read,list ${at("logs")}/*`, `sftp list ${at("logs")}`] })
    const way = ways("few-host")[0]!
    const got = await sftp(way, `ls ${at("logs")}\nget ${at("logs")}/on* ${at("got-one")}\n-get ${at("secret")} ${at("stolen")}\n`)
    assert.equal(got.status, 0, got.stderr)
    assert.match(got.stdout, /logs\/one/)
    assert.equal(readFileSync(at("got-one"), "utf8"), "one\n")
    assert.match(got.stderr, /secret.*: Permission denied/)
    const attempts = [`put ${at("secret")} ${at("logs")}/two`, `rm ${at("logs")}/one`, `get ${at("logs")}/../secret ${at("stolen")}`]
    for (const attempt of attempts) assert.match((await sftp(way, `${attempt}\n`)).stderr, /Permission denied|Couldn't/, attempt)
    assert.equal((await scp(way, `HOST:${at("logs")}/one`, at("copied-one"))).status, 0)
    assert.notEqual((await scp(way, `HOST:${at("secret")}`, at("stolen"))).status, 0)
    for (const args of [
      [...way, "uptime"],
      ["-tt", ...way],
    ]) {
      const ran = await run("ssh", [...sluice.ssh(alice), ...args])
      assert.match(ran.stderr + ran.stdout, /does not cover/)
    }
    assert.equal(existsSync(at("stolen")), false)
    assert.deepEqual([readFileSync(at("logs/one"), "utf8"), existsSync(at("logs/two"))], ["one\n", false])
    const denied = recorded().flatMap((line) =>
      line.kind === "action" && line.verdict === "deny" && line.action.kind === "ssh.file" ? [line.action.op] : [],
    )
    assert.ok(["open", "remove"].every((op) => denied.some((each) => each === op)))
  })

  test("where it is off, it is refused with words, and commands go on", async () => {
    const ran = await sftp(ways("closed-host")[0]!, "ls\n")
    assert.match(ran.stderr, /sluice: sftp is not allowed on this target/)
    assert.ok(recorded().some((line) => line.kind === "refused" && line.what === "sftp"))
    assert.equal(await must("ssh", [...sluice.ssh(alice), ...ways("closed-host")[0]!, "echo in"]), "in\n")
  })

  test("bytes that are no SFTP end the channel with words, on record", async () => {
    const ran = await run("ssh", [...sluice.ssh(alice), "-J", "gateway", "-s", `${sshd.login}@prod-host`, "sftp"], {
      input: "GET / HTTP/1.0\r\n\r\n",
    })
    assert.match(ran.stderr, /sluice: SFTP was not followed: a packet of \d+ bytes/)
    assert.notEqual(ran.status, 0)
    assert.ok(recorded().some((line) => line.kind === "refused" && line.what.startsWith("SFTP was not followed")))
  })
})

async function digest(path: string): Promise<string> {
  const hash = createHash("sha256")
  await pipeline(createReadStream(path), hash)
  return hash.digest("hex")
}
