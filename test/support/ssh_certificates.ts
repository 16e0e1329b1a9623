// SSH keys and certificates made by the real ssh-keygen, and forged ones that it would not make.
import { execFileSync } from "node:child_process"
import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { packWire } from "../../src/identity/wire_writer.ts"
import { scratch } from "./scratch.ts"
import { mustHave } from "./tools.ts"

export interface KeyFiles {
  /** The private key's file; the public one beside it as `.pub`. */
  readonly file: string
  /** "ssh-ed25519 AAAA… comment" */
  readonly publicKey: string
  readonly blob: Buffer
}

let folder: string | undefined
let made = 0

export function sshKey(type = "ed25519", ...more: readonly string[]): KeyFiles {
  folder ??= scratch("ssh-keys")
  const file = join(folder, String(++made))
  execFileSync(mustHave("ssh-keygen"), ["-q", "-t", type, ...more, "-N", "", "-f", file])
  const publicKey = readFileSync(`${file}.pub`, "utf8").trim()
  return { file, publicKey, blob: blobOf(publicKey) }
}

export const blobOf = (line: string): Buffer => Buffer.from(line.split(" ")[1] ?? "", "base64")

export interface Signing {
  readonly ca: KeyFiles
  readonly key: KeyFiles
  /** Left out: none, which ssh-keygen writes as a certificate for everybody. */
  readonly principals?: readonly string[]
  /** As ssh-keygen's -V: "+1h", "20260101:20260102", "always:forever". */
  readonly valid?: string
  /** As ssh-keygen's -O. */
  readonly options?: readonly string[]
  readonly more?: readonly string[]
}

/** `ssh-keygen -s`; the certificate lies beside the key as `-cert.pub`, where ssh finds it. Answers it in wire form. */
export function certify({ ca, key, principals = [], valid = "-1m:+1h", options = [], more = [] }: Signing): Buffer {
  const names = principals.length === 0 ? [] : ["-n", principals.join(",")]
  const given = options.flatMap((option) => ["-O", option])
  const file = `${key.file}.pub`
  // In UTC, as the tests' clock is.
  const env = { ...process.env, TZ: "UTC" }
  execFileSync("ssh-keygen", ["-q", "-s", ca.file, "-I", "a test", "-z", "7", "-V", valid, ...names, ...given, ...more, file], { env })
  return blobOf(readFileSync(`${key.file}-cert.pub`, "utf8"))
}

export interface TokenKey {
  readonly blob: Buffer
  /** As a security token signs: with these flags, and in wire form. */
  sign(data: Buffer, flags: number): Buffer
}

/** A key on a security token, in software (openssh-portable, PROTOCOL.u2f). */
export function tokenKey(kind: "ed25519" | "ecdsa"): TokenKey {
  const application = "ssh:"
  const sha256 = (data: string | Buffer): Buffer => createHash("sha256").update(data).digest()
  const counter = Buffer.from([0, 0, 0, 9])
  const over = (data: Buffer, flags: number): Buffer => Buffer.concat([sha256(application), Buffer.of(flags), counter, sha256(data)])
  if (kind === "ed25519") {
    const { privateKey, publicKey } = generateKeyPairSync("ed25519")
    const type = "sk-ssh-ed25519@openssh.com"
    const point = Buffer.from(publicKey.export({ format: "jwk" }).x ?? "", "base64url")
    return {
      blob: packWire(type, point, application),
      sign: (data, flags) => Buffer.concat([packWire(type, sign(null, over(data, flags), privateKey)), Buffer.of(flags), counter]),
    }
  }
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
  const type = "sk-ecdsa-sha2-nistp256@openssh.com"
  const { x = "", y = "" } = publicKey.export({ format: "jwk" })
  const point = Buffer.concat([Buffer.of(4), Buffer.from(x, "base64url"), Buffer.from(y, "base64url")])
  return {
    blob: packWire(type, "nistp256", point, application),
    sign(data, flags) {
      const pair = sign("sha256", over(data, flags), { key: privateKey, dsaEncoding: "ieee-p1363" })
      const inner = packWire(mpint(pair.subarray(0, 32)), mpint(pair.subarray(32)))
      return Buffer.concat([packWire(type, inner), Buffer.of(flags), counter])
    },
  }
}

/** RFC 4251, section 5. */
function mpint(digits: Buffer): Buffer {
  const start = digits.findIndex((byte) => byte !== 0)
  const short = digits.subarray(start)
  return (short[0] ?? 0) & 0x80 ? Buffer.concat([Buffer.of(0), short]) : short
}

export interface Forged {
  readonly type?: string
  /** The certified key's fields, after its type's name. */
  readonly fields?: readonly Buffer[]
  readonly kind?: number
  readonly principals?: Buffer
  readonly valid_after?: bigint
  readonly valid_before?: bigint
  readonly critical?: Buffer
  readonly extensions?: Buffer
  readonly authority?: Buffer
  /** In place of the CA's signature over `body`. */
  readonly signature?: (body: Buffer) => Buffer
  readonly tail?: Buffer
}

/** An Ed25519 CA and keys in memory, and certificates with any part exchanged. */
export function forger() {
  const ca = generateKeyPairSync("ed25519").privateKey
  const user = generateKeyPairSync("ed25519").privateKey
  const authority = wireKey(ca)
  return {
    authority,
    userKey: user,
    signWith: (key: KeyObject, data: Buffer): Buffer => packWire("ssh-ed25519", sign(null, data, key)),
    certificate(parts: Forged = {}): Buffer {
      const body = packWire(
        parts.type ?? "ssh-ed25519-cert-v01@openssh.com",
        randomBytes(32),
        ...(parts.fields ?? [pointOf(user)]),
        { uint64: 7n },
        { uint32: parts.kind ?? 1 },
        "a test",
        parts.principals ?? packWire("alice"),
        { uint64: parts.valid_after ?? 0n },
        { uint64: parts.valid_before ?? 0xffff_ffff_ffff_ffffn },
        parts.critical ?? "",
        parts.extensions ?? "",
        "",
        parts.authority ?? authority,
      )
      const signature = (parts.signature ?? ((data: Buffer) => packWire("ssh-ed25519", sign(null, data, ca))))(body)
      return Buffer.concat([body, packWire(signature), parts.tail ?? Buffer.alloc(0)])
    },
  }
}

const pointOf = (key: KeyObject): Buffer => Buffer.from(key.export({ format: "jwk" }).x ?? "", "base64url")
const wireKey = (key: KeyObject): Buffer => packWire("ssh-ed25519", pointOf(key))

/** The private half of a key file that ssh-keygen made with `-m PEM` or `-m PKCS8`. */
export const privateKey = (key: KeyFiles): KeyObject => createPrivateKey(readFileSync(key.file))
