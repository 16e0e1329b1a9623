// mlkem768x25519-sha256 (RFC 10042), for both roles: a key exchange that stays closed to whoever records it today and has a quantum
// computer later. OpenSSH 10 warns its users where it is missing. ssh2 does not know it, so it is spoken in the place of an exchange
// that is never offered: ssh2 carries the messages, computes the exchange hash and signs it, what is in them is from here.
import { createHash, createPublicKey, decapsulate, diffieHellman, encapsulate, generateKeyPairSync, type KeyObject } from "node:crypto"
import { pack, Reader } from "./codec.ts"
import { onExchange, onProposal, propose } from "./key_exchange.ts"
import type { KeyExchange, Ssh2Protocol } from "./transport.ts"

export const hybridName = "mlkem768x25519-sha256"
/** Known to ssh2, in none of our lists. */
const stand_in = "diffie-hellman-group17-sha512"
const names_at = 17 // behind the message's number and the cookie (RFC 4253, section 7.1)

const mlkem = {
  public_bytes: 1184,
  ciphertext_bytes: 1088,
  spki: Buffer.from("308204b2300b0609608648016503040402038204a100", "hex"),
} as const
const x25519 = { public_bytes: 32, spki: Buffer.from("302a300506032b656e032100", "hex") } as const

/** One side of one exchange. */
export interface HybridSide {
  /** What it sends: a client at once, a server once it has the secret. */
  readonly message: Buffer
  /** The secret K, from what the other side sent. Throws for a message that is not one. */
  agree(message: Buffer): Buffer
}

export function hybridClient(): HybridSide {
  const kem = generateKeyPairSync("ml-kem-768")
  const ecdh = generateKeyPairSync("x25519")
  return {
    message: Buffer.concat([raw(kem.publicKey, mlkem.spki), raw(ecdh.publicKey, x25519.spki)]),
    agree(message) {
      const [ciphertext, share] = split(message, mlkem.ciphertext_bytes)
      return combine(decapsulate(kem.privateKey, ciphertext), classical(ecdh.privateKey, share))
    },
  }
}

export function hybridServer(): HybridSide {
  let message = Buffer.alloc(0)
  return {
    get message() {
      return message
    },
    agree(received) {
      const [key, share] = split(received, mlkem.public_bytes)
      const ecdh = generateKeyPairSync("x25519")
      const { sharedKey, ciphertext } = encapsulate(publicKey(mlkem.spki, key)) // importing it checks it (FIPS 203, section 7.2)
      const secret = combine(sharedKey, classical(ecdh.privateKey, share))
      message = Buffer.concat([ciphertext, raw(ecdh.publicKey, x25519.spki)])
      return secret
    },
  }
}

/** Proposes it before all others. After everything else about the proposal, and before the first exchange. */
export function offerHybrid(protocol: Ssh2Protocol): void {
  const known = protocol._offer.lists.kex.array
  propose(protocol, { kex: [hybridName, ...known] })
  protocol._offer.lists.kex.array = [stand_in, ...known] // what ssh2 compares; what it sends is made already
  let proposed: Buffer | undefined
  onProposal(protocol, (payload) => {
    proposed = payload
    return renamed(payload)
  })
  onExchange(protocol, (exchange) => {
    if (proposed) exchange._remoteKexinit = proposed // the hash is over what was sent
    proposed = undefined
    if (exchange.negotiated.kex === stand_in) speak(exchange, protocol._server ? hybridServer() : hybridClient())
  })
}

function speak(exchange: KeyExchange, side: HybridSide): void {
  exchange.hashName = "sha256"
  exchange.generateKeys = () => {}
  exchange.getPublicKey = () => side.message
  exchange.convertPublicKey = (message) => message
  exchange.computeSecret = (message) => {
    try {
      return side.agree(message)
    } catch (failure) {
      return failure as Error // ssh2 ends the connection with it
    }
  }
}

/** The names of exchanges as ssh2 is to see them. What is cut short is passed on: ssh2 refuses it. */
function renamed(payload: Buffer): Buffer {
  if (payload.length < names_at + 4 || payload.readUInt32BE(names_at) > payload.length - names_at - 4) return payload
  const reader = new Reader(payload, names_at)
  const names = reader.text().split(",")
  const seen = names.map((name) => (name === hybridName ? stand_in : name === stand_in ? `not ${name}` : name))
  return Buffer.concat([payload.subarray(0, names_at), pack(seen.join(",")), reader.rest()])
}

/** K = SHA-256(K_PQ || K_CL). */
const combine = (quantum: Buffer, classic: Buffer): Buffer => createHash("sha256").update(quantum).update(classic).digest()

/** OpenSSL refuses a share that gives zero, as RFC 7748, section 6.1, has it. */
const classical = (privateKey: KeyObject, share: Buffer): Buffer => diffieHellman({ privateKey, publicKey: publicKey(x25519.spki, share) })

function split(message: Buffer, first_bytes: number): readonly [first: Buffer, share: Buffer] {
  if (message.length !== first_bytes + x25519.public_bytes) throw new Error(`${message.length} bytes are no message of ${hybridName}`)
  return [message.subarray(0, first_bytes), message.subarray(first_bytes)]
}

const raw = (key: KeyObject, spki: Buffer): Buffer => key.export({ type: "spki", format: "der" }).subarray(spki.length)

const publicKey = (spki: Buffer, bytes: Buffer): KeyObject =>
  createPublicKey({ key: Buffer.concat([spki, bytes]), format: "der", type: "spki" })
