// The SSH user certificates that Sluice's own CA signs (openssh-portable, PROTOCOL.certkeys): who, under which login, until when.
// Both halves of that are here, so that what is written and what is read stay one: the making, and the claim of one that came back.
import assert from "node:assert/strict"
import { randomBytes } from "node:crypto"
import ssh2, { type ParsedKey } from "ssh2"
import type { Millis } from "../core/clock.ts"
import type { Secret } from "../core/secret.ts"
import type { SshAuthority } from "./certificate_login.ts"
import { verifyingKey } from "./ssh_verifying_key.ts"
import { WireReader } from "./wire_reader.ts"
import { packWire } from "./wire_writer.ts"

export interface UserCertification {
  /** The person's public key in wire form. */
  readonly key: Buffer
  readonly subject: string
  /** The login it ends with; undefined: bound to none. */
  readonly login: string | undefined
  readonly serial: bigint
  readonly valid_from: Millis
  /** Rounded down to the second: never longer than it should be. */
  readonly valid_to: Millis
  /** Networks it is good from, in CIDR form; empty: from anywhere. */
  readonly from: readonly string[]
}

export interface UserCa {
  /** In wire form. */
  readonly public: Buffer
  /** "ssh-ed25519-cert-v01@openssh.com AAAA… alice", as in a `-cert.pub` file. */
  sign(certification: UserCertification): string
}

/** `privateKey`: Ed25519 in OpenSSH's format. */
export function userCa(privateKey: Secret): UserCa {
  const authority = readAuthority(privateKey)
  return {
    public: authority.getPublicSSH(),
    sign: ({ subject, login, ...rest }) =>
      certify(authority, { ...rest, key_id: login === undefined ? subject : `${subject} ${login}`, principal: subject, extensions }),
  }
}

export interface Certifying extends Pick<UserCertification, "key" | "serial" | "valid_from" | "valid_to" | "from"> {
  readonly key_id: string
  readonly principal: string
  /** In OpenSSH's order, which is the alphabet's. */
  readonly extensions: readonly string[]
}

export function readAuthority(privateKey: Secret): ParsedKey {
  const authority = ssh2.utils.parseKey(privateKey.reveal())
  assert(!(authority instanceof Error) && authority.type === "ssh-ed25519", "an SSH CA key that cannot be read")
  return authority
}

/** A user's certificate, as one line. */
export function certify(authority: ParsedKey, certifying: Certifying): string {
  const { key, serial, key_id, principal, valid_from, valid_to, from } = certifying
  const { type } = verifyingKey(key)
  const name = type.startsWith("sk-") ? type.replace("@", "-cert-v01@") : `${type}-cert-v01@openssh.com`
  const body = Buffer.concat([
    packWire(name, randomBytes(32)), // a nonce, against collisions in the signature's hash
    key.subarray(4 + type.length), // the key's own fields
    packWire(
      { uint64: serial },
      { uint32: user_kind },
      key_id,
      packWire(principal),
      { uint64: BigInt(Math.floor(valid_from / 1000)) },
      { uint64: BigInt(Math.floor(valid_to / 1000)) },
      from.length === 0 ? "" : packWire("source-address", packWire(from.join(","))),
      Buffer.concat(certifying.extensions.map((extension) => packWire(extension, ""))),
      "", // reserved
      authority.getPublicSSH(),
    ),
  ])
  const signature = authority.sign(body)
  assert(Buffer.isBuffer(signature), "the SSH CA cannot sign")
  const blob = Buffer.concat([body, packWire(packWire("ssh-ed25519", signature))])
  return `${name} ${blob.toString("base64")} ${principal}`
}

const user_kind = 1 // SSH2_CERT_TYPE_USER

/** What a server of OpenSSH's would let it do; in OpenSSH's order. The gateway goes by grants. */
const extensions = ["permit-agent-forwarding", "permit-port-forwarding", "permit-pty"]

/** Our own CA as an authority. Throws with words when the key cannot be used. */
export function ownAuthority(blob: Buffer): SshAuthority {
  return {
    key: verifyingKey(blob),
    claimOf({ principals, key_id }) {
      const [subject = "", login, ...more] = key_id.split(" ")
      // Written together, so one that says two things was not written by us.
      if (principals.length !== 1 || principals[0] !== subject || more.length > 0) return undefined
      return { subjects: [subject], login }
    },
  }
}

/** One line as in a `.pub` file, in wire form; undefined when it is no plain public key that can be used. */
export function readPublicKeyLine(line: string): Buffer | undefined {
  const [, type = "", base64 = ""] = /^\s*([\w@.-]{1,64}) ([A-Za-z0-9+/]+={0,2})(?:[ \t][^\r\n]*)?\s*$/.exec(line) ?? []
  const blob = Buffer.from(base64, "base64")
  try {
    return new WireReader(blob).text() === type && verifyingKey(blob).type === type ? blob : undefined
  } catch {
    return undefined
  }
}
