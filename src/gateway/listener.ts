// One port, one protocol. It bounds what somebody unknown can cost: how many at once, how many from one address, and how long
// until they have said who they are. Past that, the client belongs to its protocol.
import { createServer, type AddressInfo, type Server, type Socket } from "node:net"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import type { Address } from "../core/target.ts"
import type { Log } from "../observe/log.ts"
import { metrics } from "../observe/metrics.ts"
import type { Protocol, Serve } from "./contract.ts"
import { ClientGate, type Threshold } from "./gate.ts"
import { networkOf } from "../core/network.ts"

export interface ListenerOptions {
  readonly protocol: Protocol
  readonly serve: Serve
  readonly listen: Address
  readonly threshold: Threshold
  /** How many processes share the port, and so its bounds. */
  readonly processes: number
  readonly log: Log
}

export class Listener {
  readonly #options: ListenerOptions
  readonly #server: Server
  readonly #clients = new Set<Socket>()
  readonly #handshaking = new Map<string, number>()
  #handshakingTotal = 0

  constructor(options: ListenerOptions) {
    this.#options = options
    this.#server = createServer({ noDelay: true, keepAlive: true }, (socket) => this.#accept(socket))
  }

  /** Settles with the address that is listened on. Rejects when the port is taken or not ours to open. */
  listen(): Promise<Address> {
    const { host, port } = this.#options.listen
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen({ host, port, backlog: 1024 }, () => {
        this.#server.off("error", reject)
        this.#server.on("error", (err) => this.#options.log.error({ err }, "the listener failed"))
        const { address, port: bound } = this.#server.address() as AddressInfo
        resolve({ host: address, port: bound })
      })
    })
  }

  /** Takes no more clients; those inside stay. */
  stop(): void {
    this.#server.close()
  }

  /** Nobody stays. */
  close(): void {
    this.#server.close()
    for (const socket of this.#clients) socket.destroy()
  }

  #accept(socket: Socket): void {
    socket.on("error", () => {}) // whoever reads it sees it end
    const from = hostOf(socket)
    const refused = this.#refusal(networkOf(from))
    if (refused) {
      metrics.refused(this.#options.protocol.name, refused)
      return void socket.destroy()
    }
    this.#clients.add(socket)
    socket.once("close", () => this.#clients.delete(socket))
    const settled = this.#handshake(socket, networkOf(from))
    const { protocol, threshold } = this.#options
    const address = `${from.includes(":") ? `[${from}]` : from}:${socket.remotePort}`
    const log = this.#options.log.child({ client: address })
    const gate = new ClientGate({ threshold, protocol: protocol.name, address, log, onSettled: settled })
    this.#serve(socket, gate)
      .catch((failure: unknown) => {
        const error = GatewayError.from(failure, "protocol_broken")
        log.info({ err: error, code: error.code }, "connection refused or broken")
      })
      .finally(() => {
        settled()
        socket.destroy()
      })
  }

  async #serve(socket: Socket, gate: ClientGate): Promise<void> {
    const { protocol, serve } = this.#options
    if (protocol.tls !== "accept") return serve(socket, gate)
    const client = await gate.secure(socket, { alpn: ["http/1.1"] }).catch((failure: unknown) => {
      // Who leaves without a word is no fault: a load balancer looks every few seconds whether the port is there.
      if (failure instanceof GatewayError && failure.cause === undefined) return undefined
      throw failure
    })
    if (client) await serve(client, gate)
  }

  #refusal(from: string): "connections" | "handshakes" | "address" | undefined {
    const share = (bound: number): number => Math.ceil(bound / this.#options.processes)
    if (this.#clients.size >= share(limits.connections_max)) return "connections"
    if (this.#handshakingTotal >= share(limits.handshaking_max)) return "handshakes"
    if ((this.#handshaking.get(from) ?? 0) >= share(limits.handshaking_per_address_max)) return "address"
    return undefined
  }

  /** Counts a client as unknown until the function it answers is called, or it leaves, or its time is up. */
  #handshake(socket: Socket, from: string): () => void {
    const { protocol, threshold, log } = this.#options
    this.#handshakingTotal++
    this.#handshaking.set(from, (this.#handshaking.get(from) ?? 0) + 1)
    const time_ms = limits.handshake_ms_max[protocol.name]
    const timer = threshold.clock.after(time_ms, () => {
      log.info({ client: from, time_ms }, "the login took too long")
      metrics.refused(protocol.name, "handshake_timeout")
      socket.destroy()
    })
    let counted = true
    const settled = (): void => {
      if (!counted) return
      counted = false
      timer.cancel()
      this.#handshakingTotal--
      const left = (this.#handshaking.get(from) ?? 1) - 1
      if (left === 0) this.#handshaking.delete(from)
      else this.#handshaking.set(from, left)
    }
    socket.once("close", settled)
    return settled
  }
}

/** An IPv4 client is its IPv4 address, also where an IPv6 socket took it. */
const hostOf = ({ remoteAddress = "unknown" }: Socket): string => remoteAddress.replace(/^::ffff:(?=\d+\.)/, "")
