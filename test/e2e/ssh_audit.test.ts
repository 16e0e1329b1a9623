// What ssh-audit, which knows what is weak, says about the front.
import assert from "node:assert/strict"
import { after, before, suite, test } from "node:test"
import { people } from "../support/people.ts"
import { run } from "../support/run.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"

/** Newer than Debian's ssh-audit: the post-quantum exchange, and the mark of strict key exchange. */
const unknown_to_it = ["mlkem768x25519-sha256", "kex-strict-s-v00@openssh.com"]

suite("ssh: an audit", { skip: needs("ssh-audit", "sshd") }, () => {
  let sshd: Sshd
  let sluice: Sluice
  before(async () => {
    sshd = await startSshd()
    const { alice, bob } = people()
    sluice = await startSluice({ users: [alice, bob], targets: [sshTarget("prod-host", sshd)] })
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })

  test("ssh-audit fails nothing, and warns of nothing that it knows", async () => {
    const { stdout } = await run("ssh-audit", ["-n", "-p", String(sluice.port("ssh")), "127.0.0.1"])
    assert.match(stdout, /\(key\) ssh-ed25519 /)
    assert.doesNotMatch(stdout, /\[fail\]/)
    const warned = stdout.split("\n").filter((line) => line.includes("[warn]") && !unknown_to_it.some((name) => line.includes(` ${name} `)))
    assert.deepEqual(warned, [])
  })
})
