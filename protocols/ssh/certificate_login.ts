// A login at a target with a certificate that is made for it: an ephemeral key, what the approval service signs it with, and the one
// message that shows both. ssh2's client has no such login, so the message is sent in the place of the question without one (`none`).
import { generateKeyPairSync, type KeyObject, sign } from "node:crypto"
import { message, pack } from "./codec.ts"
import type { Ssh2Protocol, Transport } from "./transport.ts"

const type = "ssh-ed25519"
const spki_head_bytes = 12 // before the point, in DER

/** A key that lives for one login. */
export interface LoginKey {
  /** "ssh-ed25519 AAAA…" */
  readonly line: string
  readonly key: KeyObject
}

export interface CertifiedKey {
  readonly key: KeyObject
  /** In wire form. */
  readonly certificate: Buffer
}

export function newLoginKey(): LoginKey {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519")
  const point = publicKey.export({ type: "spki", format: "der" }).subarray(spki_head_bytes)
  return { line: `${type} ${pack(type, point).toString("base64")}`, key: privateKey }
}

/** Where ssh2 would send `none`, `publickey` with the certificate goes out (RFC 4252, section 7), signed as the plain key signs. */
export function logInCertified(protocol: Ssh2Protocol, transport: Transport, { key, certificate }: CertifiedKey): void {
  protocol.authNone = (username) => {
    const session = protocol._kex?.sessionID
    if (!session) throw new Error("a login before the first exchange of keys")
    const asked = Buffer.concat([
      Buffer.of(message.userauth_request),
      pack(username, "ssh-connection", "publickey", true, `${type}-cert-v01@openssh.com`, certificate),
    ])
    const signature = sign(null, Buffer.concat([pack(session), asked]), key)
    protocol._authsQueue.push("publickey")
    transport.send(Buffer.concat([asked, pack(pack(type, signature))]))
  }
}
