import assert from "node:assert/strict"
import { execFileSync } from "node:child_process"
import { generateKeyPairSync, X509Certificate } from "node:crypto"
import { mkdtemp, readFile, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, suite, test } from "node:test"
import { connect, TLSSocket, type SecureContext } from "node:tls"
import { Secret } from "../../../src/core/secret.ts"
import { loadCertificates, type CertificateOptions, type Certificates } from "../../../src/gateway/certificates.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { wire } from "../../support/wire.ts"

const day = 86_400_000

suite("certificates", () => {
  let state: string
  let clock: FakeClock
  const loaded: Certificates[] = []
  const load = async (changes: Partial<CertificateOptions> = {}): Promise<Certificates> => {
    const certificates = await loadCertificates({ state, name: "gw.test", domain: "apps.test", tls: undefined, clock, ...changes })
    loaded.push(certificates)
    return certificates
  }

  beforeEach(async () => {
    state = await mkdtemp(join(tmpdir(), "sluice-certificates-"))
    clock = new FakeClock(Date.now())
  })
  afterEach(async () => {
    for (const each of loaded.splice(0)) each.close()
    await rm(state, { recursive: true })
  })

  test("a client that trusts the local CA accepts every name the gateway has, and no other", async () => {
    const { ca, context } = await load()
    for (const name of ["gw.test", "apps.test", "grafana.apps.test", "localhost"]) assert.equal(await shake(context(), { ca, name }), "ok")
    assert.match(await shake(context(), { ca, name: "a.b.apps.test" }), /does not match/)
    assert.match(await shake(context(), { ca, name: "other.test" }), /does not match/)
    assert.match(await shake(context(), { ca: undefined, name: "gw.test" }), /certificate/)
    const leaf = await served(context())
    assert.ok(leaf.checkIP("127.0.0.1") && leaf.checkIP("::1"))
    assert.equal(leaf.publicKey.asymmetricKeyDetails?.namedCurve, "prime256v1")
  })

  test("openssl verifies the CA and finds it fit to sign", async () => {
    const { ca } = await load()
    const path = join(state, "tls/ca.crt")
    assert.equal(await readFile(path, "utf8"), ca)
    assert.match(execFileSync("openssl", ["verify", "-x509_strict", "-CAfile", path, path], { encoding: "utf8" }), /OK/)
  })

  test("the CA survives a restart, its key is for its owner alone, and the server's certificate is new", async () => {
    const first = await load()
    const before = await served(first.context())
    const second = await load()
    assert.equal(second.ca, first.ca)
    assert.notEqual((await served(second.context())).serialNumber, before.serialNumber)
    assert.equal((await stat(join(state, "tls/ca.key"))).mode & 0o777, 0o600)
  })

  test("while it runs, the certificate is renewed before it ends", async () => {
    const { context } = await load()
    const first = context()
    const { validToDate } = await served(first)
    assert.ok(Math.abs(validToDate.getTime() - (clock.now() + 90 * day)) < 2_000)
    clock.advance(59 * day)
    assert.equal(context(), first)
    clock.advance(2 * day)
    while (context() === first) await new Promise(setImmediate)
    assert.ok((await served(context())).validToDate.getTime() > validToDate.getTime())
  })

  test("a CA whose key is gone is not silently replaced", async () => {
    await load()
    await rm(join(state, "tls/ca.key"))
    await assert.rejects(load(), /ca\.key is missing/)
  })

  test("the operator's own certificate is used as it is, and one that cannot work is refused with the reason", async () => {
    await load()
    const ours = await readFile(join(state, "tls/ca.crt"), "utf8")
    const key = new Secret(await readFile(join(state, "tls/ca.key"), "utf8"))
    const own = await load({ tls: { cert: ours, key } })
    assert.equal(own.ca, undefined)
    assert.equal((await served(own.context())).subject, "CN=Sluice local CA (gw.test)")
    const other = new Secret(
      generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    )
    await assert.rejects(load({ tls: { cert: ours, key: other } }), /does not belong/)
    await assert.rejects(load({ tls: { cert: "what", key } }), /gateway\.tls\.cert is not/)
    await assert.rejects(load({ tls: { cert: ours, key: new Secret("hunter2") } }), (error: Error) => !String(error).includes("hunter2"))
  })
})

interface Shake {
  readonly ca: string | undefined
  readonly name: string
}

/** One handshake in memory; "ok", or the words of the client's error. */
async function shake(context: SecureContext, { ca, name }: Shake): Promise<string> {
  return (await handshake(context, { ...(ca === undefined ? {} : { ca }), servername: name })).words
}

async function served(context: SecureContext): Promise<X509Certificate> {
  const { certificate } = await handshake(context, { rejectUnauthorized: false, servername: "gw.test" })
  assert.ok(certificate)
  return certificate
}

function handshake(context: SecureContext, options: object): Promise<{ words: string; certificate: X509Certificate | undefined }> {
  const { near, far } = wire()
  const server = new TLSSocket(near, { isServer: true, secureContext: context })
  server.on("error", () => {})
  return new Promise((resolve) => {
    const client = connect({ socket: far, ...options })
    client.on("error", (error) => resolve({ words: error.message, certificate: undefined }))
    client.on("secureConnect", () => {
      resolve({ words: "ok", certificate: client.getPeerX509Certificate() })
      client.destroy()
    })
  })
}
