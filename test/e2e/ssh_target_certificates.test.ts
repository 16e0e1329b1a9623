// Targets as a company with CAs has them: a real sshd that trusts users certified by Sluice, and whose own key a CA has certified.
import assert from "node:assert/strict"
import { appendFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { after, before, suite, test } from "node:test"
import { sshWith } from "../../protocols/ssh/index.ts"
import { limits } from "../../src/core/limits.ts"
import { type People, people } from "../support/people.ts"
import { type Ran, run } from "../support/run.ts"
import { scratch } from "../support/scratch.ts"
import { type Sluice, startSluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { certify, sshKey } from "../support/ssh_certificates.ts"
import { type Sshd, startSshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"

suite("ssh: certificates at the target", { skip: needs("ssh", "sshd", "ssh-keygen"), concurrency: 1 }, () => {
  const { alice, bob }: People = people()
  const folder = scratch("target-certificates")
  const trusted = join(folder, "trusted_user_ca")
  const ca = sshKey()
  const hosts = [sshKey(), sshKey("rsa", "-b", "3072"), sshKey("ecdsa", "-b", "256")]
  const sshds: Sshd[] = []
  let sluice: Sluice

  before(async () => {
    writeFileSync(trusted, "")
    for (const key of hosts) {
      certify({ ca, key, principals: ["127.0.0.1"], more: ["-h"] })
      sshds.push(
        await startSshd({
          config: [
            `HostKey ${key.file}`,
            `HostCertificate ${key.file}-cert.pub`,
            `TrustedUserCAKeys ${trusted}`,
            "AuthorizedKeysFile none",
            "LogLevel VERBOSE",
          ],
        }),
      )
    }
    const [first] = sshds as [Sshd]
    const here = { auth: "certificate", host_key: undefined, host_ca: ca.publicKey }
    sluice = await startSluice({
      users: [alice, bob],
      targets: [
        ...sshds.map((sshd, index) => sshTarget(`host-${index}`, sshd, here)),
        sshTarget("impostor", first, { ...here, host_ca: sshKey().publicKey }),
        sshTarget("by-key", first, { host_key: undefined, host_ca: ca.publicKey }),
      ],
      // Keys that are renewed all the time: each renewal shows the host's certificate again.
      protocols: [sshWith({ bytes_max: 256 * 1024, ms_max: limits.ssh_keys_ms_max })],
    })
    for (const target of ["host-0", "host-1", "host-2", "impostor", "by-key"]) await sluice.grant(alice, target, { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    for (const sshd of sshds) await sshd.stop()
  })

  const on = (target: string, command: string): Promise<Ran> =>
    run("ssh", [...sluice.ssh(alice), "-J", "gateway", `${sshds[0]!.login}@${target}`, command])

  test("until the target trusts the CA, the login fails, and the user is told no more than that", async () => {
    const { status, stderr } = await on("host-0", "true")
    assert.equal(status, 255)
    assert.match(stderr, /sluice:/)
    assert.doesNotMatch(stderr, /SHA256|certificate/)
  })

  test("`ssh gateway ca targets` prints what the target's TrustedUserCAKeys needs, and then it works", async () => {
    const { stdout, status } = await run("ssh", [...sluice.ssh(alice), "gateway", "ca", "targets"])
    assert.equal(status, 0)
    assert.match(stdout, /^ssh-ed25519 \S+ sluice\n$/)
    appendFileSync(trusted, stdout)
    for (const target of ["host-0", "host-1", "host-2"]) {
      const ran = await on(target, "head -c 3000000 /dev/zero | wc -c; exit 3")
      assert.deepEqual([ran.stdout.trim(), ran.status], ["3000000", 3], ran.stderr)
    }
  })

  test("bulk goes through while the keys are renewed with a certified host", async () => {
    for (const target of ["host-0", "host-1", "host-2"]) {
      const { stdout, stderr } = await on(target, "head -c 3000000 /dev/zero")
      assert.equal(stdout.length, 3_000_000, stderr)
    }
  })

  test("a person's own certificate of Sluice's is nothing to the target", async () => {
    const key = sshKey()
    const { ssh_certificate } = await sluice.api(alice).call("certificates", { body: { ssh_public_key: key.publicKey } })
    writeFileSync(`${key.file}-cert.pub`, `${ssh_certificate}\n`)
    const [sshd] = sshds as [Sshd]
    const trust = [
      "-o",
      "StrictHostKeyChecking=no",
      "-o",
      "UserKnownHostsFile=/dev/null",
      "-o",
      "IdentitiesOnly=yes",
      "-o",
      "BatchMode=yes",
    ]
    const ran = await run("ssh", [
      "-F",
      "none",
      ...trust,
      "-i",
      key.file,
      "-p",
      String(sshd.address.port),
      `${sshd.login}@127.0.0.1`,
      "true",
    ])
    assert.equal(ran.status, 255)
    assert.match(ran.stderr, /Permission denied/)
  })

  test("a host that another CA certified is refused: the log has both fingerprints, the user neither", async () => {
    const { status, stderr } = await on("impostor", "true")
    assert.equal(status, 255)
    assert.doesNotMatch(stderr, /SHA256/)
    assert.match(sluice.log(), /is signed by SHA256:[^;]+; trusted is SHA256:/)
  })

  test("a key still does where the host is known by its CA", async () => {
    // This sshd takes no keys: what is tried is on its own log, and the answer is that the login failed, not that the host is unknown.
    const { stderr } = await on("by-key", "true")
    assert.match(stderr, /sluice: /)
    assert.match(sluice.log(), /"code":"target_login_failed"/)
  })
})
