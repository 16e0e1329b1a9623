// X.509 client certificates, for psql and curl: the one CA's making of them, and the checks of one that a client showed (RFC 5280,
// the part that a chain of two needs). Who it is stands in a URI of its own scheme and nowhere else: common names, e-mails and
// host names are not read, so no name of another kind passes for a person's.
import assert from "node:assert/strict"
import { createPrivateKey, type webcrypto, X509Certificate } from "node:crypto"
import "reflect-metadata" // x509 will not load without it
import * as x509 from "@peculiar/x509"
import type { Millis } from "../core/clock.ts"
import { limits } from "../core/limits.ts"
import type { Secret } from "../core/secret.ts"
import { fingerprint } from "./ssh_fingerprint.ts"

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const
const client_auth = "1.3.6.1.5.5.7.3.2"
const any_usage = "2.5.29.37.0"
const scheme = "sluice:"
const common_name_chars_max = 64 // X.520, ub-common-name

export interface ClientCertification {
  readonly publicKey: x509.PublicKey
  readonly subject: string
  /** The login it ends with; undefined: bound to none. */
  readonly login: string | undefined
  readonly serial: bigint
  readonly valid_from: Millis
  readonly valid_to: Millis
}

export interface ClientCa {
  /** PEM. */
  readonly certificate: string
  /** PEM. */
  sign(certification: ClientCertification): Promise<string>
}

/** `privateKey`: P-256, PKCS#8 PEM. `certificate`: its own, PEM; undefined: a new one is made. Throws when it is another key's. */
export async function clientCa(options: {
  readonly privateKey: Secret
  readonly certificate: string | undefined
  readonly name: string
  readonly valid_from: Millis
  readonly valid_to: Millis
}): Promise<ClientCa> {
  const keys = await importKeys(options.privateKey)
  const own = options.certificate === undefined ? await selfSigned(keys, options) : new x509.X509Certificate(options.certificate)
  if (!new X509Certificate(own.toString("pem")).checkPrivateKey(createPrivateKey(options.privateKey.reveal())))
    throw new Error("the key of the client CA is not the one its certificate is about")
  return {
    certificate: `${own.toString("pem")}\n`,
    async sign({ publicKey, subject, login, serial, valid_from, valid_to }) {
      const made = await x509.X509CertificateGenerator.create({
        serialNumber: serial.toString(16).padStart(16, "0"),
        subject: [{ CN: [subject.slice(0, common_name_chars_max)] }], // for people who look at it
        issuer: own.subjectName,
        notBefore: new Date(valid_from),
        notAfter: new Date(valid_to),
        signingAlgorithm: algorithm,
        publicKey,
        signingKey: keys.privateKey,
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([client_auth], true),
          new x509.SubjectAlternativeNameExtension([{ type: "url", value: claimUri(subject, login) }], true),
          await x509.AuthorityKeyIdentifierExtension.create(own),
        ],
      })
      return `${made.toString("pem")}\n`
    },
  }
}

const claimUri = (subject: string, login: string | undefined): string =>
  `${scheme}${encodeURIComponent(subject)}${login === undefined ? "" : `?login=${encodeURIComponent(login)}`}`

async function importKeys(privateKey: Secret): Promise<webcrypto.CryptoKeyPair> {
  const der = createPrivateKey(privateKey.reveal()).export({ type: "pkcs8", format: "der" })
  const signing = await crypto.subtle.importKey("pkcs8", der, algorithm, true, ["sign"])
  const { d: _private, key_ops: _uses, ...jwk } = await crypto.subtle.exportKey("jwk", signing)
  return { privateKey: signing, publicKey: await crypto.subtle.importKey("jwk", jwk, algorithm, true, ["verify"]) }
}

async function selfSigned(
  keys: webcrypto.CryptoKeyPair,
  { name, valid_from, valid_to }: { readonly name: string; readonly valid_from: Millis; readonly valid_to: Millis },
): Promise<x509.X509Certificate> {
  return x509.X509CertificateGenerator.createSelfSigned({
    name: [{ CN: [name.slice(0, common_name_chars_max)] }],
    notBefore: new Date(valid_from),
    notAfter: new Date(valid_to),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
}

/** The public key of a PKCS#10 request in PEM whose signature is its own; undefined when it is none that can be certified. */
export async function readCsr(pem: string): Promise<x509.PublicKey | undefined> {
  try {
    const request = new x509.Pkcs10CertificateRequest(pem)
    if (!isUsable(request.publicKey) || !(await request.verify())) return undefined
    return request.publicKey
  } catch {
    return undefined
  }
}

function isUsable({ algorithm: given }: x509.PublicKey): boolean {
  const { name, namedCurve, modulusLength = 0 } = given as { name: string; namedCurve?: string; modulusLength?: number }
  if (name === "ECDSA") return namedCurve === "P-256" || namedCurve === "P-384"
  if (name === "Ed25519") return true
  return name.startsWith("RSA") && modulusLength >= limits.rsa_bits_min && modulusLength <= limits.rsa_bits_max
}

export interface CertifiedClient {
  readonly subject: string
  readonly login: string | undefined
  readonly until: Millis
  /** "client certificate SHA256:…, serial 0a1b" */
  readonly via: string
}

/** Who the client is that proved, in the TLS handshake, to have the key of `certificate`. Throws an Error with words for the log. */
export function certifiedClient(certificate: X509Certificate, cas: readonly X509Certificate[], now: Millis): CertifiedClient {
  // A name is no proof: the signature decides which CA it was.
  if (!cas.some((ca) => certificate.checkIssued(ca) && certificate.verify(ca.publicKey)))
    throw new Error("no CA that is trusted here signed it")
  const until = certificate.validToDate.getTime()
  if (now < certificate.validFromDate.getTime()) throw new Error("it is not valid yet")
  if (now >= until) throw new Error("it has ended")
  if (certificate.ca) throw new Error("it is a CA's, not a client's")
  const usages: readonly string[] = certificate.keyUsage ?? []
  if (!usages.includes(client_auth) || usages.includes(any_usage)) throw new Error("it is not for TLS clients")
  const claim = claimOf(certificate)
  if (!claim) throw new Error("it does not say whose it is, as its authority would write it")
  return { ...claim, until, via: `client certificate ${fingerprint(certificate.raw)}, serial ${certificate.serialNumber.toLowerCase()}` }
}

/** Of exactly one name, ours. */
function claimOf({ raw }: X509Certificate): Pick<CertifiedClient, "subject" | "login"> | undefined {
  const names = new x509.X509Certificate(raw).getExtension(x509.SubjectAlternativeNameExtension)?.names.items ?? []
  const [name, ...more] = names
  if (name?.type !== "url" || more.length > 0) return undefined
  const [, encoded = "", login] = /^sluice:([^?#]+)(?:\?login=([\w-]+))?$/.exec(name.value) ?? []
  try {
    const subject = decodeURIComponent(encoded)
    assert(claimUri(subject, login) === name.value)
    return { subject, login }
  } catch {
    return undefined // not written by us
  }
}
