import assert from "node:assert/strict"
import { generateKeyPairSync, sign, X509Certificate } from "node:crypto"
import { test } from "node:test"
import { generateOpensshKey } from "../../../src/config/openssh_key.ts"
import { GatewayError } from "../../../src/core/errors.ts"
import { newLoginId, type LoginId } from "../../../src/core/ids.ts"
import { Secret } from "../../../src/core/secret.ts"
import { createAuthenticator, type FindPerson } from "../../../src/identity/authenticator.ts"
import { clientCa, readCsr, type ClientCertification } from "../../../src/identity/client_certificate.ts"
import { packWire } from "../../../src/identity/wire_writer.ts"
import { ownAuthority, userCa } from "../../../src/identity/user_certificate.ts"
import { csr } from "../../support/csr.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { blobOf } from "../../support/ssh_certificates.ts"
import { needs } from "../../support/tools.ts"

const hour = 3_600_000
const from = "203.0.113.7:52044"
const skip = needs("openssl")
const clock = new FakeClock()
const now = clock.now()
const pem = (): Secret =>
  new Secret(generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }) as string)

const sshCa = userCa(generateOpensshKey("ca").private)
const tlsCa = await clientCa({
  privateKey: pem(),
  certificate: undefined,
  name: "a CA",
  valid_from: now - hour,
  valid_to: now + 100 * hour,
})

function setting(people: FindPerson, networks: readonly string[] = []) {
  const authority = ownAuthority(sshCa.public)
  const known = [new X509Certificate(tlsCa.certificate)]
  return createAuthenticator({
    users: [{ name: "alice", groups: ["engineers"], ssh_keys: [] }],
    verifier: { verify: () => Promise.reject(new GatewayError("unauthenticated")), trusts: () => true },
    people,
    certificates: {
      ssh: async (blob) => (blob.equals(sshCa.public) ? authority : undefined),
      client: async (shown) => known.filter((ca) => shown.checkIssued(ca)),
      from: networks,
      clock,
    },
  })
}

/** A directory in which logins can end. */
function directory() {
  const ended = new Set<LoginId>()
  const find: FindPerson = async ({ subject, login }) =>
    login !== undefined && ended.has(login) ? undefined : { groups: [`of ${subject}`] }
  return { ended, find }
}

const sshKey = generateKeyPairSync("ed25519").privateKey
const keyBlob = packWire("ssh-ed25519", Buffer.from(sshKey.export({ format: "jwk" }).x ?? "", "base64url"))

function sshLogin(subject: string, login: string | undefined) {
  const facts = { subject, login, serial: 7n, valid_from: now, valid_to: now + hour, from: [] }
  const certificate = blobOf(sshCa.sign({ key: keyBlob, ...facts }))
  const algorithm = "ssh-ed25519-cert-v01@openssh.com"
  const head = [packWire(Buffer.alloc(32, 7)), Buffer.of(50), packWire("x", "ssh-connection", "publickey"), Buffer.of(1)]
  const signed = Buffer.concat([...head, packWire(algorithm, certificate)])
  const signature = packWire("ssh-ed25519", sign(null, signed, sshKey))
  return { kind: "ssh_key", key: { type: algorithm, blob: certificate }, algorithm, signed, signature } as const
}

async function tlsCertificate(change: Partial<ClientCertification> = {}, ca = tlsCa): Promise<X509Certificate> {
  const publicKey = await readCsr((await csr()).csr)
  assert(publicKey)
  const facts = { publicKey, subject: "alice", login: undefined, serial: 7n, valid_from: now - hour, valid_to: now + hour }
  return new X509Certificate(await ca.sign({ ...facts, ...change }))
}

test("a certificate of a login is its person's while the login goes on, and nobody's once it has ended", { skip }, async () => {
  const { ended, find } = directory()
  const authenticator = setting(find)
  const login = newLoginId()
  const [ssh, tls] = [sshLogin("alice", login), await tlsCertificate({ login })]
  for (const identity of [await authenticator.identify(ssh, from), await authenticator.identifyClient(tls, from)]) {
    assert.deepEqual([identity.subject, identity.groups, identity.login, identity.until], ["alice", ["of alice"], login, now + hour])
  }
  ended.add(login)
  await assert.rejects(authenticator.identify(ssh, from), { code: "unauthenticated" })
  await assert.rejects(authenticator.identifyClient(tls, from), { code: "certificate_refused" })
})

test(
  "while the directory cannot be asked a login's certificate is not good, and a configured user's without one is",
  { skip },
  async () => {
    const authenticator = setting(() => Promise.reject(new GatewayError("stale")))
    const login = newLoginId()
    await assert.rejects(authenticator.identify(sshLogin("alice", login), from), { code: "stale" })
    await assert.rejects(authenticator.identifyClient(await tlsCertificate({ login }), from), { code: "stale" })
    assert.equal((await authenticator.identify(sshLogin("alice", undefined), from)).subject, "alice")
  },
)

test("a client certificate's own bad cases", { skip }, async () => {
  const { find } = directory()
  const authenticator = setting(find)
  const refuse = (certificate: X509Certificate, why: RegExp, address = from, by = authenticator): Promise<void> =>
    assert.rejects(by.identifyClient(certificate, address), (error: Error & { code?: string }) => {
      assert.equal(error.code, "certificate_refused")
      assert.match((error.cause as Error).message, why)
      return true
    })
  await refuse(await tlsCertificate({ valid_to: now }), /has ended/)
  await refuse(await tlsCertificate({ valid_from: now + 1000 }), /not valid yet/)
  const twin = await clientCa({ privateKey: pem(), certificate: undefined, name: "a CA", valid_from: now - hour, valid_to: now + hour })
  await refuse(await tlsCertificate({}, twin), /no CA that is trusted/)
  await refuse(new X509Certificate(tlsCa.certificate), /a CA's, not a client's/)
  await refuse(await tlsCertificate({ login: "l_other" }), /names a login as none is named/)
  const atWork = setting(find, ["10.0.0.0/8"])
  await refuse(await tlsCertificate(), /not good from this address/, from, atWork)
  assert.equal((await atWork.identifyClient(await tlsCertificate(), "10.1.2.3:4")).subject, "alice")
})

test("a name with anything in it comes back as it was, and no other", { skip }, async () => {
  const { find } = directory()
  const authenticator = setting(find)
  for (const subject of ["alice@example.com", "ci:acme/shop", "a?login=l_0000000000000000", "ä#%2F"]) {
    assert.equal((await authenticator.identifyClient(await tlsCertificate({ subject }), from)).subject, subject)
  }
  for (const subject of ["alice root", "alice l_0000000000000000"]) {
    await assert.rejects(authenticator.identify(sshLogin(subject, undefined), from), { code: "unauthenticated" })
  }
})

test("a CA whose key is not its certificate's does not start", async () => {
  const options = { certificate: tlsCa.certificate, name: "a CA", valid_from: now, valid_to: now + hour }
  await assert.rejects(clientCa({ ...options, privateKey: pem() }), /not the one its certificate is about/)
})
