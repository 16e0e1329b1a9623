// The one place that says which headers pass. Requests and upgrades come through `readHeaders`, responses through
// `responseHeaders`; what says who the user is, is taken from nobody but us. It does not check tokens.
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { badRequest } from "./codec.ts"
import { applicationCookie } from "./cookies.ts"

/** Names and values in turn, as they stood on the wire. */
export type RawHeaders = readonly string[]

export interface RequestHeaders {
  readonly host: string
  readonly authorization: string | undefined
  /** `X-Sluice-Token`: for clients whose Authorization is the application's. */
  readonly sluice_token: string | undefined
  readonly accept: string | undefined
  /** As it came; what of it an application gets is `cookies.ts`'s to say. */
  readonly cookie: string | undefined
  readonly content_length: string | undefined
  readonly transfer_encoding: string | undefined
  readonly upgrade: string | undefined
  /** Whether `TE: trailers` was said, which gRPC needs. */
  readonly trailers: boolean
  /** What may travel on, without Authorization. */
  readonly passing: string[]
}

/** What becomes of a header. "drop" is for what must not pass, "hop" for what concerns this connection alone. */
type Fate = "pass" | "drop" | "hop" | keyof typeof read
/** Headers that we read ourselves; more than one of these has two readings. */
const read = {
  host: "host",
  authorization: "authorization",
  "x-sluice-token": "sluice_token",
  accept: "accept",
  cookie: "cookie",
  "content-length": "content_length",
  "transfer-encoding": "transfer_encoding",
  connection: "connection",
  upgrade: "upgrade",
  te: "te",
} as const

/**
 * RFC 9110, section 7.6.1; `expect` is answered by us, `http2-settings` belongs to an upgrade that is not offered. `proxy` is nobody's
 * header: in a CGI program it becomes HTTP_PROXY, through which the program then calls others (CVE-2016-5385).
 */
const hopByHop = new Set([
  "keep-alive",
  "proxy",
  "proxy-connection",
  "proxy-authenticate",
  "proxy-authorization",
  "trailer",
  "expect",
  "http2-settings",
])
const framing = new Set(["host", "content-length", "transfer-encoding"])

/**
 * Headers by which somewhere a proxy tells an application who the user is, where the request came from, or that something else
 * was asked for than the request line says. Matched after everything but letters and digits became a dash, because applications
 * fold names so (CGI, WSGI, PHP).
 */
const trusted = [
  /^(x-)?(sluice|auth|authenticated|forwarded|remote|webauth|ssl|tls|client-cert|client-verify|original|rewrite)(-|$)/,
  /^(x-)?(pomerium|goog-authenticated|goog-iap|ms-client-principal|amzn-oidc|cf-access|tailscale|authentik|vouch|oidc|consumer)(-|$)/,
  /^(x-)?(shib|shibboleth|kubeflow|appengine|ms-token-aad|anonymous-consumer|envoy)(-|$)/,
  /^(x-)?(iv|sm|oam|sso|saml|ldap|proxy)-(remote-)?(user(-?(id|name))?|groups?|roles?|creds|email|name)$/,
  /^x-user-(id|name|email|groups?|roles?)$/,
  /^x-(user|roles?|username|email|groups?|host|scheme|url-scheme|real-ip|client-ip|cluster-client-ip)$/,
  /^((true-|fastly-|fly-)?client-ip|cf-connecting-ip|front-end-https)$/,
  /^x-(http-)?(method(-override)?|host-override)$/,
]
/** Like those by name alone: what is in these is a secret that the application checks itself. */
const credentials = new Set(["x-auth-token", "x-auth-key"])

const fates = new Map<string, Fate>()
const fates_max = 1_000

function fateOf(name: string): Fate {
  const known = fates.get(name)
  if (known !== undefined) return known
  const lower = name.toLowerCase()
  const fate = decide(lower)
  if (fates.size < fates_max) fates.set(name, fate)
  return fate
}

function decide(lower: string): Fate {
  // Many applications cannot tell `X_Auth_User` from `X-Auth-User`, so somebody would be fooled.
  if (lower.includes("_")) throw badRequest("a header name with an underscore")
  if (lower in read) return lower as keyof typeof read
  if (hopByHop.has(lower)) return "hop"
  const folded = lower.replaceAll(/[^a-z0-9]/g, "-")
  return !credentials.has(lower) && trusted.some((form) => form.test(folded)) ? "drop" : "pass"
}

/** Throws `invalid` or `too_large`. */
export function readHeaders(raw: RawHeaders): RequestHeaders {
  if (raw.length > limits.http_headers_max * 2) throw new GatewayError("too_large")
  const found: Partial<Record<(typeof read)[keyof typeof read], string>> = {}
  let passing: string[] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const fate = fateOf(name)
    if (fate === "pass") passing.push(name, value)
    else if (fate !== "drop" && fate !== "hop") {
      const key = read[fate]
      if (found[key] === undefined) found[key] = value
      else if (fate === "cookie") found[key] += `; ${value}`
      else if (fate === "connection" || fate === "accept" || fate === "te") found[key] += `, ${value}`
      else throw badRequest(`more than one ${fate} header`)
      if (fate === "accept") passing.push(name, value)
    }
  }
  if (found.host === undefined) throw badRequest("no Host header")
  const listed = connectionOptions(found.connection)
  if (listed) passing = without(passing, listed)
  return {
    host: found.host,
    authorization: listed?.has("authorization") ? undefined : found.authorization,
    sluice_token: found.sluice_token,
    accept: found.accept,
    cookie: found.cookie,
    content_length: found.content_length,
    transfer_encoding: found.transfer_encoding,
    upgrade: found.upgrade,
    trailers: found.te !== undefined && /\btrailers\b/i.test(found.te),
    passing,
  }
}

/** One that passes, by its name in lower case; undefined when it is not there, or twice: then it has two readings. */
export function headerOf({ passing }: Pick<RequestHeaders, "passing">, name: string): string | undefined {
  const values = passing.filter((_, at) => at % 2 === 1 && passing[at - 1]?.toLowerCase() === name)
  return values.length === 1 ? values[0] : undefined
}

/** The headers that `Connection` names for this connection alone, or undefined when it names none. */
function connectionOptions(connection: string | undefined): Set<string> | undefined {
  if (connection === undefined || /^(keep-alive|close|upgrade)$/i.test(connection)) return undefined
  const names = listOf(connection)
  for (const name of names) if (framing.has(name)) throw badRequest(`${name} is not a connection option`)
  return names
}

const listOf = (value: string): Set<string> =>
  new Set(
    value
      .toLowerCase()
      .split(",")
      .map((name) => name.trim()),
  )

function without(headers: readonly string[], names: ReadonlySet<string>): string[] {
  const kept: string[] = []
  for (let i = 0; i < headers.length; i += 2) {
    if (!names.has((headers[i] as string).toLowerCase())) kept.push(headers[i] as string, headers[i + 1] as string)
  }
  return kept
}

/** `address`: "203.0.113.7:52044" or "[2001:db8::1]:52044". Applications read X-Forwarded-For as an address without brackets. */
export const forwardedFor = (address: string): string => address.slice(0, address.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1")

export interface ResponseContext {
  /** The target's own origin: a redirect to it would lead around the gateway, so it becomes a path. */
  readonly origin: string
  /** What the path starts with on the target and not here; "" for nothing. */
  readonly prefix: string
}

/** Not for the client: what concerns this connection alone, and `alt-svc`, an invitation past the gateway. */
const withheld = new Set([
  "keep-alive",
  "proxy-connection",
  "proxy-authenticate",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "alt-svc",
])

/** What of an application's response headers is for the client. Sluice's own names are taken from it too. */
export function responseHeaders(raw: readonly (Buffer | string)[], { origin, prefix }: ResponseContext): string[] {
  const headers: string[] = []
  let connection: string | undefined
  for (let i = 0; i < raw.length; i += 2) {
    const name = text(raw[i])
    const value = text(raw[i + 1])
    const lower = name.toLowerCase()
    if (lower === "connection") connection = connection === undefined ? value : `${connection}, ${value}`
    else if (withheld.has(lower) || lower.startsWith("sluice-")) continue
    else if (lower === "set-cookie") {
      const cookie = applicationCookie(value, (path) => publicPath(path, prefix))
      if (cookie !== undefined) headers.push(name, cookie)
    } else if (lower === "location" || lower === "content-location") headers.push(name, publicLocation(value, { origin, prefix }))
    else headers.push(name, value)
  }
  if (connection === undefined || /^(keep-alive|close|upgrade)$/i.test(connection)) return headers
  const listed = listOf(connection)
  for (const name of framing) listed.delete(name)
  return without(headers, listed)
}

const text = (part: Buffer | string | undefined): string => (typeof part === "string" ? part : (part?.toString("latin1") ?? ""))

function publicLocation(location: string, { origin, prefix }: ResponseContext): string {
  let path = location
  if (location.startsWith(origin) && /^([/?#]|$)/.test(location.slice(origin.length))) path = rooted(location.slice(origin.length))
  return publicPath(path, prefix)
}

/** A path of the target's, as it is here. */
function publicPath(path: string, prefix: string): string {
  if (prefix === "" || !path.startsWith(prefix) || !/^([/?#]|$)/.test(path.slice(prefix.length))) return path
  return rooted(path.slice(prefix.length))
}

/** With one slash before it: with two it would be the name of another host (RFC 3986, section 4.2). */
const rooted = (path: string): string => `/${path.replace(/^[/\\]+/, "")}`
