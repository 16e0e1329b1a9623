// The gateway's TLS identity: the operator's own certificate, or one from a local CA that is made on first start and kept in the
// state folder. The CA is what people trust, so it stays; the server's key and certificate are made anew at every start and before
// they run out, and are never written down. It does not listen, and it does not decide who speaks TLS.
import { chmod, mkdir, readFile, rename, writeFile } from "node:fs/promises"
import { isIP } from "node:net"
import { join } from "node:path"
import { X509Certificate, createPrivateKey, type webcrypto } from "node:crypto"
import { createSecureContext, type SecureContext } from "node:tls"
import "reflect-metadata" // x509 will not load without it
import * as x509 from "@peculiar/x509"
import type { GatewayConfig } from "../config/config.ts"
import type { Clock, Millis } from "../core/clock.ts"

export interface Certificates {
  /**
   * For the next connection: ask each time, because it changes when the certificate is renewed. `clientCas`: PEM of the CAs
   * whose certificates clients are asked for; none: they are not asked.
   */
  readonly context: (clientCas?: readonly string[]) => SecureContext
  /** PEM of the local CA, for `curl --cacert`; undefined when the operator brought a certificate. */
  readonly ca: string | undefined
  /** Stops the renewal. */
  close(): void
}

export interface CertificateOptions {
  /** The state folder; the CA is `tls/ca.crt` and `tls/ca.key` in it. */
  readonly state: string
  /** The gateway's host name. */
  readonly name: string
  /** The domain whose sub-domains are HTTP targets. */
  readonly domain: string | undefined
  readonly tls: GatewayConfig["tls"]
  readonly clock: Clock
}

/** Where the local CA's certificate lies in the state folder. */
export const localCaFile = (state: string): string => join(state, "tls", "ca.crt")

const day = 86_400_000
const ca_ms = 3_650 * day
const leaf_ms = 90 * day
const renewed_before_ms = 30 * day
/** How often the dates are looked at: timers of many days would not survive a laptop's sleep. */
const look_ms = 3_600_000
/** Peers' clocks may be behind ours. */
const backdated_ms = 3_600_000

/** Every key is ECDSA P-256: an Ed25519 certificate has no hash for SCRAM's channel binding (RFC 5929, section 4.1). */
const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const

/** Throws with words for the operator: what is wrong, and in which file. */
export async function loadCertificates(options: CertificateOptions): Promise<Certificates> {
  if (options.tls) {
    const contexts = contextsOf(ownPair(options.tls))
    return { context: contexts, ca: undefined, close() {} }
  }
  const { clock } = options
  const authority = await loadAuthority(options)
  let leaf = await makeLeaf(authority, options)
  let closed = false
  const look = (): void => {
    timer = clock.after(look_ms, look)
    if (clock.now() < leaf.ends_at - renewed_before_ms) return
    // A failure leaves the old one in place, and the next look tries again.
    makeLeaf(authority, options).then(
      (made) => {
        if (!closed) leaf = made
      },
      () => {},
    )
  }
  let timer = clock.after(look_ms, look)
  return {
    context: (clientCas) => leaf.contexts(clientCas),
    ca: authority.pem,
    close() {
      closed = true
      timer.cancel()
    },
  }
}

type Pair = { readonly cert: string; readonly key: string }
type Contexts = (clientCas?: readonly string[]) => SecureContext

/** One for each set of client CAs, the last one kept: they change only when a CA is rotated. */
function contextsOf(pair: Pair): Contexts {
  let last: { readonly named: string; readonly context: SecureContext } | undefined
  return (clientCas = []) => {
    const named = clientCas.join("")
    if (last?.named !== named) {
      const asking = clientCas.length === 0 ? {} : { ca: [...clientCas] }
      // A client that resumes a TLS session was asked for its certificate when it began it; OpenSSL wants a name for that.
      last = { named, context: createSecureContext({ ...pair, ...asking, minVersion: "TLSv1.2", sessionIdContext: "sluice" }) }
    }
    return last.context
  }
}

function ownPair(tls: NonNullable<GatewayConfig["tls"]>): Pair {
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(tls.cert)
  } catch (cause) {
    throw new Error("gateway.tls.cert is not a PEM certificate", { cause })
  }
  if (/^ed(25519|448)$/.test(certificate.publicKey.asymmetricKeyType ?? "")) {
    throw new Error("gateway.tls.cert is an Ed25519 certificate, which PostgreSQL clients cannot bind a login to; use ECDSA or RSA")
  }
  const key = privateKey(tls.key.reveal())
  if (!certificate.checkPrivateKey(key)) throw new Error("gateway.tls.key does not belong to gateway.tls.cert")
  return { cert: tls.cert, key: tls.key.reveal() }
}

function privateKey(pem: string): ReturnType<typeof createPrivateKey> {
  try {
    return createPrivateKey(pem)
  } catch {
    // The parser's own words may quote what it read.
    throw new Error("gateway.tls.key is not a PEM private key without a passphrase")
  }
}

interface Authority {
  readonly certificate: x509.X509Certificate
  readonly key: webcrypto.CryptoKey
  readonly pem: string
}

async function loadAuthority(options: CertificateOptions): Promise<Authority> {
  const folder = join(options.state, "tls")
  const [certPath, keyPath] = [localCaFile(options.state), join(folder, "ca.key")]
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const pem = await readIfThere(certPath)
  // The certificate is written last: without it a first start was interrupted, and nobody trusts that CA yet.
  if (pem === undefined) return makeAuthority(options, { certPath, keyPath })
  const certificate = new x509.X509Certificate(pem)
  if (certificate.notAfter.getTime() <= options.clock.now()) return makeAuthority(options, { certPath, keyPath })
  const keyPem = await readIfThere(keyPath)
  if (keyPem === undefined) throw new Error(`${keyPath} is missing: bring it back, or remove ${certPath} to make a new local CA`)
  const key = await crypto.subtle.importKey("pkcs8", x509.PemConverter.decodeFirst(keyPem), algorithm, false, ["sign"])
  return { certificate, key, pem }
}

async function makeAuthority(options: CertificateOptions, paths: { certPath: string; keyPath: string }): Promise<Authority> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const now = options.clock.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [`Sluice local CA (${options.name})`] }],
    ...validity(now, now + ca_ms),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  const pem = `${certificate.toString("pem")}\n`
  await writeWhole(paths.keyPath, { text: await exportKey(keys.privateKey), mode: 0o600 })
  await writeWhole(paths.certPath, { text: pem, mode: 0o644 })
  return { certificate, key: keys.privateKey, pem }
}

async function makeLeaf(authority: Authority, options: CertificateOptions): Promise<{ contexts: Contexts; ends_at: Millis }> {
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"])
  const now = options.clock.now()
  const ends_at = Math.min(now + leaf_ms, authority.certificate.notAfter.getTime())
  const certificate = await x509.X509CertificateGenerator.create({
    subject: [{ CN: [options.name] }],
    issuer: authority.certificate.subjectName,
    ...validity(now, ends_at),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: authority.key,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(alternativeNames(options)),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate),
    ],
  })
  const cert = `${certificate.toString("pem")}\n${authority.pem}`
  return { contexts: contextsOf({ cert, key: await exportKey(keys.privateKey) }), ends_at }
}

/** RFC 6125: the name and the domain people type, one label under the domain, and this machine by its local names. */
function alternativeNames({ name, domain }: CertificateOptions): { type: "dns" | "ip"; value: string }[] {
  const names = new Set([name, "localhost", "127.0.0.1", "::1"])
  if (domain !== undefined && domain !== "") for (const each of [domain, `*.${domain}`]) names.add(each)
  return [...names].map((value) => ({ type: isIP(value) === 0 ? "dns" : "ip", value }))
}

const validity = (from: Millis, until: Millis): { notBefore: Date; notAfter: Date } => ({
  notBefore: new Date(from - backdated_ms),
  notAfter: new Date(until),
})

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8")
  } catch (failure) {
    if ((failure as NodeJS.ErrnoException).code === "ENOENT") return undefined
    throw failure
  }
}

/** Whole or not at all, and never readable by others for a moment. */
async function writeWhole(path: string, { text, mode }: { text: string; mode: number }): Promise<void> {
  const passing = `${path}.new`
  await writeFile(passing, text, { mode })
  await chmod(passing, mode)
  await rename(passing, path)
}
