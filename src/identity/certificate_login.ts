// One SSH login with a user certificate: whose it is, or why it is nobody's. The checks of sshd(8) and PROTOCOL.certkeys, with an
// absolute clock. What a certificate permits beyond saying who (its extensions: terminals, forwarding) is not read: what may be
// done is the grant's to say.
import type { Millis } from "../core/clock.ts"
import type { Credential } from "./credential.ts"
import { comesFrom } from "./source_address.ts"
import { isCertificateName, readCertificate, signatureAlgorithm, type SshCertificate } from "./ssh_certificate.ts"
import { fingerprint } from "./ssh_fingerprint.ts"
import { isLoginWith } from "./ssh_signature.ts"
import { type VerifyingKey, verifyingKey } from "./ssh_verifying_key.ts"
import { WireReader } from "./wire_reader.ts"

/** Who may sign certificates for whom. */
export interface SshAuthority {
  readonly key: VerifyingKey
  /** Whom the certificate is about: nobody, somebody, and under which login. Whether they are known here is not asked. */
  claimOf(certificate: SshCertificate): Claim | undefined
}

export interface Claim {
  readonly subjects: readonly string[]
  /** Ends with this login, whatever its own end is; undefined: bound to none. */
  readonly login: string | undefined
}

/** By the authority's key in wire form; undefined for one that is not trusted now. */
export type FindAuthority = (blob: Buffer) => Promise<SshAuthority | undefined>

export interface CertificateLogin {
  readonly credential: Extract<Credential, { kind: "ssh_key" }>
  /** The client's address and port; undefined where there is none. */
  readonly from: string | undefined
  readonly now: Millis
}

export interface Certified extends Claim {
  /** "ssh-certificate SHA256:…, serial 7, by SHA256:…" */
  readonly via: string
  readonly until: Millis
}

/** Throws an Error with words for the log. */
export async function certificateLogin({ credential, from, now }: CertificateLogin, find: FindAuthority): Promise<Certified> {
  const { key, algorithm, signed, signature } = credential
  const certificate = readCertificate(key.blob)
  if (!certificate) throw new Error(`not an SSH certificate that can be read (${key.blob.length} bytes)`)
  const { authority, until } = await checkedCertificate(certificate, now, find)
  const verified = checkOptions(certificate, from)
  if (!isCertificateName(algorithm)) throw new Error(`a certificate does not log in with ${algorithm}`)
  if (!isLoginWith(signed, algorithm, key.blob)) throw new Error("what was signed is not a login with this certificate")
  const refusal = verifyingKey(certificate.key.blob).refuses(signed, signature, { algorithm: signatureAlgorithm(algorithm), verified })
  if (refusal !== undefined) throw new Error(`${fingerprint(certificate.key.blob)}: ${refusal}`)
  const claim = authority.claimOf(certificate)
  if (!claim) throw new Error("the certificate does not say whose it is, as its authority would write it")
  const via = `ssh-certificate ${fingerprint(certificate.key.blob)}, serial ${certificate.serial}, by ${fingerprint(certificate.authority)}`
  return { ...claim, via, until }
}

/** Whether a client that asks before it signs may go on. Proves nothing. */
export async function recognisesCertificate(blob: Buffer, now: Millis, find: FindAuthority): Promise<boolean> {
  const certificate = readCertificate(blob)
  if (!certificate) return false
  return checkedCertificate(certificate, now, find).then(
    () => true,
    () => false,
  )
}

/** All that can be said of the certificate alone. */
async function checkedCertificate(
  certificate: SshCertificate,
  now: Millis,
  find: FindAuthority,
): Promise<{ readonly authority: SshAuthority; readonly until: Millis }> {
  if (certificate.kind !== user_kind) throw new Error(`a certificate of type ${certificate.kind}, not a user's`)
  const authority = await find(certificate.authority)
  if (!authority) throw new Error(`signed by ${fingerprint(certificate.authority)}, which is not trusted here`)
  const refusal = authority.key.refuses(certificate.signed, certificate.signature)
  if (refusal !== undefined) throw new Error(`the authority's signature on the certificate: ${refusal}`)
  if (certificate.principals.length === 0) throw new Error("the certificate names nobody, which would mean everybody")
  const second = BigInt(Math.floor(now / 1000))
  if (second < certificate.valid_after) throw new Error("the certificate is not valid yet")
  if (second >= certificate.valid_before) throw new Error("the certificate has ended")
  return { authority, until: certificate.valid_before === forever ? Infinity : Number(certificate.valid_before) * 1000 }
}

const user_kind = 1
const forever = 0xffff_ffff_ffff_ffffn

/** Throws for what is not understood or does not fit. Answers whether the signature must come from somebody who was verified. */
function checkOptions({ critical }: SshCertificate, from: string | undefined): boolean {
  for (const [name, data] of critical) {
    switch (name) {
      case "source-address": {
        const list = new WireReader(data).text() ?? ""
        if (from === undefined || !comesFrom(from, list)) throw new Error("the certificate is not good from this address")
        break
      }
      case "verify-required":
        break
      case "force-command":
        throw new Error("a certificate for one command only; what may be run is said by the grant, so it is not taken")
      default:
        throw new Error("the certificate has a critical option that is not known here")
    }
  }
  return critical.has("verify-required")
}
