import assert from "node:assert/strict"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { suite, test } from "node:test"
import { certifiedKey, certificateType, mintCertificate, parsePrivateKey } from "../../../protocols/ssh/host_certificate.ts"
import { HostKeys } from "../../../protocols/ssh/host_keys.ts"
import { Secret } from "../../../src/core/secret.ts"
import { limits } from "../../../src/core/limits.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { keyPair } from "../../support/people.ts"
import { must } from "../../support/run.ts"
import { scratch } from "../../support/scratch.ts"
import { needs } from "../../support/tools.ts"

const parsed = () => parsePrivateKey(new Secret(keyPair("host").privateKey))

suite("ssh: host certificates", () => {
  test("ssh-keygen reads one: for a host, exactly one name, a bounded time, nothing critical", { skip: needs("ssh-keygen") }, async () => {
    const key = parsed()
    const authority = parsed()
    const from = Date.UTC(2026, 0, 15, 12)
    const certificate = mintCertificate({ key, authority, principal: "prod-host", valid_from: from, valid_to: from + 3_600_000 })
    const file = join(scratch("certificate"), "host-cert.pub")
    writeFileSync(file, `${certificateType} ${certificate.toString("base64")}\n`)
    const said = await must("ssh-keygen", ["-L", "-f", file], { env: { TZ: "UTC" } })
    assert.match(said, /Type: ssh-ed25519-cert-v01@openssh\.com host certificate/)
    assert.match(said, /Principals: \n\s+prod-host\n\s+Critical Options: \(none\)/)
    assert.match(said, /Valid: from 2026-01-15T12:00:00 to 2026-01-15T13:00:00/)
    assert.match(said, /Signing CA: ED25519/)
  })

  test("a certified key shows the certificate and signs as the plain key", () => {
    const key = parsed()
    const certified = certifiedKey(key, Buffer.from("a certificate"))
    assert.equal(certified.type, certificateType)
    assert.deepEqual(certified.getPublicSSH(), Buffer.from("a certificate"))
    assert.deepEqual(certified.sign(Buffer.from("data")), key.sign(Buffer.from("data")))
    assert.equal(key.type, "ssh-ed25519")
  })

  test("one is kept for each name, and made anew at half of its life", () => {
    const clock = new FakeClock()
    const keys = new HostKeys(parsed(), parsed(), clock)
    const shown = (name: string): string => keys.for(name)[0]!.getPublicSSH().toString("base64")
    const first = shown("prod-host")
    assert.notEqual(shown("other"), first)
    assert.equal(shown("prod-host"), first)
    clock.advance(limits.ssh_certificate_ms / 2)
    assert.notEqual(shown("prod-host"), first)
  })

  test("the plain key is there too, for clients that know no certificates", () => {
    const key = parsed()
    assert.deepEqual(new HostKeys(key, parsed(), new FakeClock()).for("prod-host")[1]?.getPublicSSH(), key.getPublicSSH())
  })
})
