import assert from "node:assert/strict"
import { suite, test } from "node:test"
import { HostTrust } from "../../../protocols/ssh/host_trust.ts"
import { fingerprint } from "../../../src/identity/ssh_fingerprint.ts"
import { certify, forger, type Signing, sshKey } from "../../support/ssh_certificates.ts"
import { packWire } from "../../../src/identity/wire_writer.ts"
import { needs } from "../../support/tools.ts"

const address = { host: "db7.internal", port: 22 }

suite("ssh: whether a target is trusted", { skip: needs("ssh-keygen") }, () => {
  const [ca, other, host] = [sshKey(), sshKey(), sshKey()]
  const now = Date.now()
  const trust = new HostTrust({ address, hostKeys: [], hostCas: [ca.publicKey] })
  const certified = (changes: Partial<Signing> = {}): Buffer =>
    certify({ ca, key: host, principals: ["db7.internal"], more: ["-h"], ...changes })

  test("a certificate by the CA, for the address, is taken, whatever kind of key is in it", () => {
    assert.equal(trust.refuses(certified(), now), undefined)
    assert.equal(trust.refuses(certified({ principals: ["other", "DB7.internal"] }), now), undefined)
    for (const key of [sshKey("rsa", "-b", "2048"), sshKey("ecdsa", "-b", "256"), sshKey("ecdsa", "-b", "521")])
      assert.equal(trust.refuses(certified({ key }), now), undefined)
    const rsa = sshKey("rsa", "-b", "3072")
    assert.equal(new HostTrust({ address, hostKeys: [], hostCas: [rsa.publicKey] }).refuses(certified({ ca: rsa }), now), undefined)
  })

  for (const [what, made, why] of [
    ["by another CA", () => certified({ ca: other }), /is signed by SHA256:.*; trusted is SHA256:/],
    ["of a person", () => certified({ more: [] }), /is not a host's/],
    ["for another host", () => certified({ principals: ["db8.internal"] }), /is for "db8\.internal", not for "db7\.internal"/],
    ["for every host", () => certified({ principals: [] }), /is for no name/],
    ["that has ended", () => certified({ valid: "-2h:-1h" }), /not good any more/],
    ["of tomorrow", () => certified({ valid: "+1h:+2h" }), /not good yet/],
    ["cut short", () => certified().subarray(0, -1), /the host key is SHA256:.*only a certificate by/],
    ["whose name would draw on the terminal", () => certified({ principals: ["\u001b[2J"] }), /is for "\\u001b\[2J"/],
  ] as const) {
    test(`a certificate ${what} is refused`, () => assert.match(trust.refuses(made(), now) ?? "", why))
  }

  test("one byte of a certificate changed, it is refused", () => {
    const good = certified()
    for (const at of [60, 120, good.length - 1]) {
      const bad = Buffer.from(good)
      bad[at] = bad[at]! ^ 1
      assert.notEqual(trust.refuses(bad, now), undefined, `byte ${at}`)
    }
  })

  test("critical options are refused, which a host has none of", () => {
    const forged = forger()
    const own = new HostTrust({ address, hostKeys: [], hostCas: [`ssh-ed25519 ${forged.authority.toString("base64")}`] })
    const parts = { kind: 2, principals: packWire("db7.internal") }
    assert.equal(own.refuses(forged.certificate(parts), now), undefined)
    assert.match(own.refuses(forged.certificate({ ...parts, critical: packWire("a", "b") }), now) ?? "", /critical options/)
  })

  test("the plain key is not taken for its certificate, and a changed key is named with the pinned one", () => {
    assert.match(trust.refuses(host.blob, now) ?? "", /only a certificate/)
    const pinned = new HostTrust({ address, hostKeys: [host.publicKey], hostCas: [] })
    assert.equal(pinned.refuses(host.blob, now), undefined)
    const refusal = pinned.refuses(other.blob, now) ?? ""
    assert.ok(refusal.includes(fingerprint(other.blob)) && refusal.includes(fingerprint(host.blob)), refusal)
    assert.notEqual(pinned.refuses(certified(), now), undefined)
  })

  test("with both, either is taken; and only what can be taken is asked for", () => {
    const both = new HostTrust({ address, hostKeys: [other.publicKey], hostCas: [ca.publicKey] })
    assert.equal(both.refuses(other.blob, now), undefined)
    assert.equal(both.refuses(certified(), now), undefined)
    assert.deepEqual(new HostTrust({ address, hostKeys: [other.publicKey], hostCas: [] }).algorithms, ["ssh-ed25519"])
    assert.ok(both.algorithms.includes("ssh-ed25519-cert-v01@openssh.com") && both.algorithms.includes("ssh-ed25519"))
    assert.equal(
      both.algorithms.some((name) => name.startsWith("ssh-rsa")),
      false,
    )
  })
})
