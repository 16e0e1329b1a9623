// Makes Ed25519 private keys in OpenSSH's own format (openssh-portable, PROTOCOL.key), unencrypted. ssh2 has a generator of its
// own; about one key in three hundred that it writes cannot be read back, so we write the format from Node's key instead.
import { generateKeyPairSync, randomBytes } from "node:crypto"
import { Secret } from "../core/secret.ts"

const type = "ssh-ed25519"
const magic = Buffer.from("openssh-key-v1\0")
const block_bytes = 8 // the padding unit when there is no cipher

export interface OpensshKeyPair {
  /** The file's text, final newline included. */
  readonly private: Secret
  /** "ssh-ed25519 AAAA… comment" */
  readonly public: string
}

export function generateOpensshKey(comment: string): OpensshKeyPair {
  const { d, x } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" }) as { d: string; x: string }
  const point = Buffer.from(x, "base64url")
  const publicBlob = Buffer.concat([sshString(type), sshString(point)])
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
    public: `${type} ${publicBlob.toString("base64")} ${comment}`,
  }
}

/** A string as SSH writes it: its length in four bytes, then its bytes (RFC 4251, section 5). */
function sshString(value: string | Buffer): Buffer {
  const bytes = Buffer.from(value as Buffer)
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
