// Connections towards one target's address, and nowhere else. The dialer is made with a session and dies with it: every socket
// it ever made is destroyed, and after that it makes no more.
import { connect } from "node:net"
import type { Duplex } from "node:stream"
import { connect as tlsConnect, createSecureContext, type SecureContext } from "node:tls"
import { LRUCache } from "lru-cache"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import type { Address } from "../core/target.ts"
import type { UpstreamTls } from "./contract.ts"

/** Makes a connection that may still fail; what it answers is destroyed by the dialer. */
export type Connect = (address: Address) => Connecting
export interface Connecting {
  readonly socket: Duplex
  readonly connected: Promise<void>
}

/** A TCP connection, given up after `dial_ms_max`. */
export function connectTcp({ host, port }: Address): Connecting {
  const socket = connect({ host, port, noDelay: true, keepAlive: true })
  const connected = new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => socket.destroy(new Error(`no connection within ${limits.dial_ms_max} ms`)), limits.dial_ms_max)
    const onFailure = (failure?: unknown): void => {
      clearTimeout(timer)
      reject(failure instanceof Error ? failure : new Error("closed before it was connected"))
    }
    socket.once("error", onFailure).once("close", onFailure)
    socket.once("connect", () => {
      clearTimeout(timer)
      socket.off("error", onFailure).off("close", onFailure)
      resolve()
    })
  })
  return { socket, connected }
}

export class Dialer {
  readonly #address: Address
  readonly #connect: Connect
  readonly #open = new Set<Duplex>()
  #closed: GatewayError | undefined

  constructor(address: Address, connect: Connect) {
    this.#address = address
    this.#connect = connect
  }

  async dial(): Promise<Duplex> {
    if (this.#closed) throw this.#closed
    const { socket, connected } = this.#connect(this.#address)
    this.#track(socket)
    try {
      await connected
    } catch (failure) {
      socket.destroy()
      throw this.#closed ?? new GatewayError("target_unreachable", {}, failure)
    }
    if (this.#closed) throw this.#closed
    return socket
  }

  secure(upstream: Duplex, { verify, servername, ca, alpn, certificate }: UpstreamTls): Promise<Duplex> {
    if (this.#closed) return Promise.reject(this.#closed)
    return new Promise((resolve, reject) => {
      const secured = tlsConnect({
        socket: upstream,
        rejectUnauthorized: verify,
        // An address is not a server name (RFC 6066, section 3); the certificate is checked against it all the same.
        ...(isAddress(servername) ? { host: servername } : { servername }),
        ...(alpn === undefined ? {} : { ALPNProtocols: [...alpn] }),
        secureContext: certificate
          ? createSecureContext({ ...trusting(ca), cert: certificate.cert, key: certificate.key.reveal() })
          : contextFor(ca),
      })
      this.#track(secured)
      const timer = setTimeout(() => secured.destroy(new Error(`no TLS within ${limits.dial_ms_max} ms`)), limits.dial_ms_max)
      const onFailure = (failure?: unknown): void => {
        clearTimeout(timer)
        upstream.destroy()
        reject(this.#closed ?? new GatewayError("target_untrusted", {}, failure))
      }
      secured.once("error", onFailure).once("close", onFailure)
      secured.once("secureConnect", () => {
        clearTimeout(timer)
        secured.off("error", onFailure).off("close", onFailure)
        resolve(secured)
      })
    })
  }

  /** What waits in a socket has not been sent: destroying those sockets at the cut keeps it from ever being sent. */
  destroyUnsent(): void {
    for (const socket of this.#open) if (socket.writableLength > 0) socket.destroy()
  }

  close(reason: GatewayError): void {
    this.#closed = reason
    for (const socket of this.#open) socket.destroy()
  }

  #track(socket: Duplex): void {
    this.#open.add(socket)
    // A socket's failure is seen by whoever reads it; without a listener here it would end the process.
    socket.on("error", () => {})
    socket.once("close", () => this.#open.delete(socket))
  }
}

/** By the CA's PEM; "" is the system's. Reading a PEM is a good part of a handshake. Those with a key of ours are made anew and kept nowhere. */
const contexts = new LRUCache<string, SecureContext>({ max: limits.upstream_cas_max })

function contextFor(ca: string | undefined): SecureContext {
  const known = contexts.get(ca ?? "")
  if (known) return known
  const made = createSecureContext(trusting(ca))
  contexts.set(ca ?? "", made)
  return made
}

const trusting = (ca: string | undefined): { readonly ca?: string } => (ca === undefined ? {} : { ca })

const isAddress = (name: string): boolean => /^[\d.]+$/.test(name) || name.includes(":")
