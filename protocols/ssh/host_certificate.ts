// OpenSSH host certificates (openssh-portable, PROTOCOL.certkeys): minted for exactly one name, so that one `@cert-authority`
// line in known_hosts replaces a fingerprint prompt for every target. Presenting one is ssh2's key exchange with two
// corrections, both here: the key shows the certificate as its public half, and the signature names the plain key type.
import { randomBytes } from "node:crypto"
import assert from "node:assert/strict"
import ssh2, { type ParsedKey } from "ssh2"
import type { Secret } from "../../src/core/secret.ts"
import { pack, Reader } from "./codec.ts"
import { onExchange } from "./key_exchange.ts"
import type { Ssh2Connection } from "./transport.ts"

export const plainType = "ssh-ed25519"
export const certificateType = "ssh-ed25519-cert-v01@openssh.com"
const host_certificate = 2 // SSH2_CERT_TYPE_HOST

export interface Certification {
  /** The key to certify; private, because it will sign. */
  readonly key: ParsedKey
  readonly authority: ParsedKey
  /** The one name it is good for. */
  readonly principal: string
  /** Milliseconds since the Unix epoch. */
  readonly valid_from: number
  readonly valid_to: number
}

/** An Ed25519 private key in OpenSSH's format, ready to sign. */
export function parsePrivateKey(text: Secret): ParsedKey {
  const parsed = ssh2.utils.parseKey(text.reveal())
  const key = Array.isArray(parsed) ? parsed[0] : parsed
  assert(key && !(key instanceof Error) && key.type === plainType && key.isPrivateKey(), "a host key that ssh2 cannot read")
  return key
}

/** The certificate in wire form. */
export function mintCertificate({ key, authority, principal, valid_from, valid_to }: Certification): Buffer {
  const subject = new Reader(key.getPublicSSH())
  assert.equal(subject.text(), plainType)
  const body = pack(
    certificateType,
    randomBytes(32), // nonce, against collisions in the signature's hash
    subject.bytes(),
    { uint64: randomBytes(8).readBigUInt64BE() >> 1n }, // serial
    host_certificate,
    `sluice:${principal}`, // key id, for logs
    pack(principal),
    { uint64: BigInt(Math.floor(valid_from / 1000)) },
    { uint64: BigInt(Math.ceil(valid_to / 1000)) },
    "", // critical options: there are none for hosts
    "", // extensions
    "", // reserved
    authority.getPublicSSH(),
  )
  const signature = authority.sign(body)
  assert(Buffer.isBuffer(signature), "the host CA cannot sign")
  return Buffer.concat([body, pack(pack(plainType, signature))])
}

/** `key` under its certificate's name and with it as the public half; it signs as before. */
export function certifiedKey(key: ParsedKey, certificate: Buffer): ParsedKey {
  return Object.create(key, {
    type: { value: certificateType },
    getPublicSSH: { value: () => certificate },
  }) as ParsedKey
}

/**
 * Makes one server connection sign with the plain key type when a certificate was negotiated (PROTOCOL.certkeys: "signatures
 * … made using the same format as the underlying key"). Called before the key exchange; it watches each one, the first and
 * those that renew the keys.
 */
export function signAsPlainKey(connection: Ssh2Connection): void {
  const protocol = connection._protocol
  assert(protocol?._hostKeys, "only a server has host keys")
  const hostKeys = protocol._hostKeys
  onExchange(protocol, ({ negotiated }) => {
    const certified = negotiated.serverHostKey === certificateType
    if (certified) negotiated.serverHostKey = plainType
    protocol._hostKeys = certified ? { ...hostKeys, [plainType]: hostKeys[certificateType] } : hostKeys
  })
}
