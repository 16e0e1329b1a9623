// The target's side until its first ReadyForQuery: TLS, login with the role's password, and what the server says then. The
// client's credentials never come here; the role's never leave here. Source: "Protocol Flow: Start-up".
import type { Duplex } from "node:stream"
import type { Clock } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Secret } from "../../src/core/secret.ts"
import type { PostgresTarget } from "../../src/core/target.ts"
import type { Session } from "../../src/gateway/contract.ts"
import { cancelRequest, int32, message, reportFields, sslRequest, startupMessage, type BackendKey } from "./codec.ts"
import { Inlet, type Message } from "./inlet.ts"
import { ScramClient, scram_mechanism } from "./scram.ts"
import type { Startup } from "./startup.ts"

export interface Upstream {
  readonly stream: Duplex
  /** The connection itself, below TLS. */
  readonly socket: Duplex
  /** The target's own key, which no client sees; undefined when it gave none. */
  readonly key: BackendKey | undefined
  /** What the server said after the login, up to and with ReadyForQuery, without its key. */
  readonly greeting: readonly Buffer[]
}

const key_secret_bytes_max = 256 // protocol 3.2

/** Throws `target_unreachable`, `target_untrusted`, `target_login_failed`, `target_broke`, or the cut's reason. */
export async function connectUpstream(session: Session, target: PostgresTarget, startup: Startup): Promise<Upstream> {
  const socket = await session.dial()
  const stream = await secured(session, target, socket)
  const inlet = new Inlet(stream, limits.postgres_greeting_bytes_max)
  stream.write(startupMessage(startup.version, [["user", startup.user], ["database", target.database], ...startup.settings]))
  await logIn({ stream, inlet, password: target.roles.get(startup.user)?.password })
  const { key, greeting } = await readGreeting(inlet)
  inlet.release()
  return { stream, socket, key, greeting }
}

/**
 * Breaks the connection, so that the server runs nothing more of what it holds already: it looks whether its client is there
 * when it answers. To be done before a cancel, which ends what runs now and makes it answer; a connection closed in the
 * ordinary way would take that answer, and the next statement would begin.
 */
export function abandon({ socket }: Upstream): void {
  const connection: Duplex & { resetAndDestroy?(): unknown } = socket
  if (connection.resetAndDestroy) connection.resetAndDestroy()
  else connection.destroy()
}

export interface Cancelling {
  readonly key: BackendKey
  readonly clock: Clock
  dial(): Promise<Duplex>
}

/**
 * Asks the server to stop what runs on `key`'s connection. Settles when the server has taken it, which it shows by closing, or
 * after `postgres_cancel_ms_max`.
 */
export async function cancelUpstream(session: Session, target: PostgresTarget, { key, clock, dial }: Cancelling): Promise<void> {
  const stream = await secured(session, target, await dial())
  await new Promise<void>((resolve) => {
    const timer = clock.after(limits.postgres_cancel_ms_max, resolve)
    const done = () => {
      timer.cancel()
      resolve()
    }
    stream.on("error", done).on("close", done).on("end", done)
    stream.resume()
    stream.end(cancelRequest(key))
  })
  stream.destroy()
}

async function secured(session: Session, target: PostgresTarget, stream: Duplex): Promise<Duplex> {
  if (target.tls === "disable") return stream
  const inlet = new Inlet(stream, 1)
  stream.write(sslRequest())
  const answer = (await inlet.bytes(1))?.toString("latin1")
  if (answer === undefined) throw broke("closed instead of answering to SSLRequest")
  if (answer !== "S") throw new GatewayError("target_untrusted", {}, new Error("the server does not offer TLS"))
  // Anything already here came before the handshake, and was not protected by it (CVE-2021-23222).
  if (inlet.waiting > 0) throw new GatewayError("target_untrusted", {}, new Error("bytes before the TLS handshake"))
  return session.secure(stream, {
    verify: target.tls === "verify-full",
    servername: target.address.host,
    ca: target.ca,
    alpn: ["postgresql"],
  })
}

interface Login {
  readonly stream: Duplex
  readonly inlet: Inlet
  readonly password: Secret | undefined
}

/** Until AuthenticationOk. Only SCRAM takes the password: MD5 and clear text would hand it to whoever answers. */
async function logIn({ stream, inlet, password }: Login): Promise<void> {
  const scram = new ScramClient()
  let proven = password === undefined
  for (;;) {
    const { type, body } = await next(inlet)
    if (type === "E") throw refused(body)
    if (type === "N" || type === "v") continue // a server that speaks 3.0 only says so to a client of 3.2
    if (type !== "R" || body.length < 4) throw broke(`message "${type}" during the login`)
    const method = body.readInt32BE(0)
    const data = body.subarray(4)
    if (method === 0) {
      if (!proven) throw new GatewayError("target_untrusted", {}, new Error("the server did not ask for the role's password"))
      return
    }
    if (!password) throw failed(`the server asks for authentication ${method} and the role has no password`)
    if (method === 10) {
      if (!data.toString("latin1").split("\0").includes(scram_mechanism)) throw failed(`the server does not offer ${scram_mechanism}`)
      const first = scram.first()
      stream.write(message("p", scram_mechanism, int32(first.length), first))
    } else if (method === 11) {
      stream.write(message("p", await scram.final(data.toString("latin1"), password)))
    } else if (method === 12) {
      scram.verify(data.toString("latin1"))
      proven = true
    } else {
      throw failed(`the server asks for authentication ${method}; only SCRAM-SHA-256 is supported`)
    }
  }
}

async function readGreeting(inlet: Inlet): Promise<Pick<Upstream, "key" | "greeting">> {
  const greeting: Buffer[] = []
  let key: BackendKey | undefined
  for (;;) {
    const { type, body } = await next(inlet)
    if (type === "E") throw refused(body)
    if (type === "K") {
      if (body.length < 8 || body.length > 4 + key_secret_bytes_max) throw broke("a cancel key of a wrong length")
      key = { pid: body.readInt32BE(0), secret: Buffer.from(body.subarray(4)) }
    } else if (type === "S" || type === "N" || type === "Z") {
      greeting.push(message(type, body))
    } else {
      throw broke(`message "${type}" after the login`)
    }
    if (type === "Z") return { key, greeting }
  }
}

async function next(inlet: Inlet): Promise<Message> {
  const found = await inlet.message(limits.auth_token_bytes_max).catch((failure: unknown) => {
    throw new GatewayError("target_broke", {}, failure) // its protocol was broken on that side, not on the client's
  })
  if (!found) throw broke("closed during the login")
  return found
}

/** The server's own refusal: its words are for the log, the table's for the client. */
function refused(body: Buffer): GatewayError {
  const fields = reportFields(body)
  const cause = new Error(`${fields.get("C") ?? "?"}: ${fields.get("M") ?? "?"}`)
  return new GatewayError(fields.get("C")?.startsWith("28") ? "target_login_failed" : "target_broke", {}, cause)
}

const broke = (why: string) => new GatewayError("target_broke", {}, new Error(why))
const failed = (why: string) => new GatewayError("target_login_failed", {}, new Error(why))
