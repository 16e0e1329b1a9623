// SSH keys as OpenSSH writes them: reads the public ones of the config (one line each) and checks the private ones, and makes
// the Ed25519 keys of the state folder (openssh-portable, PROTOCOL.key, unencrypted). ssh2 has a generator of its own; about one
// key in three hundred that it writes cannot be read back, so we write the format from Node's key instead. What fails throws an
// Error with words for the operator, which never repeat what was read.
import { generateKeyPairSync, randomBytes } from "node:crypto"
import ssh2 from "ssh2"
import { limits } from "../core/limits.ts"
import { Secret } from "../core/secret.ts"
import type { SshPublicKey } from "../identity/credential.ts"
import { verifyingKey } from "../identity/ssh_verifying_key.ts"

const made_type = "ssh-ed25519"
const magic = Buffer.from("openssh-key-v1\0")
const block_bytes = 8 // the padding unit when there is no cipher
/** On a security token: what these sign, somebody has touched. */
const token_types = ["sk-ssh-ed25519@openssh.com", "sk-ecdsa-sha2-nistp256@openssh.com"]
const accepted = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"]

/** One line as in a `.pub` file: type, base64, comment. `tokens`: also a key on a security token, which people have and hosts do not. */
export function parsePublicKey(line: string, { tokens = false }: { readonly tokens?: boolean } = {}): SshPublicKey {
  const trimmed = line.trim()
  if (/PRIVATE KEY/.test(trimmed)) throw new Error("this is a private key; write the public one (the .pub file)")
  if (/[\r\n]/.test(trimmed)) throw new Error("one public key is expected, not several lines")
  const [type = "", base64 = ""] = trimmed.split(/\s+/)
  if (/-cert-v0\d@openssh\.com$/.test(type)) throw new Error("this is a certificate; write the plain public key")
  if (tokens && token_types.includes(type)) return parseTokenKey(type, base64)
  if (!accepted.includes(type)) throw new Error(`not an OpenSSH public key of a kind that is accepted: ${accepted.join(", ")}`)
  const parsed = ssh2.utils.parseKey(`${type} ${base64}`)
  if (parsed instanceof Error) throw new Error("this SSH public key cannot be read; is it complete?")
  const blob = Buffer.from(base64, "base64")
  if (!blob.equals(parsed.getPublicSSH())) throw new Error("this SSH public key is not what its type says, or holds more than a key")
  if (type === "ssh-rsa" && rsaBits(blob) < limits.rsa_bits_min)
    throw new Error(`this RSA key has ${rsaBits(blob)} bits; ${limits.rsa_bits_min} is the least, and ssh-ed25519 is better`)
  return { type, blob }
}

/** ssh2 does not know these. */
function parseTokenKey(type: string, base64: string): SshPublicKey {
  const blob = Buffer.from(base64, "base64")
  try {
    if (verifyingKey(blob).type === type) return { type, blob }
  } catch {
    // the words below are for the one who wrote the line
  }
  throw new Error("this SSH public key cannot be read; is it complete?")
}

/** OpenSSH or PEM, without a passphrase: nobody is there to type it. */
export function checkPrivateKey(secret: Secret): void {
  const parsed = ssh2.utils.parseKey(secret.reveal())
  if (parsed instanceof Error) {
    if (/encrypted/i.test(parsed.message)) throw new Error("this private key has a passphrase, which nobody can type here")
    throw new Error("this is not a private key that can be read (OpenSSH's own format, or PEM for RSA and ECDSA)")
  }
  if (!parsed.isPrivateKey()) throw new Error("this is a public key; the private one is needed")
}

/** The modulus is the third field of the wire form (RFC 4253, section 6.6): "ssh-rsa", e, n. */
function rsaBits(blob: Buffer): number {
  let offset = 0
  let field = blob
  for (let index = 0; index < 3; index++) {
    const length = blob.readUInt32BE(offset)
    field = blob.subarray(offset + 4, offset + 4 + length)
    offset += 4 + length
  }
  const first = field.findIndex((byte) => byte !== 0)
  return first < 0 ? 0 : (field.length - first) * 8 - Math.clz32(field[first]!) + 24
}

export interface OpensshKeyPair {
  /** The file's text, final newline included. */
  readonly private: Secret
  /** "ssh-ed25519 AAAA… comment" */
  readonly public: string
}

export function generateOpensshKey(comment: string): OpensshKeyPair {
  const { d, x } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }) as { d: string; x: string }
  const point = Buffer.from(x, "base64url")
  const publicBlob = Buffer.concat([sshString(made_type), sshString(point)])
  const check = randomBytes(4)
  const body = Buffer.concat([
    check, // twice the same, so that a reader sees a wrong passphrase
    check,
    publicBlob,
    sshString(Buffer.concat([Buffer.from(d, "base64url"), point])),
    sshString(comment),
  ])
  const padding = Buffer.from(Array.from({ length: (block_bytes - (body.length % block_bytes)) % block_bytes }, (_, index) => index + 1))
  const file = Buffer.concat([
    magic,
    sshString("none"), // cipher
    sshString("none"), // key derivation
    sshString(""), // its options
    Buffer.from([0, 0, 0, 1]), // keys in this file
    sshString(publicBlob),
    sshString(Buffer.concat([body, padding])),
  ])
  const lines = file.toString("base64").replace(/.{70}/g, "$&\n").trimEnd()
  return {
    private: new Secret(`-----BEGIN OPENSSH PRIVATE KEY-----\n${lines}\n-----END OPENSSH PRIVATE KEY-----\n`),
    public: `${made_type} ${publicBlob.toString("base64")} ${comment}`,
  }
}

/** A string as SSH writes it: its length in four bytes, then its bytes (RFC 4251, section 5). */
function sshString(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as Buffer)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
