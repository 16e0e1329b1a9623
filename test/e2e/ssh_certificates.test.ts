import assert from "node:assert/strict"
import { join } from "node:path"
import { after, before, describe, test } from "node:test"
import { people } from "../support/people.ts"
import { run, type Ran } from "../support/run.ts"
import { startSluice, type Sluice } from "../support/sluice.ts"
import { sshTarget } from "../support/sluice_config.ts"
import { certify, sshKey, type KeyFiles, type Signing } from "../support/ssh_certificates.ts"
import { startSshd, type Sshd } from "../support/sshd.ts"
import { needs } from "../support/tools.ts"

describe("certificates of the company's SSH CA, with the stock ssh", { skip: needs("ssh", "sshd", "ssh-keygen") }, () => {
  const { alice, bob } = people()
  const ca = sshKey()
  let sluice: Sluice
  let sshd: Sshd

  before(async () => {
    sshd = await startSshd()
    sluice = await startSluice({
      users: [alice, bob],
      targets: [sshTarget("prod-host", sshd)],
      identity: { ssh_cas: [{ key: ca.publicKey, domain: "example.com" }] },
    })
    await sluice.grant(alice, "prod-host", { by: bob, for: "1h" })
  })
  after(async () => {
    await sluice.stop()
    await sshd.stop()
  })

  /** With this key and its certificate alone: no configured key, no agent. */
  const ssh = (key: KeyFiles, words: readonly string[]): Promise<Ran> => {
    const known = join(sluice.folder, "known_hosts.certificates")
    const options = ["IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=accept-new", `UserKnownHostsFile=${known}`]
    const set = ["-F", "none", "-i", key.file, ...options.flatMap((option) => ["-o", option]), "-p", String(sluice.port("ssh"))]
    return run("ssh", [...set, ...words])
  }
  const withCertificate = (change: Partial<Signing> = {}, ...kind: string[]): KeyFiles => {
    const key = sshKey(...kind)
    certify({ ca, key, principals: ["alice"], ...change })
    return key
  }

  for (const kind of [["ed25519"], ["ecdsa", "-b", "256"], ["rsa", "-b", "2048"]]) {
    test(`an ${kind[0]} key with a certificate is its user at the gateway, with nothing configured for the key`, async () => {
      const ran = await ssh(withCertificate({}, ...kind), ["x@127.0.0.1", "whoami"])
      assert.equal(ran.status, 0, ran.stderr)
      assert.match(ran.stdout, /^alice@example\.com \(engineers\)/)
    })
  }

  test("login@target@gateway and -J both lead to the target, and the record says by which certificate", async () => {
    const key = withCertificate()
    const direct = await ssh(key, [`${sshd.login}@prod-host@127.0.0.1`, "echo in"])
    assert.equal(direct.stdout, "in\n", direct.stderr)
    const inner = ["-i", key.file, "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]
    const known = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
    const outer = `ssh -F none ${[...inner, ...known].join(" ")} -p ${sluice.port("ssh")} -W %h:%p x@127.0.0.1`
    const jumped = await run("ssh", ["-F", "none", ...inner, ...known, "-o", `ProxyCommand=${outer}`, `${sshd.login}@prod-host`, "echo in"])
    assert.equal(jumped.stdout, "in\n", jumped.stderr)
    for (const id of sluice.recorded()) {
      const [header] = sluice.recording(id)
      assert(header?.kind === "session")
      assert.equal(header.subject, "alice@example.com")
      assert.match(header.via, /^ssh-certificate SHA256:\S+, serial 7, by SHA256:/)
    }
  })

  const bad: Readonly<Record<string, Partial<Signing>>> = {
    "an ended one": { valid: "-2h:-1h" },
    "one for nobody, which sshd takes for everybody": { principals: [] },
    "one for a stranger": { principals: ["mallory"] },
    "a stranger's CA": { ca: sshKey() },
    "one for another address": { options: ["source-address=192.0.2.0/24"] },
    "one for one command": { options: ["force-command=true"] },
  }
  for (const [name, change] of Object.entries(bad)) {
    test(`${name} opens nothing`, async () => {
      const ran = await ssh(withCertificate(change), ["x@127.0.0.1", "whoami"])
      assert.equal(ran.status, 255)
      assert.equal(ran.stdout, "")
      assert.match(ran.stderr, /Permission denied \(publickey\)/)
    })
  }

  test("the address in a certificate is the client's own", async () => {
    const ran = await ssh(withCertificate({ options: ["source-address=127.0.0.0/8"] }), ["x@127.0.0.1", "whoami"])
    assert.match(ran.stdout, /^alice@example\.com/, ran.stderr)
  })

  test("a configured key goes on working beside it", async () => {
    const ran = await run("ssh", [...sluice.ssh(alice), "gateway", "whoami"])
    assert.match(ran.stdout, /^alice@example\.com/, ran.stderr)
  })
})
