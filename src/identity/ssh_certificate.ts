// An OpenSSH user certificate (openssh-portable, PROTOCOL.certkeys) from bytes to its fields, with the authority's signature
// checked. It says what the certificate says; whether that authority is trusted and what the words mean here is decided by
// `certificate_login.ts`. Hostile input is `undefined`, with no more said.
import { limits } from "../core/limits.ts"
import type { SshPublicKey } from "./credential.ts"
import { WireReader } from "./wire_reader.ts"
import { packWire } from "./wire_writer.ts"

export interface SshCertificate {
  /** The plain key that is certified. */
  readonly key: SshPublicKey
  readonly serial: bigint
  /** 1 a user's, 2 a host's. */
  readonly kind: number
  /** The authority's free words about it, for logs. */
  readonly key_id: string
  readonly principals: readonly string[]
  /** Seconds since the Unix epoch; the first second it is good. */
  readonly valid_after: bigint
  /** The first second it is no longer good. */
  readonly valid_before: bigint
  readonly critical: ReadonlyMap<string, Buffer>
  readonly authority: Buffer
  /** What the authority signed, and its signature in wire form. */
  readonly signed: Buffer
  readonly signature: Buffer
}

const suffix = "-cert-v01@openssh.com"

/** How many fields make up each kind of key, and the name of the plain key. */
const kinds: ReadonlyMap<string, { readonly plain: string; readonly fields: number }> = new Map([
  ["ssh-ed25519-cert-v01@openssh.com", { plain: "ssh-ed25519", fields: 1 }],
  ["ssh-rsa-cert-v01@openssh.com", { plain: "ssh-rsa", fields: 2 }],
  ["ecdsa-sha2-nistp256-cert-v01@openssh.com", { plain: "ecdsa-sha2-nistp256", fields: 2 }],
  ["ecdsa-sha2-nistp384-cert-v01@openssh.com", { plain: "ecdsa-sha2-nistp384", fields: 2 }],
  ["ecdsa-sha2-nistp521-cert-v01@openssh.com", { plain: "ecdsa-sha2-nistp521", fields: 2 }],
  ["sk-ssh-ed25519-cert-v01@openssh.com", { plain: "sk-ssh-ed25519@openssh.com", fields: 2 }],
  ["sk-ecdsa-sha2-nistp256-cert-v01@openssh.com", { plain: "sk-ecdsa-sha2-nistp256@openssh.com", fields: 3 }],
])

/** Whether a key, or an algorithm, is named as a certificate. */
export const isCertificateName = (name: string): boolean => name.endsWith(suffix)

/** The signature's own algorithm in a login under `name`: "rsa-sha2-512-cert-v01@openssh.com" signs with "rsa-sha2-512". */
export function signatureAlgorithm(name: string): string {
  const plain = name.slice(0, -suffix.length)
  return plain.startsWith("sk-") ? `${plain}@openssh.com` : plain
}

export function readCertificate(blob: Buffer): SshCertificate | undefined {
  if (blob.length > limits.user_certificate_bytes_max) return undefined
  const reader = new WireReader(blob)
  const kind = kinds.get(reader.text() ?? "")
  if (!kind) return undefined
  reader.bytes() // nonce
  const fields = Array.from({ length: kind.fields }, () => reader.bytes() ?? Buffer.alloc(0))
  const serial = reader.uint64()
  const type = reader.uint32()
  const key_id = reader.bytes()
  const principals = reader.bytes()
  const valid_after = reader.uint64()
  const valid_before = reader.uint64()
  const critical = reader.bytes()
  const extensions = reader.bytes()
  reader.bytes() // reserved
  const authority = reader.bytes()
  const signed = blob.subarray(0, reader.position)
  const signature = reader.bytes()
  if (signature === undefined || !reader.atEnd) return undefined
  const names = readPrincipals(principals!)
  const options = readOptions(critical!)
  if (!names || !options || !readOptions(extensions!)) return undefined
  return {
    key: { type: kind.plain, blob: packWire(kind.plain, ...fields) },
    serial: serial!,
    kind: type!,
    key_id: key_id!.toString("utf8"),
    principals: names,
    valid_after: valid_after!,
    valid_before: valid_before!,
    critical: options,
    authority: authority!,
    signed,
    signature,
  }
}

function readPrincipals(list: Buffer): readonly string[] | undefined {
  const reader = new WireReader(list)
  const names: string[] = []
  while (!reader.atEnd) {
    const name = reader.bytes()
    if (name === undefined || names.length >= limits.user_certificate_principals_max) return undefined
    names.push(name.toString("utf8"))
  }
  return names
}

/** Names and data in turn. A name that comes twice could be read in two ways. */
function readOptions(list: Buffer): ReadonlyMap<string, Buffer> | undefined {
  const reader = new WireReader(list)
  const options = new Map<string, Buffer>()
  while (!reader.atEnd) {
    const [name, data] = [reader.text(), reader.bytes()]
    if (name === undefined || data === undefined || options.has(name)) return undefined
    options.set(name, data)
  }
  return options
}
