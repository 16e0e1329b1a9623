// The login on the target, from the startup packet to AuthenticationOk. The server may be hostile: it gets the password in no
// weaker form than the role's `login` says, and is believed only once it has shown that it knows it too, where it can.
// Source: "Protocol Flow: Start-up", "Message Formats: Authentication…".
import { createHash } from "node:crypto"
import type { X509Certificate } from "node:crypto"
import type { Duplex } from "node:stream"
import type { Clock } from "../../src/core/clock.ts"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { Secret } from "../../src/core/secret.ts"
import { postgres_logins, type PostgresLogin, type PostgresRole } from "../../src/core/target.ts"
import { int32, message, reportFields } from "./codec.ts"
import type { Inlet, Message } from "./inlet.ts"
import { type Binding, ScramClient, scram_mechanism, scram_plus_mechanism } from "./scram.ts"

export interface Login {
  /** Inside TLS, if the target has it. */
  readonly stream: Duplex
  readonly inlet: Inlet
  readonly user: string
  readonly role: PostgresRole | undefined
}

/** AuthenticationRequest's codes. */
const ok = 0
const clear_text = 3
const md5 = 5
const sasl = 10
const sasl_continue = 11
const sasl_final = 12

/** Settles after AuthenticationOk. Throws `target_busy`, `target_login_failed`, `target_untrusted`, `target_broke`. */
export async function logIn({ stream, inlet, user, role }: Login): Promise<void> {
  const password = role?.password
  let scram: ScramClient | undefined
  let proven = password === undefined
  const answer = (words: Buffer | string) => stream.write(message("p", words))
  for (;;) {
    const { type, body } = await nextMessage(inlet)
    if (type === "E") throw refused(body)
    if (type === "N" || type === "v") continue // a server that speaks 3.0 only says so to a client of 3.2
    if (type !== "R" || body.length < 4) throw broke(`message "${type}" during the login`)
    const method = body.readInt32BE(0)
    const data = body.subarray(4)
    if (method === ok) {
      if (!proven) throw new GatewayError("target_untrusted", {}, new Error("the server did not ask for the role's password"))
      return
    }
    if (!role || !password) throw failed(`the server asks for authentication ${method} and the role has no password`)
    if (method === sasl && !scram) {
      const offered = data.toString("latin1").split("\0")
      const binding = bindingFor(stream, offered)
      if (!binding.data && !offered.includes(scram_mechanism)) throw failed(`the server does not offer ${scram_mechanism}`)
      scram = new ScramClient({ binding })
      const first = scram.first()
      const mechanism = binding.data ? scram_plus_mechanism : scram_mechanism
      stream.write(message("p", mechanism, int32(first.length), first))
    } else if (method === sasl_continue && scram) {
      answer(await scram.final(data.toString("latin1"), password))
    } else if (method === sasl_final && scram) {
      scram.verify(data.toString("latin1"))
      proven = true
    } else if (method === md5 && data.length === 4 && allows(role.login, "md5")) {
      answer(md5Answer(password, user, data))
      proven = true
    } else if (method === clear_text && allows(role.login, "password")) {
      answer(password.reveal())
      proven = true
    } else {
      throw failed(`the server asks for authentication ${method}; this role logs in by ${role.login}`)
    }
  }
}

const allows = (weakest: PostgresLogin, login: PostgresLogin): boolean => postgres_logins.indexOf(login) <= postgres_logins.indexOf(weakest)

/** "Message Formats", AuthenticationMD5Password: md5 of md5(password, user) in hex, and the salt. */
function md5Answer(password: Secret, user: string, salt: Buffer): string {
  const hex = (...parts: readonly (string | Buffer)[]): string => {
    const hash = createHash("md5")
    for (const part of parts) hash.update(part)
    return hash.digest("hex")
  }
  return `md5${hex(hex(password.reveal(), user), salt)}`
}

/** Ties the login to the server's certificate (RFC 5929, section 4.1), so that nobody stands between who has another one. */
function bindingFor(stream: Duplex, offered: readonly string[]): Binding {
  const { getPeerX509Certificate } = stream as Duplex & { getPeerX509Certificate?(): X509Certificate | undefined }
  const certificate = getPeerX509Certificate?.call(stream)
  const digest = certificate && endPointDigest(certificate)
  if (!digest) return { flag: "n" }
  return offered.includes(scram_plus_mechanism) ? { flag: "p=tls-server-end-point", data: digest } : { flag: "y" }
}

/** Undefined where no hash is defined: Ed25519 has none, RSA-PSS names its own elsewhere. */
function endPointDigest({ raw, signatureAlgorithm }: X509Certificate): Buffer | undefined {
  const [, hash] = /(?:^|With|-)(md5|sha1|sha224|sha256|sha384|sha512)(?:With|$)/i.exec(signatureAlgorithm ?? "") ?? []
  if (hash === undefined) return undefined
  const name = hash.toLowerCase()
  return createHash(name === "md5" || name === "sha1" ? "sha256" : name)
    .update(raw)
    .digest()
}

export interface Patience {
  readonly clock: Clock
  /** Of the conversation: destroyed when it takes too long. */
  readonly socket: Duplex
}

/** `talk`, if it is over in `postgres_login_ms_max`. Throws `target_unreachable` for a target that keeps us waiting. */
export async function inTime<T>({ clock, socket }: Patience, talk: () => Promise<T>): Promise<T> {
  let late = false
  const timer = clock.after(limits.postgres_login_ms_max, () => {
    late = true
    socket.destroy()
  })
  try {
    return await talk()
  } catch (failure) {
    if (!late) throw failure
    throw new GatewayError("target_unreachable", {}, new Error(`not ready within ${limits.postgres_login_ms_max} ms`))
  } finally {
    timer.cancel()
  }
}

export async function nextMessage(inlet: Inlet): Promise<Message> {
  const found = await inlet.message(limits.auth_token_bytes_max).catch((failure: unknown) => {
    throw new GatewayError("target_broke", {}, failure) // its protocol was broken on that side, not on the client's
  })
  if (!found) throw broke("closed during the login")
  return found
}

/** The server's own refusal: its words are for the log, the table's for the client. */
export function refused(body: Buffer): GatewayError {
  const fields = reportFields(body)
  const sqlstate = fields.get("C") ?? "?"
  const cause = new Error(`${sqlstate}: ${fields.get("M") ?? "?"}`)
  if (not_now.has(sqlstate)) return new GatewayError("target_busy", {}, cause)
  return new GatewayError(sqlstate.startsWith("28") ? "target_login_failed" : "target_broke", {}, cause)
}

/** too_many_connections, and cannot_connect_now: it starts, or recovers from a crash. Who comes again gets in. */
const not_now: ReadonlySet<string> = new Set(["53300", "57P03"])

export const broke = (why: string): GatewayError => new GatewayError("target_broke", {}, new Error(why))
export const failed = (why: unknown): GatewayError =>
  new GatewayError("target_login_failed", {}, why instanceof Error ? why : new Error(String(why)))
