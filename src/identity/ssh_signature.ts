// Whether somebody who shows a public key has its private half: the checks of one signed publickey login (RFC 4252, section 7).
// The library that speaks SSH accepts any signature unless told otherwise; this is where it is told. Whose key it is, is the
// authenticator's question.
import { createPublicKey, type KeyObject } from "node:crypto"
import ssh2 from "ssh2"
import { limits } from "../core/limits.ts"
import type { SshPublicKey } from "./credential.ts"
import { verifyingKey } from "./ssh_verifying_key.ts"
import { WireReader } from "./wire_reader.ts"
import { packWire } from "./wire_writer.ts"

/** Algorithms a key type may sign with, and their hashes. Nothing with SHA-1: "ssh-rsa" names a key here, never a signature. */
const algorithms: ReadonlyMap<string, ReadonlyMap<string, string | undefined>> = new Map([
  ["ssh-ed25519", new Map<string, string | undefined>([["ssh-ed25519", undefined]])],
  // RFC 8332
  [
    "ssh-rsa",
    new Map([
      ["rsa-sha2-256", "sha256"],
      ["rsa-sha2-512", "sha512"],
    ]),
  ],
  // RFC 5656
  ["ecdsa-sha2-nistp256", new Map([["ecdsa-sha2-nistp256", "sha256"]])],
  ["ecdsa-sha2-nistp384", new Map([["ecdsa-sha2-nistp384", "sha384"]])],
  ["ecdsa-sha2-nistp521", new Map([["ecdsa-sha2-nistp521", "sha512"]])],
  // openssh-portable, PROTOCOL.u2f
  ["sk-ssh-ed25519@openssh.com", new Map<string, string | undefined>([["sk-ssh-ed25519@openssh.com", undefined]])],
  ["sk-ecdsa-sha2-nistp256@openssh.com", new Map([["sk-ecdsa-sha2-nistp256@openssh.com", "sha256"]])],
])
const userauth_request = 50

export interface SignedLogin {
  readonly algorithm: string
  readonly signed: Buffer
  readonly signature: Buffer
}

export interface LoginKey {
  /** Why `login` does not prove that its sender has this key; undefined when it does. The words are for the log. */
  refuses(login: SignedLogin): string | undefined
}

/** Throws with words for the operator when nobody may log in with `key`. */
export function loginKey(key: SshPublicKey): LoginKey {
  const allowed = algorithms.get(key.type)
  if (!allowed) throw new Error(`keys of type ${key.type} are not supported`)
  if (new WireReader(key.blob).text() !== key.type) throw new Error("the key does not have the type it names")
  if (key.type.startsWith("sk-")) return tokenKey(key)
  const parsed = ssh2.utils.parseKey(key.blob)
  if (parsed instanceof Error) throw new Error("the key cannot be read", { cause: parsed })
  const size = bits(createPublicKey(parsed.getPublicPEM()))
  if (size < limits.rsa_bits_min) throw new Error(`an RSA key of ${size} bits is too weak; it takes ${limits.rsa_bits_min}`)
  return {
    refuses({ algorithm, signed, signature }) {
      if (!allowed.has(algorithm)) return `a ${key.type} key does not sign with ${algorithm}`
      if (!isLoginWith(signed, algorithm, key.blob)) return "what was signed is not a login with this key"
      // ssh2 answers an Error where it could not even try.
      const answer: unknown = parsed.verify(signed, signature, allowed.get(algorithm))
      return answer === true ? undefined : "the signature is wrong"
    },
  }
}

/** A key on a security token. ssh2 does not know them, and hands over all that follows the algorithm's name and a length. */
function tokenKey(key: SshPublicKey): LoginKey {
  const verifying = verifyingKey(key.blob)
  return {
    refuses({ algorithm, signed, signature }) {
      if (algorithm !== key.type) return `a ${key.type} key does not sign with ${algorithm}`
      if (!isLoginWith(signed, algorithm, key.blob)) return "what was signed is not a login with this key"
      const trailer = Math.max(0, signature.length - token_trailer_bytes)
      return verifying.refuses(signed, Buffer.concat([packWire(algorithm, signature.subarray(0, trailer)), signature.subarray(trailer)]))
    },
  }
}

const token_trailer_bytes = 5 // flags and a counter

/** Infinity where the type fixes it. */
const bits = (key: KeyObject): number => (key.asymmetricKeyType === "rsa" ? (key.asymmetricKeyDetails?.modulusLength ?? 0) : Infinity)

/** Whether `signed` is the data of a publickey login that names exactly `algorithm` and `blob`: a signature for another key is no proof. */
export function isLoginWith(signed: Buffer, algorithm: string, blob: Buffer): boolean {
  const reader = new WireReader(signed)
  const session = reader.bytes()
  const message = reader.byte()
  const user = reader.bytes()
  return (
    session !== undefined &&
    session.length > 0 &&
    message === userauth_request &&
    user !== undefined &&
    reader.text() === "ssh-connection" &&
    reader.text() === "publickey" &&
    reader.byte() === 1 &&
    reader.text() === algorithm &&
    reader.bytes()?.equals(blob) === true &&
    reader.atEnd
  )
}
