import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { generateKeyPairSync } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { after, describe, test } from "node:test"
import { createLocalJWKSet } from "jose"
import ssh2 from "ssh2"
import { limits } from "../../../src/core/limits.ts"
import { Secret } from "../../../src/core/secret.ts"
import { createAuthenticator, type Authenticator } from "../../../src/identity/authenticator.ts"
import type { Credential, SshPublicKey } from "../../../src/identity/credential.ts"
import { createTokenIssuer, createTokenVerifier } from "../../../src/identity/tokens.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { tokenKey } from "../../support/ssh_certificates.ts"
import { needs } from "../../support/tools.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-keys-"))
after(() => rmSync(folder, { recursive: true }))

interface RealKey {
  readonly key: SshPublicKey
  readonly fingerprint: string
  sign(data: Buffer, hash?: string): Buffer
}

let made = 0
function realKey(type: string, bits?: number): RealKey {
  const file = join(folder, String(++made))
  execFileSync("ssh-keygen", ["-q", "-t", type, ...(bits ? ["-b", String(bits)] : []), "-N", "", "-f", file])
  const [name, base64] = readFileSync(`${file}.pub`, "utf8").split(" ") as [string, string]
  const parsed = ssh2.utils.parseKey(readFileSync(file))
  if (parsed instanceof Error) throw parsed
  return {
    key: { type: name, blob: Buffer.from(base64, "base64") },
    fingerprint: execFileSync("ssh-keygen", ["-lf", file], { encoding: "utf8" }).split(" ")[1]!,
    sign: (data, hash) => parsed.sign(data, hash),
  }
}

const string = (value: string | Buffer): Buffer => {
  const bytes = Buffer.from(value as string)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** RFC 4252, section 7, with any part exchanged. */
function loginData(
  algorithm: string,
  blob: Buffer,
  parts: { message?: number; service?: string; method?: string; flag?: number; more?: string } = {},
): Buffer {
  return Buffer.concat([
    string(Buffer.alloc(32, 7)),
    Buffer.from([parts.message ?? 50]),
    string("root"),
    string(parts.service ?? "ssh-connection"),
    string(parts.method ?? "publickey"),
    Buffer.from([parts.flag ?? 1]),
    string(algorithm),
    string(blob),
    Buffer.from(parts.more ?? ""),
  ])
}

function login(real: RealKey, algorithm: string, hash?: string): Extract<Credential, { kind: "ssh_key" }> {
  const signed = loginData(algorithm, real.key.blob)
  return { kind: "ssh_key", key: real.key, algorithm, signed, signature: real.sign(signed, hash) }
}

async function setting(...keys: readonly RealKey[]) {
  const clock = new FakeClock()
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const issuer = await createTokenIssuer({ privateKey: new Secret(privateKey.export({ type: "pkcs8", format: "pem" }) as string), clock })
  const verifier = createTokenVerifier({ keys: createLocalJWKSet(issuer.jwks), clock })
  const users = [
    { name: "alice", groups: ["engineers"], ssh_keys: keys.map((real) => real.key) },
    { name: "bob", groups: ["oncall"], ssh_keys: [] },
  ]
  return { clock, issuer, verifier, authenticator: createAuthenticator({ users, verifier }) }
}

const refused = (authenticator: Authenticator, credential: Credential, why: RegExp): Promise<void> =>
  assert.rejects(authenticator.identify(credential), (error: Error & { code?: string }) => {
    assert.equal(error.code, "unauthenticated")
    assert.match((error.cause as Error).message, why)
    return true
  })

describe("authenticator", { skip: needs("ssh-keygen") }, () => {
  const ed25519 = realKey("ed25519")
  const otherEd25519 = realKey("ed25519")
  const rsa = realKey("rsa", 2048)
  const ecdsa = realKey("ecdsa", 256)

  test("a login signed with a user's key is that user, with every algorithm that is allowed", async () => {
    const p384 = realKey("ecdsa", 384)
    const p521 = realKey("ecdsa", 521)
    const { authenticator } = await setting(ed25519, rsa, ecdsa, p384, p521)
    const logins = [
      [ed25519, login(ed25519, "ssh-ed25519")],
      [rsa, login(rsa, "rsa-sha2-256", "sha256")],
      [rsa, login(rsa, "rsa-sha2-512", "sha512")],
      [ecdsa, login(ecdsa, "ecdsa-sha2-nistp256")],
      [p384, login(p384, "ecdsa-sha2-nistp384")],
      [p521, login(p521, "ecdsa-sha2-nistp521")],
    ] as const
    for (const [real, credential] of logins) {
      assert.ok(await authenticator.recognises(real.key))
      const identity = await authenticator.identify(credential)
      assert.equal(identity.subject, "alice")
      assert.deepEqual(identity.groups, ["engineers"])
      assert.equal(identity.via, `ssh-key ${real.fingerprint}`)
    }
  })

  for (const kind of ["ed25519", "ecdsa"] as const) {
    test(`a user's ${kind} key on a security token gets in with a touch, and not without one`, async () => {
      const token = tokenKey(kind)
      const type = token.blob.toString("latin1", 4, 4 + token.blob.readUInt32BE())
      const { verifier } = await setting()
      const key = { type, blob: token.blob }
      const authenticator = createAuthenticator({ users: [{ name: "alice", groups: [], ssh_keys: [key] }], verifier })
      const signed = loginData(type, token.blob)
      // ssh2 leaves out the algorithm's name and the length after it.
      const by = (flags: number): Credential => {
        const signature = token.sign(signed, flags).subarray(4 + type.length + 4)
        return { kind: "ssh_key", key, algorithm: type, signed, signature }
      }
      assert.equal((await authenticator.identify(by(1))).subject, "alice")
      await refused(authenticator, by(0), /nobody touched/)
      await refused(authenticator, { ...(by(1) as object), signature: Buffer.alloc(3) } as Credential, /cut short/)
    })
  }

  test("nobody's key is nobody, and is not recognised", async () => {
    const { authenticator } = await setting(ed25519)
    assert.ok(!(await authenticator.recognises(otherEd25519.key)))
    await refused(authenticator, login(otherEd25519, "ssh-ed25519"), /nobody has the key SHA256:/)
    const disguised = { ...ed25519.key, type: "ssh-rsa" }
    assert.ok(!(await authenticator.recognises(disguised)))
    await refused(authenticator, { ...login(ed25519, "ssh-ed25519"), key: disguised }, /nobody has the key/)
  })

  test("query key A and sign with B does not pass, whichever of the two is shown", async () => {
    const { authenticator } = await setting(ed25519)
    const aliceSigned = loginData("ssh-ed25519", ed25519.key.blob)
    const strangerSigned = loginData("ssh-ed25519", otherEd25519.key.blob)
    const shown = { kind: "ssh_key", key: ed25519.key, algorithm: "ssh-ed25519" } as const
    await refused(authenticator, { ...shown, signed: aliceSigned, signature: otherEd25519.sign(aliceSigned) }, /the signature is wrong/)
    await refused(
      authenticator,
      { ...shown, signed: strangerSigned, signature: otherEd25519.sign(strangerSigned) },
      /not a login with this key/,
    )
    // Alice did sign, but for another key than the one shown.
    await refused(authenticator, { ...shown, signed: strangerSigned, signature: ed25519.sign(strangerSigned) }, /not a login with this key/)
  })

  test("a missing, cut, changed or foreign signature does not pass, and does not throw anything else", async () => {
    const { authenticator } = await setting(ed25519, rsa, ecdsa)
    for (const good of [login(ed25519, "ssh-ed25519"), login(rsa, "rsa-sha2-256", "sha256"), login(ecdsa, "ecdsa-sha2-nistp256")]) {
      await authenticator.identify(good)
      const changed = Buffer.from(good.signature)
      changed[changed.length - 1]! ^= 1
      for (const signature of [Buffer.alloc(0), good.signature.subarray(0, -1), changed, Buffer.alloc(64), Buffer.alloc(70_000, 48)]) {
        await refused(authenticator, { ...good, signature }, /the signature is wrong/)
      }
    }
  })

  test("SHA-1 and algorithms of another key type are refused before the signature is looked at", async () => {
    const { authenticator } = await setting(ed25519, rsa, ecdsa)
    await refused(authenticator, login(rsa, "ssh-rsa", "sha1"), /does not sign with ssh-rsa/)
    for (const algorithm of ["ssh-rsa", "ecdsa-sha2-nistp384", "ssh-ed25519-cert-v01@openssh.com", "", "__proto__", "constructor"]) {
      await refused(authenticator, login(ed25519, algorithm), /does not sign with/)
    }
    // The signature's hash is the one the algorithm names.
    await refused(authenticator, login(rsa, "rsa-sha2-512", "sha256"), /the signature is wrong/)
    const named256 = login(rsa, "rsa-sha2-256", "sha256")
    await refused(authenticator, { ...named256, algorithm: "rsa-sha2-512" }, /not a login with this key/)
  })

  test("what was signed must be a publickey login and nothing else", async () => {
    const { authenticator } = await setting(ed25519)
    const { blob } = ed25519.key
    const data = {
      "another message": loginData("ssh-ed25519", blob, { message: 80 }),
      "another service": loginData("ssh-ed25519", blob, { service: "ssh-userauth" }),
      "another method": loginData("ssh-ed25519", blob, { method: "hostbased" }),
      "a query": loginData("ssh-ed25519", blob, { flag: 0 }),
      "more at the end": loginData("ssh-ed25519", blob, { more: "x" }),
      "cut short": loginData("ssh-ed25519", blob).subarray(0, -1),
      "no session": Buffer.concat([string(""), loginData("ssh-ed25519", blob).subarray(36)]),
      "lengths that lie": Buffer.alloc(64, 255),
      nothing: Buffer.alloc(0),
      "an ssh-agent message": Buffer.from("SSHSIG..."),
    }
    for (const signed of Object.values(data)) {
      const credential = { kind: "ssh_key", key: ed25519.key, algorithm: "ssh-ed25519", signed, signature: ed25519.sign(signed) } as const
      await refused(authenticator, credential, /not a login with this key/)
    }
  })

  test("weak, unsupported and shared keys are refused at the start, by name", async () => {
    const { verifier } = await setting()
    const start =
      (...users: { name: string; groups: string[]; ssh_keys: SshPublicKey[] }[]) =>
      () =>
        createAuthenticator({ users, verifier })
    const alice = (key: SshPublicKey) => ({ name: "alice", groups: [], ssh_keys: [key] })
    assert.throws(start(alice(realKey("rsa", 1024).key)), /alice's ssh key SHA256:.*1024 bits is too weak/)
    assert.throws(start(alice({ type: "ssh-dss", blob: Buffer.from("x") })), /ssh-dss are not supported/)
    assert.throws(start(alice({ type: "constructor", blob: Buffer.from("x") })), /not supported/)
    assert.throws(start(alice({ type: "ssh-ed25519", blob: rsa.key.blob })), /does not have the type/)
    assert.throws(start(alice({ type: "ssh-ed25519", blob: ed25519.key.blob.subarray(0, -1) })), /cannot be read/)
    assert.throws(start(alice(ed25519.key), { ...alice(ed25519.key), name: "bob" }), /alice and bob have the same ssh key SHA256:/)
  })

  test("a token that was fetched with a key is good while the key is its owner's, and so is who came with it", async () => {
    const { authenticator, issuer, verifier } = await setting(ed25519, rsa)
    const via = `ssh-key ${ed25519.fingerprint}`
    const { token } = await issuer.issue({ subject: "alice", via, use: "targets" })
    const credential = { kind: "token", token: new Secret(token), target: "orders" } as const
    const [byToken, byKey] = [await authenticator.identify(credential), await authenticator.identify(login(ed25519, "ssh-ed25519"))]
    assert.deepEqual([authenticator.stands(byToken), authenticator.stands(byKey)], [true, true])
    const user = (name: string, ...keys: RealKey[]) => ({ name, groups: [], ssh_keys: keys.map((real) => real.key) })
    for (const users of [[user("alice", rsa)], [user("alice", rsa), user("bob", ed25519)], [user("bob")]]) {
      const later = createAuthenticator({ users, verifier })
      assert.deepEqual([later.stands(byToken), later.stands(byKey)], [false, false])
      await refused(later, credential, /by a key that is not theirs any more/)
    }
  })

  test("who came with a token stands no more when what signed it is not trusted any more", async () => {
    const { issuer, clock } = await setting()
    const trusted = new Set([issuer.kid])
    const verifier = createTokenVerifier({ keys: createLocalJWKSet(issuer.jwks), trusts: (key) => trusted.has(key), clock })
    const authenticator = createAuthenticator({ users: [{ name: "bob", groups: [], ssh_keys: [] }], verifier })
    const { token } = await issuer.issue({ subject: "bob", via: "x", use: "targets" })
    const identity = await authenticator.identify({ kind: "token", token: new Secret(token), target: "orders" })
    assert.ok(authenticator.stands(identity))
    trusted.clear()
    assert.ok(!authenticator.stands(identity))
  })

  test("a token is its subject with the groups of the config, at its target alone", async () => {
    const { authenticator, issuer, clock } = await setting()
    const { token, expires_at } = await issuer.issue({ subject: "bob", via: "ssh-key SHA256:x", use: "target", target: "orders" })
    const identity = await authenticator.identify({ kind: "token", token: new Secret(token), target: "orders" })
    const facts = { subject: "bob", groups: ["oncall"], via: "token (ssh-key SHA256:x)", until: expires_at, login: undefined }
    assert.deepEqual({ ...identity }, { ...facts, token_key: issuer.kid })
    const elsewhere = authenticator.identify({ kind: "token", token: new Secret(token), target: "grafana" })
    await assert.rejects(elsewhere, { code: "unauthenticated" })
    const gone = await issuer.issue({ subject: "mallory", via: "x", use: "targets" })
    await refused(authenticator, { kind: "token", token: new Secret(gone.token), target: "orders" }, /mallory, who is not a user/)
    clock.advance(limits.token_ms)
    await assert.rejects(authenticator.identify({ kind: "token", token: new Secret(token), target: "orders" }), { code: "unauthenticated" })
  })
})
