// A public key in SSH wire form that checks signatures in SSH wire form (RFC 4253, section 6.6; RFC 5656; RFC 8332; RFC 8709;
// openssh-portable, PROTOCOL.u2f). It knows keys and algorithms; whose key it is and what was signed are others' questions.
import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto"
import { limits } from "../core/limits.ts"
import { WireReader } from "./wire_reader.ts"

export interface VerifyingKey {
  /** The type in the blob, such as "ssh-ed25519". */
  readonly type: string
  /** Signature algorithms it may be used with. Nothing with SHA-1: "ssh-rsa" names a key here, never a signature. */
  readonly algorithms: readonly string[]
  /** Why `signature`, in wire form, is not this key's over `data`; undefined when it is. The words are for the log. */
  refuses(data: Buffer, signature: Buffer, wanted?: Wanted): string | undefined
}

export interface Wanted {
  /** The one algorithm that is right here; left out: any of the key's. */
  readonly algorithm?: string | undefined
  /** A key on a security token must say that it checked who touched it (PIN, fingerprint), beside the touch. */
  readonly verified?: boolean | undefined
}

const curves: ReadonlyMap<string, { readonly curve: string; readonly crv: string; readonly hash: string; readonly bytes: number }> =
  new Map([
    ["ecdsa-sha2-nistp256", { curve: "nistp256", crv: "P-256", hash: "sha256", bytes: 32 }],
    ["ecdsa-sha2-nistp384", { curve: "nistp384", crv: "P-384", hash: "sha384", bytes: 48 }],
    ["ecdsa-sha2-nistp521", { curve: "nistp521", crv: "P-521", hash: "sha512", bytes: 66 }],
    ["sk-ecdsa-sha2-nistp256@openssh.com", { curve: "nistp256", crv: "P-256", hash: "sha256", bytes: 32 }],
  ])
const rsa_hashes: ReadonlyMap<string, string> = new Map([
  ["rsa-sha2-256", "sha256"],
  ["rsa-sha2-512", "sha512"],
])

/** Throws with words for the operator when the key cannot be used. */
export function verifyingKey(blob: Buffer): VerifyingKey {
  const reader = new WireReader(blob)
  const type = reader.text() ?? ""
  const { key, check } = readKey(type, reader)
  // A key on a security token names what it was made for ("ssh:"), which is part of what it signs.
  const application = type.startsWith("sk-") ? reader.bytes() : undefined
  if (!reader.atEnd || (type.startsWith("sk-") && application === undefined)) throw new Error("the key holds more or less than a key")
  const algorithms = type === "ssh-rsa" ? [...rsa_hashes.keys()] : [type]
  return {
    type,
    algorithms,
    refuses(data, signature, { algorithm, verified = false } = {}) {
      const parts = new WireReader(signature)
      const named = parts.text()
      const bare = parts.bytes()
      if (named === undefined || bare === undefined) return "the signature is cut short"
      if (!algorithms.includes(named) || (algorithm !== undefined && named !== algorithm)) return `a ${type} key does not sign like this`
      let signed = data
      if (application !== undefined) {
        const flags = parts.byte()
        const counter = parts.uint32()
        if (flags === undefined || counter === undefined) return "the signature is cut short"
        if ((flags & user_present) === 0) return "nobody touched the security token"
        if (verified && (flags & user_verified) === 0) return "the security token did not check who touched it"
        signed = tokenSigned(application, { flags, counter }, data)
      }
      if (!parts.atEnd) return "there is more after the signature"
      return check(key, { algorithm: named, signed, bare }) ? undefined : "the signature is wrong"
    },
  }
}

const user_present = 0x01 // PROTOCOL.u2f, "SSH U2F Signatures"
const user_verified = 0x04

function tokenSigned(application: Buffer, { flags, counter }: { flags: number; counter: number }, data: Buffer): Buffer {
  const count = Buffer.alloc(4)
  count.writeUInt32BE(counter)
  return Buffer.concat([sha256(application), Buffer.of(flags), count, sha256(data)])
}

type Check = (key: KeyObject, given: { readonly algorithm: string; readonly signed: Buffer; readonly bare: Buffer }) => boolean

function readKey(type: string, reader: WireReader): { readonly key: KeyObject; readonly check: Check } {
  if (type === "ssh-ed25519" || type === "sk-ssh-ed25519@openssh.com") {
    const x = reader.bytes()
    if (x?.length !== 32) throw new Error("the key cannot be read")
    const key = createPublicKey({ format: "jwk", key: { kty: "OKP", crv: "Ed25519", x: x.toString("base64url") } })
    return { key, check: (ours, { signed, bare }) => bare.length === 64 && verify(null, signed, ours, bare) }
  }
  if (type === "ssh-rsa") {
    const [e, n] = [reader.bytes(), reader.bytes()]
    if (!e || !n) throw new Error("the key cannot be read")
    const key = rsaKey(e, n)
    return { key, check: (ours, { algorithm, signed, bare }) => verify(rsa_hashes.get(algorithm), signed, ours, bare) }
  }
  const known = curves.get(type)
  if (!known) throw new Error(`keys of type ${/^[\w@.-]{1,64}$/.test(type) ? type : "(not a name)"} are not supported`)
  const [curve, point] = [reader.text(), reader.bytes()]
  if (curve !== known.curve || point?.length !== 1 + 2 * known.bytes || point[0] !== 4) throw new Error("the key cannot be read")
  const [x, y] = [point.subarray(1, 1 + known.bytes), point.subarray(1 + known.bytes)]
  const key = pointKey(known.crv, x, y)
  return {
    key,
    check(ours, { signed, bare }) {
      const pair = fixedPair(bare, known.bytes)
      return pair !== undefined && verify(known.hash, signed, { key: ours, dsaEncoding: "ieee-p1363" }, pair)
    },
  }
}

function rsaKey(e: Buffer, n: Buffer): KeyObject {
  const key = createPublicKey({ format: "jwk", key: { kty: "RSA", e: e.toString("base64url"), n: n.toString("base64url") } })
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0
  if (bits < limits.rsa_bits_min || bits > limits.rsa_bits_max)
    throw new Error(`an RSA key of ${bits} bits: it takes ${limits.rsa_bits_min} to ${limits.rsa_bits_max}`)
  return key
}

function pointKey(crv: string, x: Buffer, y: Buffer): KeyObject {
  try {
    return createPublicKey({ format: "jwk", key: { kty: "EC", crv, x: x.toString("base64url"), y: y.toString("base64url") } })
  } catch (failure) {
    throw new Error("the key is not a point on its curve", { cause: failure })
  }
}

/** Two mpints as two numbers of `bytes` bytes each, one after the other; undefined when it is no such pair. */
function fixedPair(bare: Buffer, bytes: number): Buffer | undefined {
  const reader = new WireReader(bare)
  const pair = Buffer.alloc(2 * bytes)
  for (const [index, number] of [reader.bytes(), reader.bytes()].entries()) {
    if (number === undefined || number.length === 0 || number.length > bytes + 1) return undefined
    const digits = number.length === bytes + 1 && number[0] === 0 ? number.subarray(1) : number
    if (digits.length > bytes || (digits === number && (number[0]! & 0x80) !== 0)) return undefined // too large, or negative
    digits.copy(pair, (index + 1) * bytes - digits.length)
  }
  return reader.atEnd ? pair : undefined
}

const sha256 = (data: Buffer): Buffer => createHash("sha256").update(data).digest()
