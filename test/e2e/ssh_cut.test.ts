// What a cut does to the target: everything of that session's ends there, and nothing of anybody else's.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import { sweepCommand } from "../../protocols/ssh/sweep.ts"
import { lives } from "../support/lives.ts"
import { type People, people } from "../support/people.ts"
import { launch, type Program, run } from "../support/run.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"
import { eventually } from "../support/wait.ts"

for (const ordinary of [false, true]) {
  const who = ordinary ? "an ordinary account" : "the account that runs the tests"
  suite(`ssh: a cut, on a target that lets ${who} in`, { skip: needs("ssh", "sshd", "ssh-keygen"), concurrency: 1 }, () => {
    const { alice, bob, carol }: People = people()
    let sshd: Sshd
    let sluice: Sluice

    before(async () => {
      sshd = await startSshd({ ordinary, authorized: [alice.publicKey] })
      sluice = await startSluice({ users: [alice, bob, carol], targets: [sshTarget("prod-host", sshd)] })
    })
    after(async () => {
      await sluice.stop()
      await sshd.stop()
    })

    const through = (person: typeof alice, ...words: string[]): Program =>
      launch("ssh", [...sluice.ssh(person), "-J", "gateway", ...words.slice(0, -1), `${sshd.login}@prod-host`, words.at(-1)!])
    const pidOf = async (program: Program): Promise<number> => Number((await program.says(/up (\d+)\r?\n/))[1])

    test("what it runs is gone; a colleague's session and a plain ssh of the same account go on", async () => {
      await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
      const grant = await sluice.grant(carol, "prod-host", { by: bob, for: "1h" })
      const options = ["-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
      const address = ["-p", String(sshd.address.port), `${sshd.login}@127.0.0.1`]
      const plain = launch("ssh", ["-F", "none", "-i", alice.file, ...options, ...address, "echo up $$; exec sleep 600"])
      const others = [plain, through(alice, "echo up $$; exec sleep 600"), through(alice, "-tt", "echo up $$; exec sleep 600")]
      const own = [
        through(carol, "echo up $$; exec sleep 600"),
        through(carol, `trap "" TERM HUP; echo up $$; sleep 600; sleep 600`),
        through(carol, "-tt", `trap "" TERM HUP; echo up $$; sleep 600; sleep 600`),
        through(carol, "exec env -i sh -c 'echo up $$; exec sleep 600'"),
      ]
      const [otherPids, ownPids] = [await Promise.all(others.map(pidOf)), await Promise.all(own.map(pidOf))]
      await sluice.revoke(grant, bob)
      for (const { stderr, stdout } of await Promise.all(own.map((program) => program.ended))) {
        assert.match(stderr + stdout, /your access to prod-host ended at .* revoked\)/)
      }
      for (const pid of ownPids) await eventually(`process ${pid} to be gone`, () => !lives(pid))
      assert.deepEqual(
        otherPids.filter((pid) => !lives(pid)),
        [],
      )
      assert.ok(others.every((program) => program.running))
      const recordings = sluice.recorded().map((id) => sluice.recording(id))
      const cut = recordings.filter((lines) => lines.some((line) => line.kind === "cut"))
      assert.equal(cut.length, own.length)
      for (const lines of cut) {
        const swept = lines.flatMap((line) => (line.kind === "swept" ? [line.command] : []))
        assert.deepEqual(swept, sshd.signals ? [] : [sweepCommand], "the gateway's own command is on record where it is run")
      }
      for (const program of others) await program.stop()
    })
  })
}

suite("ssh: the sweep's command", { skip: needs("sh") }, () => {
  test("does nothing where its parent is not a connection's own server process", async () => {
    const ran = await run("sh", [
      "-c",
      `sleep 600 & sibling=$!; sh -c "$1"; kill -0 $sibling && echo lives; kill $sibling`,
      "sh",
      sweepCommand,
    ])
    assert.equal(ran.stdout, "lives\n")
  })
})
