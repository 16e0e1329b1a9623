// Whether a target is who it should be: its key is one of those that are pinned, or certified for its address by a CA that is
// (openssh-portable, PROTOCOL.certkeys). What is wrong is said with the fingerprints, for the operator; users get constant words.
// ssh2's client knows no host certificates: `readAsPlainKey` lets it check the signature with the key in one.
import { isCertificateName, readCertificate, signatureAlgorithm, type SshCertificate } from "../../src/identity/ssh_certificate.ts"
import { fingerprint } from "../../src/identity/ssh_fingerprint.ts"
import { verifyingKey } from "../../src/identity/ssh_verifying_key.ts"
import type { Millis } from "../../src/core/clock.ts"
import type { SshTarget } from "../../src/core/target.ts"
import { Reader } from "./codec.ts"
import { onExchange } from "./key_exchange.ts"
import type { Ssh2Protocol } from "./transport.ts"

const host_certificate = 2 // SSH2_CERT_TYPE_HOST
const rsa_certificate = "ssh-rsa-cert-v01@openssh.com"
const rsa_signatures = ["rsa-sha2-512", "rsa-sha2-256"]
const certified = [
  "ssh-ed25519-cert-v01@openssh.com",
  ...["nistp256", "nistp384", "nistp521"].map((curve) => `ecdsa-sha2-${curve}-cert-v01@openssh.com`),
  ...rsa_signatures.map((name) => `${name}-cert-v01@openssh.com`),
]

export class HostTrust {
  readonly #host: string
  readonly #pinned: readonly Buffer[]
  readonly #authorities: readonly Buffer[]

  constructor({ address, hostKeys, hostCas }: Pick<SshTarget, "address" | "hostKeys" | "hostCas">) {
    const blob = (line: string): Buffer => Buffer.from(line.split(" ")[1] ?? "", "base64")
    this.#host = address.host.toLowerCase()
    this.#pinned = hostKeys.map(blob)
    this.#authorities = hostCas.map(blob)
  }

  /** What the target is asked for: nothing that would be refused anyway. */
  get algorithms(): readonly string[] {
    const types = this.#pinned.map((key) => new Reader(key).text())
    const plain = [...new Set(types)].flatMap((type) => (type === "ssh-rsa" ? rsa_signatures : [type]))
    return this.#authorities.length > 0 ? [...certified, ...plain] : plain
  }

  /** Why `presented` is not trusted, in words for the log; undefined when it is. */
  refuses(presented: Buffer, now: Millis): string | undefined {
    if (this.#pinned.some((key) => key.equals(presented))) return undefined
    const certificate = readCertificate(presented)
    if (certificate && this.#authorities.length > 0) return this.#refusesCertificate(certificate, now)
    const known =
      this.#pinned.length > 0 ? `pinned ${listed(this.#pinned)}` : `only a certificate by ${listed(this.#authorities)} is trusted`
    return `the host key is ${fingerprint(presented)}, ${known}`
  }

  #refusesCertificate(certificate: SshCertificate, now: Millis): string | undefined {
    const { key, kind, principals, authority, critical, valid_after, valid_before } = certificate
    const refused = (why: string): string => `the host's certificate for ${fingerprint(key.blob)} ${why}`
    if (kind !== host_certificate) return refused("is not a host's")
    if (!this.#authorities.some((trusted) => trusted.equals(authority)))
      return refused(`is signed by ${fingerprint(authority)}; trusted ${listed(this.#authorities)}`)
    try {
      const refusal = verifyingKey(authority).refuses(certificate.signed, certificate.signature)
      if (refusal !== undefined) return refused(`is not signed by its CA: ${refusal}`)
      verifyingKey(key.blob)
    } catch (failure) {
      return refused(`has a key that cannot be used: ${(failure as Error).message}`)
    }
    if (!principals.some((name) => name.toLowerCase() === this.#host))
      return refused(`is for ${principals.length === 0 ? "no name" : principals.map(quoted).join(", ")}, not for ${quoted(this.#host)}`)
    const second = BigInt(Math.floor(now / 1000))
    if (second < valid_after) return refused("is not good yet")
    if (second >= valid_before) return refused("is not good any more")
    return critical.size > 0 ? refused("has critical options, which hosts' have none of") : undefined
  }
}

const listed = (keys: readonly Buffer[]): string => `${keys.length === 1 ? "is" : "are"} ${keys.map(fingerprint).join(", ")}`

/** A certificate's words are its owner's: as they are, they could draw on the operator's terminal. */
const quoted = (text: string): string => JSON.stringify(text.slice(0, 64))

/**
 * Lets ssh2's client take a certificate as host key: the exchange hash is over the certificate, the signature is by the plain key in
 * it and in its format. Whether the certificate is trusted is the host verifier's to say, which ssh2 asks in between.
 */
export function readAsPlainKey(protocol: Ssh2Protocol): void {
  onExchange(protocol, (exchange) => {
    const { negotiated } = exchange
    const name = negotiated.serverHostKey
    if (!isCertificateName(name)) return
    const algorithm = signatureAlgorithm(name)
    if (rsa_signatures.includes(algorithm)) negotiated.serverHostKey = rsa_certificate // what the certificate calls itself
    const own = exchange.getPublicKey.bind(exchange)
    exchange.getPublicKey = () => {
      // Asked for the second time, ssh2 has the host key in its hash and goes on to check the signature.
      const certificate = exchange._hostKey && readCertificate(exchange._hostKey)
      if (certificate) {
        exchange._hostKey = certificate.key.blob
        negotiated.serverHostKey = algorithm
      }
      return own()
    }
  })
}
