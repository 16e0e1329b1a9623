// The target's side until its first ReadyForQuery: TLS, login with the role's password, and what the server says then. The
// client's credentials never come here; the role's never leave here. Source: "Protocol Flow: Start-up".
import type { Duplex } from "node:stream"
import type { Clock } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { PostgresRole, PostgresTarget } from "../../src/core/target.ts"
import type { Session } from "../../src/gateway/contract.ts"
import { cancelRequest, message, protocol_3_0, sslRequest, startupMessage, type BackendKey } from "./codec.ts"
import { Inlet } from "./inlet.ts"
import { broke, inTime, logIn, nextMessage, refused } from "./upstream_login.ts"
import type { Startup } from "./startup.ts"

export interface Upstream {
  readonly stream: Duplex
  /** The connection itself, below TLS. */
  readonly socket: Duplex
  /** The target's own key, which no client sees; undefined when it gave none. */
  readonly key: BackendKey | undefined
}

export interface LoggedIn extends Upstream {
  /** What the server said after the login, up to and with ReadyForQuery, without its key. */
  readonly greeting: readonly Buffer[]
}

const key_secret_bytes_max = 256 // protocol 3.2

export interface LoginAs {
  readonly startup: Startup
  /** The name on the server. */
  readonly user: string
  readonly role: PostgresRole | undefined
  readonly clock: Clock
}

/** Throws `target_unreachable`, `target_busy`, `target_untrusted`, `target_login_failed`, `target_broke`, or the cut's reason. */
export async function connectUpstream(session: Session, target: PostgresTarget, login: LoginAs): Promise<LoggedIn> {
  const socket = await session.dial()
  return inTime({ clock: login.clock, socket }, () => logInOver(socket, { session, target, login }))
}

interface Connecting {
  readonly session: Session
  readonly target: PostgresTarget
  readonly login: LoginAs
}

async function logInOver(socket: Duplex, { session, target, login: { startup, user, role } }: Connecting): Promise<LoggedIn> {
  const stream = await secured(session, target, { stream: socket, role })
  const inlet = new Inlet(stream, limits.postgres_greeting_bytes_max)
  const database = startup.database ?? target.database
  // The minor version is between the client and us; poolers there are that close the connection when they hear of 3.2.
  const version = (target.pooler ?? "none") === "none" ? startup.version : protocol_3_0
  stream.write(startupMessage(version, [["user", user], ["database", database], ...startup.settings]))
  await logIn({ stream, inlet, user, role })
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
  const stream = await secured(session, target, { stream: await dial(), role: undefined })
  await new Promise<void>((resolve) => {
    const timer = clock.after(limits.postgres_cancel_ms_max, resolve)
    const done = () => {
      timer.cancel()
      resolve()
    }
    stream.on("error", done).on("close", done).on("end", done)
    stream.resume()
    stream.write(cancelRequest(key)) // and not its end: pgbouncer would think that nobody wants it any more
  })
  stream.destroy()
}

interface Unsecured {
  readonly stream: Duplex
  /** A cancel request logs in as nobody. */
  readonly role: PostgresRole | undefined
}

/** The target's TLS over a fresh connection, if it has it. Throws `target_untrusted`, `target_broke`. */
export async function secured(session: Session, target: PostgresTarget, { stream, role }: Unsecured): Promise<Duplex> {
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
    ...(role?.certificate ? { certificate: role.certificate } : {}),
  })
}

async function readGreeting(inlet: Inlet): Promise<Pick<LoggedIn, "key" | "greeting">> {
  const greeting: Buffer[] = []
  let key: BackendKey | undefined
  for (;;) {
    const { type, body } = await nextMessage(inlet)
    if (type === "E") throw refused(body)
    if (type === "K") {
      if (body.length < 8 || body.length > 4 + key_secret_bytes_max) throw broke("a cancel key of a wrong length")
      key = { pid: body.readInt32BE(0), secret: kept(body.subarray(4)) }
    } else if (type === "S" || type === "N" || type === "Z") {
      greeting.push(message(type, body))
    } else {
      throw broke(`message "${type}" after the login`)
    }
    if (type === "Z") return { key, greeting }
  }
}

/** Bytes of their own. Buffer.from would cut them from a block that they then hold for as long as they live, with whatever else is in it. */
function kept(bytes: Buffer): Buffer {
  const own = Buffer.alloc(bytes.length)
  bytes.copy(own)
  return own
}
