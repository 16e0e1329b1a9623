import assert from "node:assert/strict"
import { readFileSync } from "node:fs"
import { sign } from "node:crypto"
import { describe, test } from "node:test"
import ssh2 from "ssh2"
import { GatewayError } from "../../../src/core/errors.ts"
import type { SshPublicKey } from "../../../src/identity/credential.ts"
import { createAuthenticator } from "../../../src/identity/authenticator.ts"
import { configuredAuthorities } from "../../../src/identity/ssh_authorities.ts"
import { packWire } from "../../../src/identity/wire_writer.ts"
import { WireReader } from "../../../src/identity/wire_reader.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { certify, forger, privateKey, sshKey, tokenKey, type Forged, type KeyFiles } from "../../support/ssh_certificates.ts"
import { needs } from "../../support/tools.ts"

const from = "203.0.113.7:52044"
/** Around the fake clock's noon. */
const valid = "20260115110000:20260115130000"
const typeOf = (blob: Buffer): string => new WireReader(blob).text() ?? ""

function setting(cas: readonly (Buffer | SshPublicKey)[], domain?: string) {
  const clock = new FakeClock()
  const user = (name: string, ...groups: string[]) => ({ name, groups, ssh_keys: [] })
  const keys = cas.map((ca) => (Buffer.isBuffer(ca) ? { type: typeOf(ca), blob: ca } : ca))
  const configured = configuredAuthorities(keys.map((key) => ({ key, domain })))
  const authenticator = createAuthenticator({
    users: [user("alice", "engineers"), user("bob", "oncall"), user("alice@example.com")],
    verifier: { verify: () => Promise.reject(new GatewayError("unauthenticated")), trusts: () => true },
    certificates: { ssh: async (blob) => configured(blob), client: async () => [], from: [], clock },
  })
  return { clock, authenticator }
}

interface Login {
  readonly certificate: Buffer
  /** Makes the signature in wire form. */
  readonly sign: (data: Buffer) => Buffer
  /** Named in the login; the certificate's own type unless told. */
  readonly algorithm?: string
  /** The certificate that is signed for; the shown one unless told. */
  readonly signedFor?: Buffer
}

/** RFC 4252, section 7, as OpenSSH and ssh2 hand it over. */
function credential({ certificate, sign: make, algorithm = typeOf(certificate), signedFor = certificate }: Login) {
  const session = packWire(Buffer.alloc(32, 7))
  const signed = Buffer.concat([
    session,
    Buffer.of(50),
    packWire("root", "ssh-connection", "publickey"),
    Buffer.of(1),
    packWire(algorithm, signedFor),
  ])
  return { kind: "ssh_key", key: { type: typeOf(certificate), blob: certificate }, algorithm, signed, signature: make(signed) } as const
}

type Setting = ReturnType<typeof setting>

const refused = ({ authenticator }: Setting, login: Login, why: RegExp): Promise<void> =>
  assert.rejects(authenticator.identify(credential(login), from), (error: Error & { code?: string }) => {
    assert.equal(error.code, "unauthenticated")
    assert.match((error.cause as Error).message, why)
    return true
  })

function signer(key: KeyFiles): (data: Buffer) => Buffer {
  const parsed = ssh2.utils.parseKey(readFileSync(key.file))
  if (parsed instanceof Error) throw parsed
  return (data) => packWire("ssh-ed25519", parsed.sign(data))
}

describe("certificates of the real ssh-keygen", { skip: needs("ssh-keygen") }, () => {
  const ca = sshKey()
  const key = sshKey()
  const usual = { ca, key, principals: ["alice"], valid }

  test("a login with one is the user it names, until the certificate's end", async () => {
    const { authenticator, clock } = setting([ca.blob])
    const certificate = certify(usual)
    assert.ok(await authenticator.recognises({ type: typeOf(certificate), blob: certificate }))
    const identity = await authenticator.identify(credential({ certificate, sign: signer(key) }), from)
    assert.equal(identity.subject, "alice")
    assert.deepEqual(identity.groups, ["engineers"])
    assert.equal(identity.until, clock.now() + 3_600_000)
    assert.match(identity.via, /^ssh-certificate SHA256:\S+, serial 7, by SHA256:\S+$/)
  })

  test("every kind of key and of CA that is allowed gets in", async () => {
    const cas = [sshKey("ecdsa", "-b", "384"), sshKey("ecdsa", "-b", "521"), sshKey("rsa", "-b", "2048")]
    for (const each of cas) {
      const { authenticator } = setting([each.blob])
      const certificate = certify({ ...usual, ca: each })
      assert.equal((await authenticator.identify(credential({ certificate, sign: signer(key) }))).subject, "alice")
    }
    const { authenticator } = setting([ca.blob])
    const rsa = sshKey("rsa", "-b", "2048", "-m", "PEM")
    const certificate = certify({ ...usual, key: rsa })
    for (const hash of ["256", "512"]) {
      const algorithm = `rsa-sha2-${hash}-cert-v01@openssh.com`
      const make = (data: Buffer): Buffer => packWire(`rsa-sha2-${hash}`, sign(`sha${hash}`, data, privateKey(rsa)))
      assert.equal((await authenticator.identify(credential({ certificate, algorithm, sign: make }))).subject, "alice")
    }
  })

  test("at a company's domain a principal is the name before it", async () => {
    const { authenticator } = setting([ca.blob], "example.com")
    const certificate = certify(usual)
    assert.equal((await authenticator.identify(credential({ certificate, sign: signer(key) }))).subject, "alice@example.com")
  })

  const bad: Readonly<Record<string, readonly [Partial<Parameters<typeof certify>[0]>, RegExp]>> = {
    "no principal, which means everybody to sshd": [{ principals: [] }, /names nobody/],
    "a principal that is nobody here": [{ principals: ["mallory"] }, /names 0 people/],
    "two people": [{ principals: ["alice", "bob"] }, /names 2 people/],
    "a principal in other case": [{ principals: ["Alice"] }, /names 0 people/],
    "the end is now": [{ valid: "20260115110000:20260115120000" }, /has ended/],
    "it begins in a second": [{ valid: "20260115120001:20260115130000" }, /not valid yet/],
    "a host's": [{ more: ["-h"] }, /type 2, not a user's/],
    "a forced command": [{ options: ["force-command=ls"] }, /one command only/],
    "another address": [{ options: ["source-address=10.0.0.0/8,198.51.100.7/32"] }, /not good from this address/],
    "an unknown critical option": [{ options: ["critical:hours@corp.example=9-17"] }, /critical option that is not known/],
  }
  for (const [name, [change, why]] of Object.entries(bad)) {
    test(`refused: ${name}`, async () => {
      const certificate = certify({ ...usual, ...change })
      await refused(setting([ca.blob]), { certificate, sign: signer(key) }, why)
    })
  }

  test("the address it is good from is the client's real one, and an unknown address is none", async () => {
    const { authenticator } = setting([ca.blob])
    const certificate = certify({ ...usual, options: ["source-address=203.0.113.0/24,2001:db8::/32"] })
    const login = credential({ certificate, sign: signer(key) })
    assert.equal((await authenticator.identify(login, from)).subject, "alice")
    assert.equal((await authenticator.identify(login, "[2001:db8::1]:1")).subject, "alice")
    await assert.rejects(authenticator.identify(login, "203.0.114.7:1"), { code: "unauthenticated" })
    await assert.rejects(authenticator.identify(login), { code: "unauthenticated" })
  })

  test("refused: a CA that nobody trusts, also for the question before the signature", async () => {
    const certificate = certify(usual)
    const other = setting([sshKey().blob])
    assert.ok(!(await other.authenticator.recognises({ type: typeOf(certificate), blob: certificate })))
    await refused(other, { certificate, sign: signer(key) }, /signed by SHA256:.*not trusted here/)
  })

  test("refused: an RSA CA that signs with SHA-1", async () => {
    const rsa = sshKey("rsa", "-b", "2048")
    const certificate = certify({ ...usual, ca: rsa, more: ["-t", "ssh-rsa"] })
    await refused(setting([rsa.blob]), { certificate, sign: signer(key) }, /authority's signature.*does not sign like this/)
  })

  test("refused: a login with an RSA key and SHA-1", async () => {
    const rsa = sshKey("rsa", "-b", "2048", "-m", "PEM")
    const certificate = certify({ ...usual, key: rsa })
    const make = (data: Buffer): Buffer => packWire("ssh-rsa", sign("sha1", data, privateKey(rsa)))
    await refused(setting([ca.blob]), { certificate, sign: make }, /does not sign like this/)
    for (const algorithm of ["ssh-rsa", "rsa-sha2-256"]) {
      await refused(setting([ca.blob]), { certificate, algorithm, sign: make }, /does not log in with/)
    }
  })

  test("query certificate A and sign with B does not pass, whichever of the two is shown", async () => {
    const other = sshKey()
    const [mine, theirs] = [certify(usual), certify({ ...usual, key: other, principals: ["bob"] })]
    const where = setting([ca.blob])
    await refused(where, { certificate: mine, sign: signer(other) }, /the signature is wrong/)
    await refused(where, { certificate: mine, sign: signer(key), signedFor: theirs }, /not a login with this certificate/)
    await refused(where, { certificate: mine, sign: signer(other), signedFor: theirs }, /not a login with this certificate/)
  })

  test("refused: one changed byte anywhere in it", async () => {
    const where = setting([ca.blob])
    const certificate = certify(usual)
    const make = signer(key)
    for (let at = 0; at < certificate.length; at += 3) {
      const changed = Buffer.from(certificate)
      changed[at]! ^= 0x01
      await assert.rejects(where.authenticator.identify(credential({ certificate: changed, sign: make }), from), {
        code: "unauthenticated",
      })
    }
  })
})

describe("forged certificates", () => {
  const forge = forger()
  const login = (parts: Forged): Login => ({
    certificate: forge.certificate(parts),
    sign: (data) => forge.signWith(forge.userKey, data),
  })
  const options = (...pairs: [string, string | Buffer][]): Buffer => Buffer.concat(pairs.map(([name, data]) => packWire(name, data)))

  test("the forger's plain one is good, so that what follows is refused for its own reason", async () => {
    const { authenticator } = setting([forge.authority])
    const identity = await authenticator.identify(credential(login({})), from)
    assert.equal(identity.subject, "alice")
    assert.equal(identity.until, Infinity)
  })

  const wrong: Readonly<Record<string, readonly [Forged, RegExp]>> = {
    "a CA that is itself a certificate": [{ authority: forge.certificate() }, /not trusted here/],
    "a kind that is none": [{ kind: 3 }, /type 3, not a user's/],
    "the authority's signature of other words": [{ signature: () => forger().certificate().subarray(-83, 0) }, /authority's signature/],
    "no signature": [{ signature: () => Buffer.alloc(0) }, /authority's signature.*cut short/],
    "more after the signature": [{ tail: Buffer.of(0) }, /not an SSH certificate/],
    "an option twice": [
      { critical: options(["source-address", packWire("0.0.0.0/0")], ["source-address", packWire("0.0.0.0/0")]) },
      /not an SSH certificate/,
    ],
    "a source-address that is no string": [{ critical: options(["source-address", "203.0.113.7"]) }, /not good from this address/],
    "a source-address with a mask that is none": [
      { critical: options(["source-address", packWire("203.0.113.0/33")]) },
      /not good from this address/,
    ],
    "a source-address that excludes": [
      { critical: options(["source-address", packWire("0.0.0.0/0,!203.0.113.7")]) },
      /not good from this address/,
    ],
    "extensions that are cut short": [{ extensions: Buffer.from([0, 0, 0, 9]) }, /not an SSH certificate/],
    "principals that are cut short": [{ principals: Buffer.from([0, 0, 0, 9, 65]) }, /not an SSH certificate/],
    "more principals than OpenSSH takes": [
      { principals: Buffer.concat(Array.from({ length: 257 }, () => packWire("alice"))) },
      /not an SSH certificate/,
    ],
    "larger than the bound": [{ extensions: options(["x", Buffer.alloc(20_000)]) }, /not an SSH certificate/],
    "a key type there is not": [{ type: "ssh-dss-cert-v01@openssh.com" }, /not an SSH certificate/],
    "a key that is no key": [{ fields: [Buffer.alloc(31)] }, /the key cannot be read/],
    "an end before its beginning": [{ valid_after: 0n, valid_before: 0n }, /has ended/],
    "an empty principal": [{ principals: packWire("") }, /names 0 people/],
    "a principal with a NUL": [{ principals: packWire("alice\0") }, /names 0 people/],
  }
  for (const [name, [parts, why]] of Object.entries(wrong)) {
    test(`refused: ${name}`, () => refused(setting([forge.authority]), login(parts), why))
  }

  test("refused: a signature that is missing, cut, long, or of another algorithm", async () => {
    const where = setting([forge.authority])
    const certificate = forge.certificate()
    const good = (data: Buffer): Buffer => forge.signWith(forge.userKey, data)
    for (const make of [
      () => Buffer.alloc(0),
      (data: Buffer) => good(data).subarray(0, -1),
      (data: Buffer) => Buffer.concat([good(data), Buffer.of(0)]),
      (data: Buffer) => packWire("rsa-sha2-512", good(data).subarray(-64)),
      (data: Buffer) => good(data).subarray(-64),
    ]) {
      await assert.rejects(where.authenticator.identify(credential({ certificate, sign: make }), from), { code: "unauthenticated" })
    }
  })

  test("bytes that are no certificate are nobody's and not recognised", async () => {
    const { authenticator } = setting([forge.authority])
    const type = "ssh-ed25519-cert-v01@openssh.com"
    for (const blob of [
      Buffer.alloc(0),
      packWire(type),
      Buffer.concat([packWire(type), Buffer.alloc(64, 255)]),
      forge.certificate().subarray(0, -1),
    ]) {
      assert.ok(!(await authenticator.recognises({ type, blob })))
      const shown = { ...credential({ certificate: blob, sign: () => Buffer.alloc(83), algorithm: type }), key: { type, blob } }
      await assert.rejects(authenticator.identify(shown, from), { code: "unauthenticated" })
    }
  })

  for (const kind of ["ed25519", "ecdsa"] as const) {
    test(`a security token's ${kind} key gets in with a touch and not without`, async () => {
      const token = tokenKey(kind)
      const fields = new WireReader(token.blob)
      const type = fields.text() ?? ""
      const rest = Array.from({ length: kind === "ed25519" ? 2 : 3 }, () => fields.bytes() ?? Buffer.alloc(0))
      const name = type.replace("@", "-cert-v01@")
      const where = setting([forge.authority])
      const certificate = forge.certificate({ type: name, fields: rest })
      const touched = { certificate, sign: (data: Buffer) => token.sign(data, 0x01) }
      assert.equal((await where.authenticator.identify(credential(touched), from)).subject, "alice")
      await refused(where, { certificate, sign: (data) => token.sign(data, 0x00) }, /nobody touched/)
      const strict = forge.certificate({ type: name, fields: rest, critical: options(["verify-required", ""]) })
      await refused(where, { certificate: strict, sign: (data) => token.sign(data, 0x01) }, /did not check who touched/)
      const verified = { certificate: strict, sign: (data: Buffer) => token.sign(data, 0x05) }
      assert.equal((await where.authenticator.identify(credential(verified), from)).subject, "alice")
    })
  }
})
