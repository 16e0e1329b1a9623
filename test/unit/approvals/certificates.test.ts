import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { X509Certificate } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { test } from "node:test"
import type { AuthorityView, Certificates } from "../../../src/api/schema.ts"
import { limits } from "../../../src/core/limits.ts"
import { certifiedClient } from "../../../src/identity/client_certificate.ts"
import { csr } from "../../support/csr.ts"
import { scratch } from "../../support/scratch.ts"
import { blobOf, sshKey, tokenKey } from "../../support/ssh_certificates.ts"
import { type Reply, type Service, startService } from "./service.ts"

const folder = scratch("certificates")
const key = sshKey()
const issue = (service: Service, body: object, who = "alice"): Promise<Reply> => service.call(who, "POST /v1/certificates", body)
const issued = async (service: Service, body: object): Promise<Certificates> => {
  const { status, body: answer } = await issue(service, body)
  assert.equal(status, 200, JSON.stringify(answer))
  return answer as unknown as Certificates
}
const trusted = async (service: Service, kind: AuthorityView["kind"]): Promise<AuthorityView[]> => {
  const { body } = await service.call(undefined, "GET /v1/authorities")
  return (body as unknown as { authorities: AuthorityView[] }).authorities.filter((one) => one.kind === kind)
}
const rotate = (service: Service, kind: string, body: object = {}, who = "dana"): Promise<Reply> =>
  service.call(who, `POST /v1/authorities/${kind}/rotate`, body)

/** What the real ssh-keygen reads in a certificate. */
function readBySsh(line: string): string {
  const file = join(folder, "key-cert.pub")
  writeFileSync(file, `${line}\n`)
  return execFileSync("ssh-keygen", ["-L", "-f", file], { encoding: "utf8", env: { ...process.env, TZ: "UTC" } })
}

test("certificates: ssh-keygen reads what was asked for: a user's, for that person alone, signed by the published CA", async (t) => {
  const service = await startService(t)
  const { ssh_certificate, subject, expires_at, certificate } = await issued(service, { ssh_public_key: key.publicKey })
  assert.equal(subject, "alice@example.com")
  assert.equal(certificate, null)
  const read = readBySsh(ssh_certificate ?? "")
  assert.match(read, /Type: ssh-ed25519-cert-v01@openssh\.com user certificate/)
  assert.match(read, /Key ID: "alice@example\.com"/)
  assert.match(read, /Principals: \n\s+alice@example\.com\n\s+Critical Options: \(none\)/)
  assert.match(read, /permit-agent-forwarding\n\s+permit-port-forwarding\n\s+permit-pty\n/)
  const [ca] = await trusted(service, "ssh-user")
  assert(ca)
  const file = join(folder, "ca.pub")
  writeFileSync(file, `${ca.public}\n`)
  const fingerprint = execFileSync("ssh-keygen", ["-l", "-f", file], { encoding: "utf8" }).split(" ")[1]
  assert.ok(read.includes(`Signing CA: ED25519 ${fingerprint}`), read)
  assert.ok(read.includes(`to ${new Date(expires_at).toISOString().slice(0, 19)}`), read)
})

test("certificates: without a login it lasts no longer than the token that asked for it", async (t) => {
  const service = await startService(t)
  const { expires_at } = await issued(service, { ssh_public_key: key.publicKey })
  assert.equal(expires_at, service.clock.now() + limits.api_token_ms)
})

test("certificates: the config's life is the longest", async (t) => {
  const service = await startService(t)
  await service.restart({ identity: { ...service.config.identity, certificate_ms: 60_000 } })
  const { expires_at } = await issued(service, { ssh_public_key: key.publicKey })
  assert.equal(expires_at, service.clock.now() + 60_000)
})

test("certificates: every kind of key that may log in can be certified", async (t) => {
  const service = await startService(t)
  const token = tokenKey("ed25519").blob.toString("base64")
  const lines = [sshKey("ecdsa", "-b", "256"), sshKey("ecdsa", "-b", "521"), sshKey("rsa", "-b", "2048")].map((one) => one.publicKey)
  for (const line of [...lines, `sk-ssh-ed25519@openssh.com ${token} a token`]) {
    const { ssh_certificate } = await issued(service, { ssh_public_key: line })
    const type = (line.split(" ")[0] ?? "").replace("@openssh.com", "")
    assert.match(readBySsh(ssh_certificate ?? ""), new RegExp(`Type: ${type}-cert-v01@openssh\\.com user certificate`))
  }
})

test("certificates: the networks of the config are in it", async (t) => {
  const service = await startService(t)
  await service.restart({ identity: { ...service.config.identity, certificate_from: ["10.0.0.0/8", "2001:db8::/32"] } })
  const { ssh_certificate } = await issued(service, { ssh_public_key: key.publicKey })
  assert.match(readBySsh(ssh_certificate ?? ""), /Critical Options: \n\s+source-address 10\.0\.0\.0\/8,2001:db8::\/32\n/)
})

test("certificates: a client certificate says who in one name of our own, whatever the request named", async (t) => {
  const service = await startService(t)
  for (const kind of [["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], ["rsa:2048"], ["ed25519"]]) {
    const { certificate } = await issued(service, { csr: (await csr(kind)).csr })
    const read = new X509Certificate(certificate ?? "")
    assert.equal(read.subject, "CN=alice@example.com")
    assert.equal(read.subjectAltName, "URI:sluice:alice%40example.com")
    assert.equal(read.ca, false)
    assert.deepEqual([...(read.keyUsage ?? [])], ["1.3.6.1.5.5.7.3.2"])
    const cas = (await trusted(service, "client")).map((ca) => new X509Certificate(ca.public))
    assert.equal(certifiedClient(read, cas, service.clock.now()).subject, "alice@example.com")
  }
})

test("certificates: what cannot be certified is refused in words", async (t) => {
  const service = await startService(t)
  const request = (await csr()).csr
  const changed = Buffer.from(request.replace(/-----[A-Z ]+-----/g, ""), "base64")
  changed[changed.length - 1]! ^= 1
  const broken = `-----BEGIN CERTIFICATE REQUEST-----
${changed.toString("base64")}
-----END CERTIFICATE REQUEST-----
`
  const weak = sshKey("rsa", "-b", "1024").publicKey
  const bad: [object, RegExp][] = [
    [{}, /an SSH public key, a CSR or both/],
    [{ ssh_public_key: "ssh-ed25519 AAAA" }, /not an OpenSSH public key/],
    [{ ssh_public_key: weak }, /not an OpenSSH public key/],
    [{ ssh_public_key: `${key.publicKey}\n${key.publicKey}` }, /not an OpenSSH public key/],
    [{ ssh_public_key: key.publicKey.replace("ssh-ed25519 ", "ssh-rsa ") }, /not an OpenSSH public key/],
    [{ ssh_public_key: `command="x" ${key.publicKey}` }, /not an OpenSSH public key/],
    [{ ssh_public_key: (await issued(service, { ssh_public_key: key.publicKey })).ssh_certificate }, /not an OpenSSH public key/],
    [{ csr: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----" }, /not a PKCS#10 request/],
    [{ csr: broken }, /not a PKCS#10 request/],
    [{ csr: (await csr(["rsa:1024"])).csr }, /not a PKCS#10 request/],
    [{ ssh_public_key: "x".repeat(limits.certificate_request_chars_max + 1) }, /Too big/],
    [{ ssh_public_key: key.publicKey, principals: ["root"] }, /unknown field/],
  ]
  for (const [body, why] of bad) {
    const { status, body: answer } = await issue(service, body)
    assert.equal(status, 400, JSON.stringify(body))
    assert.match(answer.message, why)
  }
})

test("rotation: a new CA signs at once, the old one is trusted until what it signed has ended, and no longer", async (t) => {
  const service = await startService(t)
  for (const [kind, body] of [
    ["ssh-user", { ssh_public_key: key.publicKey }],
    ["client", { csr: (await csr()).csr }],
  ] as const) {
    const [first] = await trusted(service, kind)
    assert(first)
    const { expires_at } = await issued(service, body)
    assert.equal((await rotate(service, kind)).status, 200)
    const after = await trusted(service, kind)
    const signing = after.filter(({ status }) => status === "signing")
    assert.equal(signing.length, 1)
    assert.notEqual(signing[0]?.public, first.public)
    assert.equal(after.find(({ id }) => id === first.id)?.not_after, expires_at)
    const second = await issued(service, body)
    if (kind === "ssh-user") {
      const authority = blobOf(signing[0]?.public ?? "")
      assert.ok(blobOf(second.ssh_certificate ?? "").includes(authority), "the new CA signed it")
    } else {
      assert.ok(new X509Certificate(second.certificate ?? "").verify(new X509Certificate(signing[0]?.public ?? "").publicKey))
    }
    service.clock.advance(expires_at - service.clock.now() - 1)
    assert.equal((await trusted(service, kind)).length, 2)
    service.clock.advance(1)
    assert.deepEqual(
      (await trusted(service, kind)).map(({ id }) => id),
      [signing[0]?.id],
    )
  }
})

test("rotation: a CA that is distrusted is gone at once, with all that it signed", async (t) => {
  const service = await startService(t)
  await issued(service, { ssh_public_key: key.publicKey })
  const [first] = await trusted(service, "ssh-user")
  await rotate(service, "ssh-user")
  await rotate(service, "ssh-user", { distrust: true, reason: "the laptop was stolen" })
  const left = await trusted(service, "ssh-user")
  assert.deepEqual([left.length, left[0]?.status, left.some(({ id }) => id === first?.id)], [1, "signing", false])
  assert.equal((await trusted(service, "client")).length, 1)
})

test("rotation: the CA is the same after a restart", async (t) => {
  const service = await startService(t)
  await rotate(service, "client")
  const before = await trusted(service, "client")
  await service.restart()
  await issued(service, { csr: (await csr()).csr })
  assert.deepEqual(await trusted(service, "client"), before)
})

test("rotation: is an administrator's, of a kind there is", async (t) => {
  const service = await startService(t)
  for (const who of ["alice", "bob", "frank"]) assert.equal((await rotate(service, "client", {}, who)).status, 403)
  assert.equal((await rotate(service, "host")).status, 400)
})

test("certificates and rotations are in the audit log, and no private key is in the log", async (t) => {
  const service = await startService(t)
  await issued(service, { ssh_public_key: key.publicKey, csr: (await csr()).csr })
  await rotate(service, "ssh-user", { reason: "every quarter" })
  const log = service.log.join("")
  for (const kind of ["authority.made", "certificate.issued", "authority.retired"]) assert.ok(log.includes(kind), kind)
  assert.doesNotMatch(log, /PRIVATE KEY/)
})
