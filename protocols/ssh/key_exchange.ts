// Where ssh2's key exchange is reached from outside: each exchange as it begins, and the KEXINIT of the peer before ssh2 reads it.
// What is done there is `host_certificate.ts`'s and `hybrid_exchange.ts`'s. ssh2 1.17 has no door to either; a patch upstream would
// be a table of exchanges by name that a caller may add to, and the key type that signs as a property of a host key.
import type { KeyExchange, Ssh2Protocol } from "./transport.ts"

const kexinit = 20 // RFC 4253, section 12

type Watcher = (exchange: KeyExchange) => void

interface Exchanges {
  readonly watchers: Watcher[]
  current: KeyExchange | undefined
}

const exchanges = new WeakMap<Ssh2Protocol, Exchanges>()

/** Called with each exchange when its algorithms are agreed on and before anything of it is sent: the first, and each renewal. */
export function onExchange(protocol: Ssh2Protocol, watch: Watcher): void {
  exchangesOf(protocol).watchers.push(watch)
}

/**
 * Lets an exchange go that is over, and its secrets with it: ssh2 would keep them, and the keys they were made with, until the connection
 * ends. There stays what logins sign, and what the next exchange goes on from.
 */
export function forgetExchange(protocol: Ssh2Protocol): void {
  const all = exchangesOf(protocol)
  if (!all.current) return
  const { sessionID, negotiated } = all.current
  all.current = { sessionID, negotiated, remoteExtInfoEnabled: false } as KeyExchange
}

function exchangesOf(protocol: Ssh2Protocol): Exchanges {
  const known = exchanges.get(protocol)
  if (known) return known
  const all: Exchanges = { watchers: [], current: protocol._kex }
  exchanges.set(protocol, all)
  Object.defineProperty(protocol, "_kex", {
    configurable: true,
    get: () => all.current,
    set(exchange: KeyExchange | undefined) {
      all.current = exchange
      if (exchange) for (const each of all.watchers) each(exchange)
    },
  })
  return all
}

interface Proposal {
  readonly kex?: readonly string[]
  readonly hostKeys?: readonly string[]
  readonly ciphers?: readonly string[]
}

/** Changes our own proposal: each list that is given takes the place of the one there was. Only before the first exchange. */
export function propose(protocol: Ssh2Protocol, { kex, hostKeys, ciphers }: Proposal): void {
  const { lists, constructor: Offer } = protocol._offer
  const { cipher, mac, compress } = lists.cs
  const way = { cipher: [...(ciphers ?? cipher.array)], mac: [...mac.array], compress: [...compress.array], lang: [] }
  const proposal = { kex: [...(kex ?? lists.kex.array)], serverHostKey: [...(hostKeys ?? lists.serverHostKey.array)], cs: way, sc: way }
  protocol._offer = new (Offer as new (proposal: object) => Ssh2Protocol["_offer"])(proposal)
}

/** What the peer proposes goes through `change` before ssh2 reads it. Only before the first exchange. */
export function onProposal(protocol: Ssh2Protocol, change: (payload: Buffer) => Buffer): void {
  const through = (pass: Ssh2Protocol["_onPayload"]): Ssh2Protocol["_onPayload"] => {
    return (payload) => pass(payload[0] === kexinit ? change(payload) : payload)
  }
  // The first proposal comes by a decipher that deciphers nothing; a client has it once the server has named itself.
  const first = protocol._decipher
  if (first) first._onPayload = through(first._onPayload)
  else {
    Object.defineProperty(protocol, "_decipher", {
      configurable: true,
      enumerable: true,
      get: () => undefined,
      set(decipher: NonNullable<Ssh2Protocol["_decipher"]>) {
        decipher._onPayload = through(decipher._onPayload)
        Object.defineProperty(protocol, "_decipher", { value: decipher, writable: true, configurable: true, enumerable: true })
      },
    })
  }
  protocol._onPayload = through(protocol._onPayload)
}
