// The server's side of one SSH handshake, over a socket or over a channel inside another connection: ssh2's server with our
// keys and algorithms, one instance a connection. Who may log in is the caller's `login`.
import type { Duplex } from "node:stream"
import ssh2, { type AuthContext, type ClientInfo, type Connection as Ssh2ServerConnection, type ParsedKey } from "ssh2"
import type { Clock } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Log } from "../../src/observe/log.ts"
import { ciphersFor, downstreamAlgorithms } from "./algorithms.ts"
import { Connection, type ConnectionOwner } from "./connection.ts"
import { signAsPlainKey } from "./host_certificate.ts"
import type { KeyLife } from "./key_renewal.ts"
import { disconnect } from "./refusal.ts"
import { type Ssh2Connection, Transport } from "./transport.ts"

export interface HandshakeOptions {
  readonly socket: Duplex
  readonly keys: readonly ParsedKey[]
  readonly owner: ConnectionOwner
  readonly log: Log
  readonly clock: Clock
  readonly life: KeyLife
  /** Called once, before the key exchange. */
  onConnection(connection: Connection): void
  /** Answers one attempt to log in. Attempts come one after the other. */
  login(attempt: AuthContext): Promise<LoginAnswer>
}

/** In; or a list of what else may be tried; or of what must follow, the attempt being good as far as it goes (RFC 4252, section 5.1). */
export type LoginAnswer = true | readonly string[] | { readonly partial: readonly string[] }

ssh2.Server.KEEPALIVE_CLIENT_INTERVAL = 0 // its own watch over clients, for which there is `Transport.keepAlive`

/** Serves until the socket is closed; never rejects. */
export function serveHandshake({ socket, keys, owner, log, clock, life, onConnection, login }: HandshakeOptions): Promise<void> {
  const hostKeys: unknown = keys.map((key) => ({ key }))
  const server = new ssh2.Server({
    hostKeys: hostKeys as string[], // its types only know keys as text
    algorithms: downstreamAlgorithms,
    ident: "Sluice",
  })
  const closed = new Promise<void>((resolve) => socket.once("close", resolve))
  const leave = (): void => void clock.after(limits.farewell_ms_max, () => socket.destroy())
  server.once("connection", (client: Ssh2ServerConnection, { header }: ClientInfo) => {
    client.on("error", (failure) => {
      log.debug({ err: failure }, "a client's SSH connection failed")
      leave() // a peer that is dead takes nothing more, so the end would wait for it
    })
    const ours = client as unknown as Ssh2Connection
    signAsPlainKey(ours)
    const transport = new Transport(ours, clock, life)
    transport.offerCiphers(ciphersFor(header.versions.software))
    transport.offerHybrid()
    transport.announceSignatureAlgorithms()
    const connection = new Connection(transport, owner)
    client.once("ready", () => {
      transport.keepAlive(() => {
        log.info({ for_ms: transport.silent_ms }, "a client has gone silent")
        disconnect(transport, new GatewayError("silent")) // one that hears and does not answer reads why
        leave()
      })
    })
    let [questions, attempts] = [0, 0]
    let conversing = false
    client.on("authentication", (attempt) => {
      // An agent asks about each of its keys before it signs with one: many of them are no attack, and guess nothing.
      const asks = attempt.method === "publickey" && !attempt.signature
      if (asks ? ++questions > limits.ssh_key_questions_max : ++attempts > limits.ssh_auth_attempts_max) {
        return disconnect(transport, new GatewayError("too_many_keys"))
      }
      // Another attempt would give up this conversation (RFC 4256, section 3.1), of which something may have come by now.
      if (conversing) return disconnect(transport, new GatewayError("protocol_broken"))
      conversing = attempt.method === "keyboard-interactive"
      login(attempt).then(
        (answer) => {
          conversing = false
          if (transport.over) return // it left while we were looking
          if (answer === true) return attempt.accept()
          const partial = "partial" in answer
          const methods = partial ? answer.partial : answer
          attempt.reject([...methods] as never, partial) // its types only know the standard methods
        },
        (failure: unknown) => {
          conversing = false
          log.error({ err: failure }, "a login could not be checked")
          disconnect(transport, GatewayError.from(failure, "stale"))
        },
      )
    })
    onConnection(connection)
  })
  // ssh2 takes a socket that somebody else accepted only this way.
  server.injectSocket(socket as never)
  // After the last words, or garbage, our half is ended; a client that does not leave by itself is not waited for.
  socket.once("finish", leave)
  return closed
}
