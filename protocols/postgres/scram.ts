// The client's half of SCRAM-SHA-256 (RFC 5802, RFC 7677): proves a password without sending it, and has the server prove that
// it knows it too. The server may be hostile: what it sends is bounded, and it is believed only after its own signature.
// With a channel binding (SCRAM-SHA-256-PLUS) the proof is good for one server certificate alone.
import { createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from "node:crypto"
import { promisify } from "node:util"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Secret } from "../../src/core/secret.ts"

export const scram_mechanism = "SCRAM-SHA-256"
export const scram_plus_mechanism = "SCRAM-SHA-256-PLUS"

/**
 * RFC 5802, section 6. "n": there is nothing to bind to. "y": there is, and the server did not offer to; one that had offered it
 * sees by this that somebody took the offer away.
 */
export type Binding =
  | { readonly flag: "n" | "y"; readonly data?: undefined }
  | { readonly flag: "p=tls-server-end-point"; readonly data: Buffer }

const iterations_min = 4_096 // RFC 7677, section 4: fewer would make what a server sees cheap to search

export interface ScramOptions {
  /** PostgreSQL takes the role from the startup packet and ignores this one. */
  readonly user?: string
  readonly nonce?: string
  readonly binding?: Binding
}

export class ScramClient {
  readonly #first: string
  readonly #header: Buffer
  readonly #bound: Buffer
  readonly #nonce: string
  #serverSignature: Buffer | undefined

  constructor({ user = "", nonce = randomBytes(24).toString("base64"), binding = { flag: "n" } }: ScramOptions = {}) {
    this.#nonce = nonce
    this.#header = Buffer.from(`${binding.flag},,`)
    this.#bound = Buffer.concat([this.#header, binding.data ?? Buffer.alloc(0)])
    this.#first = `n=${user.replaceAll("=", "=3D").replaceAll(",", "=2C")},r=${nonce}`
  }

  /** client-first-message */
  first(): Buffer {
    return Buffer.concat([this.#header, Buffer.from(this.#first)])
  }

  /** client-final-message for the server's first. Throws `target_login_failed`. */
  async final(serverFirst: string, password: Secret): Promise<Buffer> {
    const { nonce, salt, iterations } = parseServerFirst(serverFirst)
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) throw failed("the server did not add to our nonce")
    const { clientKey, storedKey, serverKey } = await keysFor(password, salt, iterations)
    const withoutProof = `c=${this.#bound.toString("base64")},r=${nonce}`
    const authMessage = `${this.#first},${serverFirst},${withoutProof}`
    const proof = xor(clientKey, hmac(storedKey, authMessage))
    this.#serverSignature = hmac(serverKey, authMessage)
    return Buffer.from(`${withoutProof},p=${proof.toString("base64")}`)
  }

  /** Checks the server's last message. Throws `target_untrusted`: it let us in without knowing the password. */
  verify(serverFinal: string): void {
    const given = Buffer.from(/^v=([A-Za-z0-9+/=]{1,128})(?:,|$)/.exec(serverFinal)?.[1] ?? "", "base64")
    const expected = this.#serverSignature
    if (!expected || given.length !== expected.length || !timingSafeEqual(given, expected)) {
      throw new GatewayError("target_untrusted", {}, new Error("the server's SCRAM signature is wrong"))
    }
  }
}

/** RFC 5802, section 3. Whoever has them can log in: they are as secret as the password. */
interface Keys {
  readonly clientKey: Buffer
  readonly storedKey: Buffer
  readonly serverKey: Buffer
}

interface Derived {
  readonly salt: Buffer
  readonly iterations: number
  readonly keys: Promise<Keys>
}

/**
 * A server shows the same salt for a role until its password changes, and making the keys is by design the dearest part of a login:
 * each password keeps those of the last salt it was asked with, as long as it is kept itself.
 */
const derived = new WeakMap<Secret, Derived>()

function keysFor(password: Secret, salt: Buffer, iterations: number): Promise<Keys> {
  const known = derived.get(password)
  if (known?.iterations === iterations && known.salt.equals(salt)) return known.keys
  const keys = deriveKeys(password, salt, iterations)
  derived.set(password, { salt, iterations, keys })
  keys.catch(() => derived.get(password)?.keys === keys && derived.delete(password)) // the next login tries again
  return keys
}

async function deriveKeys(password: Secret, salt: Buffer, iterations: number): Promise<Keys> {
  const salted = await promisify(pbkdf2)(saslprep(password.reveal()), salt, iterations, 32, "sha256")
  const clientKey = hmac(salted, "Client Key")
  return { clientKey, storedKey: createHash("sha256").update(clientKey).digest(), serverKey: hmac(salted, "Server Key") }
}

function parseServerFirst(words: string): { nonce: string; salt: Buffer; iterations: number } {
  const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=([1-9]\d{0,9})(?:,|$)/.exec(words)
  if (!match) throw failed("the server's first SCRAM message cannot be read")
  const [, nonce = "", salt = "", count] = match
  const iterations = Number(count)
  if (nonce.length > limits.scram_nonce_bytes_max) throw failed("the server's nonce is too long")
  if (salt.length > limits.scram_salt_bytes_max) throw failed("the server's salt is too long")
  if (iterations < iterations_min || iterations > limits.scram_iterations_max) throw failed(`${iterations} SCRAM iterations`)
  return { nonce, salt: Buffer.from(salt, "base64"), iterations }
}

/** RFC 4013 as far as PostgreSQL applies it: other spaces to a space, what maps to nothing away, NFKC. Prohibited characters stay. */
function saslprep(password: string): string {
  return password
    .replace(/[\u00A0\u1680\u2000-\u200B\u202F\u205F\u3000]/gu, " ")
    .replace(/\u00AD|\u034F|\u1806|[\u180B-\u180D]|[\u200C\u200D]|\u2060|[\uFE00-\uFE0F]|\uFEFF/gu, "")
    .normalize("NFKC")
}

const hmac = (key: Buffer, data: string): Buffer => createHmac("sha256", key).update(data).digest()
const xor = (left: Buffer, right: Buffer): Buffer => Buffer.from(left.map((byte, at) => byte ^ (right[at] ?? 0)))
const failed = (why: string) => new GatewayError("target_login_failed", {}, new Error(why))
