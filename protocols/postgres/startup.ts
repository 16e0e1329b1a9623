// The packet that opens a connection, from bytes to meaning: who asks, for what, with which settings. It owns the allow-list of
// settings: `search_path` would change what later statements mean, so it is refused; so are `options` and `replication`, which
// do more than that, unless the target takes them, which nobody knows yet.
// Source: "Message Formats" (StartupMessage, SSLRequest, GSSENCRequest, CancelRequest) and "Protocol Flow".
import { GatewayError } from "../../src/core/errors.ts"
import { readOptions } from "./client_options.ts"
import { code_cancel, code_gss, code_ssl, endOfString, protocol_3_0, protocol_3_2, text, type BackendKey } from "./codec.ts"

export interface Startup {
  readonly kind: "startup"
  /** 3.0 or 3.2: what is spoken from here on. */
  readonly version: typeof protocol_3_0 | typeof protocol_3_2
  /** Set when the client asked for something else, or for options we do not know: it must be told. */
  readonly negotiate: { readonly unknown: readonly string[] } | undefined
  /** The role. */
  readonly user: string
  readonly target: string
  /** Named after the slash in `target/database`; undefined: the target's own. */
  readonly database: string | undefined
  /** Settings that pass on to the target. */
  readonly settings: ReadonlyMap<string, string>
  /** Of those, the ones that the target must take. */
  readonly wants: readonly ("options" | "replication")[]
  /** How the client wants to say who it is: by a token as the password, or a login of its own; undefined: it leaves that to the gateway. */
  readonly login: "token" | "oauth" | undefined
  /** What it asks for, should there be no grant: why, and for how long. */
  readonly asks: { readonly reason: string | undefined; readonly lasts: string | undefined }
}

export type Opening = Startup | { readonly kind: "ssl" } | { readonly kind: "gss" } | { readonly kind: "cancel"; readonly key: BackendKey }

const cancel_secret_bytes_max = 256 // protocol 3.2

/** Settings that change how results look or how long things may take, and nothing that somebody could reach by them. */
const harmless = new Set([
  "application_name",
  "bytea_output",
  "client_encoding",
  "client_min_messages",
  "datestyle",
  "default_transaction_deferrable",
  "default_transaction_isolation",
  "default_transaction_read_only",
  "extra_float_digits",
  "geqo",
  "idle_in_transaction_session_timeout",
  "idle_session_timeout",
  "intervalstyle",
  "lock_timeout",
  "standard_conforming_strings",
  "statement_timeout",
  "timezone",
  "transaction_timeout",
  "xmloption",
])

/** `packet` is what follows the length. Throws `protocol_broken`, `unsupported`. */
export function parseOpening(packet: Buffer): Opening {
  if (packet.length < 4) throw broken("no room for a version")
  const version = packet.readInt32BE(0)
  if (version === code_ssl || version === code_gss) {
    if (packet.length !== 4) throw broken("a request for encryption with something after it")
    return { kind: version === code_ssl ? "ssl" : "gss" }
  }
  if (version === code_cancel) {
    const secret = packet.subarray(8)
    if (secret.length < 4 || secret.length > cancel_secret_bytes_max) throw broken("a cancel key of a wrong length")
    return { kind: "cancel", key: { pid: packet.readInt32BE(4), secret } }
  }
  if (version >>> 16 !== 3) throw new GatewayError("unsupported", { what: "this version of the PostgreSQL protocol" })
  return parseStartup(version, parameters(packet.subarray(4)))
}

function parseStartup(version: number, given: ReadonlyMap<string, string>): Startup {
  const settings = new Map<string, string>()
  const unknown: string[] = []
  const wants: ("options" | "replication")[] = []
  const { ours, rest } = readOptions(given.get("options") ?? "", ["login", "reason", "for"])
  for (const [name, value] of given) {
    if (name === "user" || name === "database") continue
    if (name.startsWith("_pq_.")) unknown.push(name)
    else if (harmless.has(name.toLowerCase())) settings.set(name, value)
    else if (name === "replication" && /^(false|off|no|0)$/i.test(value)) continue
    else if (name === "options" || name === "replication") {
      const passes = name === "options" ? rest : value
      if (passes === "") continue
      wants.push(name)
      settings.set(name, passes)
    } else throw new GatewayError("unsupported", { what: `the startup parameter ${/^[\w.]{1,63}$/.test(name) ? `"${name}"` : "sent"}` })
  }
  const { user, target, database } = place(given, wants.includes("replication"))
  if (user === "") throw new GatewayError("unsupported", { what: "a connection without a user (the role on the target)" })
  if (target === "") throw new GatewayError("unsupported", { what: "a connection without dbname=<target>" })
  const spoken = version >= protocol_3_2 ? protocol_3_2 : protocol_3_0 // 3.1 was never released, and is reserved
  const negotiate = spoken === version && unknown.length === 0 ? undefined : { unknown }
  return {
    kind: "startup",
    version: spoken,
    negotiate,
    user,
    target,
    database,
    settings,
    wants,
    login: loginOf(ours),
    asks: { reason: ours.get("reason"), lasts: ours.get("for") },
  }
}

function loginOf(ours: ReadonlyMap<string, string>): Startup["login"] {
  const login = ours.get("login")
  if (login !== undefined && login !== "token" && login !== "oauth")
    throw new GatewayError("unsupported", { what: "a sluice.login that is not token or oauth" })
  return login
}

interface Place {
  readonly user: string
  readonly target: string
  readonly database: string | undefined
}

/**
 * pg_basebackup and pg_receivewal let nobody say a database: they leave it out, or say "replication". The target then stands
 * behind the role: `user=role@target`.
 */
function place(given: ReadonlyMap<string, string>, replication: boolean): Place {
  const user = given.get("user") ?? ""
  const name = given.get("database") ?? ""
  const at = user.lastIndexOf("@")
  if (!replication || (name !== "" && name !== "replication") || at < 0) return { user, ...splitDatabase(name) }
  return { user: user.slice(0, at), target: user.slice(at + 1), database: undefined }
}

function splitDatabase(name: string): { target: string; database: string | undefined } {
  const slash = name.indexOf("/")
  return slash < 0 ? { target: name, database: undefined } : { target: name.slice(0, slash), database: name.slice(slash + 1) }
}

/** Names and values in turn, each ended by NUL, the list by one more. A name that comes twice could be read in two ways. */
function parameters(bytes: Buffer): Map<string, string> {
  const found = new Map<string, string>()
  const seen = new Set<string>()
  let at = 0
  while (at < bytes.length && bytes[at] !== 0) {
    const nameEnd = endOfString(bytes, at, bytes.length)
    const valueEnd = endOfString(bytes, nameEnd + 1, bytes.length)
    const name = text(bytes, at, nameEnd)
    if (seen.has(name.toLowerCase())) throw broken("a startup parameter given twice")
    seen.add(name.toLowerCase())
    found.set(name, text(bytes, nameEnd + 1, valueEnd))
    at = valueEnd + 1
  }
  if (at !== bytes.length - 1) throw broken("a startup packet that does not end where it says")
  return found
}

const broken = (why: string) => new GatewayError("protocol_broken", {}, new Error(why))
