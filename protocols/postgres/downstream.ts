// The client's side until it has shown who it is: encryption, the startup packet, the token. A token is a password in clear
// text inside the protocol, so it is asked for under TLS only; a client on the gateway's own machine may go without, because
// nobody stands between. Source: "Protocol Flow: Start-up", "SSL Session Encryption", "GSSAPI Session Encryption".
import type { Duplex } from "node:stream"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { Secret } from "../../src/core/secret.ts"
import type { Gate } from "../../src/gateway/contract.ts"
import { authenticationCleartextPassword, negotiateProtocolVersion, type BackendKey } from "./codec.ts"
import { Inlet } from "./inlet.ts"
import { parseOpening, type Startup } from "./startup.ts"

export interface Downstream {
  /** The client, inside TLS if it asked for that. */
  client: Duplex
  inlet: Inlet
  encrypted: boolean
  /** AuthenticationOk was sent. */
  welcomed: boolean
}

const alpn = "postgresql"
const tls_handshake = 0x16
const length_bytes_max = limits.startup_bytes_max + limits.auth_token_bytes_max

export function downstreamOf(client: Duplex): Downstream {
  return { client, inlet: new Inlet(client, length_bytes_max), encrypted: false, welcomed: false }
}

/** The startup packet, or a cancel key; undefined when the client left. Replaces `side.client` when TLS begins. */
export async function readStartup(side: Downstream, gate: Gate): Promise<Startup | { kind: "cancel"; key: BackendKey } | undefined> {
  const asked = { ssl: false, gss: false }
  for (;;) {
    const head = await side.inlet.bytes(4)
    if (!head) return undefined
    if (head[0] === tls_handshake && !side.encrypted && !asked.ssl) {
      side.inlet.release()
      side.client.unshift(head) // before the rest: the handshake starts with it
      await encrypt(side, gate)
      if ((side.client as { alpnProtocol?: unknown }).alpnProtocol !== alpn) throw broken("direct TLS without ALPN postgresql")
      continue
    }
    const length = head.readInt32BE(0)
    if (length < 8) throw broken("a first packet that is too short")
    if (length > limits.startup_bytes_max) throw new GatewayError("too_large")
    const packet = await side.inlet.bytes(length - 4)
    if (!packet) return undefined
    const opening = parseOpening(packet)
    if (opening.kind === "startup" || opening.kind === "cancel") return opening
    if (asked[opening.kind] || side.encrypted) throw broken(`${opening.kind} asked for again`)
    asked[opening.kind] = true
    // What is here already was sent in the clear and would be read as if it had come encrypted (CVE-2021-23214).
    if (side.inlet.waiting > 0) throw broken("bytes after the request for encryption")
    side.client.write(opening.kind === "ssl" ? "S" : "N")
    if (opening.kind === "ssl") await encrypt(side, gate)
  }
}

/** Tells a client that asked for another version of the protocol, or for options of it, what is spoken. */
export function greet(side: Downstream, { negotiate, version }: Startup): void {
  if (negotiate) side.client.write(negotiateProtocolVersion(version, negotiate.unknown))
}

/** Before anything that must not be read by others is asked for. Throws `unsupported`. */
export function mustBePrivate(side: Downstream, gate: Gate): void {
  if (side.encrypted || isLoopback(gate.address)) return
  throw new GatewayError("unsupported", { what: "a login without TLS (connect with sslmode=require)" })
}

/** Asks for the token; undefined when the client left, as psql does to ask its user for it. */
export async function readToken(side: Downstream, gate: Gate, startup: Startup): Promise<Secret | undefined> {
  mustBePrivate(side, gate)
  greet(side, startup)
  side.client.write(authenticationCleartextPassword())
  const answer = await side.inlet.message(limits.auth_token_bytes_max)
  if (!answer) return undefined
  const { type, body } = answer
  if (type !== "p" || body.length === 0 || body.indexOf(0) !== body.length - 1) throw broken("no password where one was asked for")
  const token = new Secret(body.toString("utf8", 0, body.length - 1))
  body.fill(0)
  return token
}

async function encrypt(side: Downstream, gate: Gate): Promise<void> {
  side.inlet.release()
  side.client = await gate.secure(side.client, { alpn: [alpn] })
  side.inlet = new Inlet(side.client, length_bytes_max)
  side.encrypted = true
}

/** `address` is host:port. */
export function isLoopback(address: string): boolean {
  const host = address
    .slice(0, address.lastIndexOf(":"))
    .replace(/^\[|\]$/g, "")
    .replace(/^::ffff:/i, "")
  return host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host)
}

const broken = (why: string) => new GatewayError("protocol_broken", {}, new Error(why))
