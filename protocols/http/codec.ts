// The request line and the framing: which requests there is one reading of, and what they say. Whatever a target could read
// differently from us is refused here, so that what was decided about is what the target gets. Bodies never come here.
import type { IncomingMessage } from "node:http"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import type { RequestHeaders } from "./headers.ts"

export interface RequestLine {
  readonly method: string
  /** Origin form, as it is sent on (RFC 9112, section 3.2.1). */
  readonly url: string
  /** Without the query. */
  readonly path: string
  /** The path has one: it is for those targets alone that say so. */
  readonly escaped_slash: boolean
  /** Names of the query's parameters. */
  readonly query: readonly string[]
}

export const badRequest = (what: string): GatewayError => new GatewayError("invalid", { what })
export const escapedSlash = (): GatewayError => badRequest("the path has an escaped slash")
const unsupported = (what: string): GatewayError => new GatewayError("unsupported", { what })

/** What a path may hold (RFC 3986, section 3.3, and bytes beyond ASCII that some send): no control, no space, no `#`, no backslash. */
const plainPath = /^\/[!"$-[\]-~\u0080-\u00ff]*$/
const plainQuery = /^[!"$-~\u0080-\u00ff]*$/
/**
 * Escapes that turn into path syntax where they are decoded, be it twice, by a proxy and what is behind it: `.`, `/`, `\`, NUL, line
 * ends. A `/` that is escaped once has a rule of its own.
 */
const escapedSyntax = /%(25)*(2e|5c|00|0a|0d)|%(25)+2f/i
/** What is no escape, `%u002e` too, and the longer forms of ASCII that UTF-8 forbids and lenient decoders take (RFC 3629, section 3). */
const falseEscape = /%(?![\da-f]{2})|%c[01]%[89ab]|%e0%[89]/i
/** `/../`, `/./`, and the `/..;/` that servlet containers read so. */
const dotSegment = /\/\.{1,2}(?=[/;]|$)/

/** Throws `invalid` or `unsupported`, with words for the client. */
export function readRequestLine(request: IncomingMessage, host: string): RequestLine {
  const method = request.method ?? ""
  // TRACE would send the identity header back to whoever asked; CONNECT is a tunnel to anywhere.
  if (method === "TRACE" || method === "CONNECT") throw unsupported(`the method ${method}`)
  if (request.httpVersion !== "1.1" && request.httpVersion !== "1.0") throw unsupported("this version of HTTP")
  const url = originForm(request.url ?? "", host)
  const mark = url.indexOf("?")
  const path = inOneForm(mark === -1 ? url : url.slice(0, mark))
  if (!plainPath.test(path)) throw badRequest("the path has a character that may not be in one")
  if (path.includes("%") && escapedSyntax.test(path)) throw badRequest("the path has an escaped dot, slash or control character")
  if (path.includes("%") && falseEscape.test(path)) throw badRequest("the path has a % that is no escape of a character")
  const escaped_slash = path.includes("%") && /%2f/i.test(path)
  const read = escaped_slash ? path.replaceAll(/%2f/gi, "/") : path
  if (read.includes("/.") && dotSegment.test(read)) throw badRequest("the path has a dot segment")
  if (mark === -1) return { method, url: path, path, escaped_slash, query: [] }
  const search = url.slice(mark + 1)
  if (!plainQuery.test(search)) throw badRequest("the query has a character that may not be in one")
  return { method, url: `${path}?${search}`, path, escaped_slash, query: parameterNames(search) }
}

/** Escapes of characters that need none are those characters (RFC 3986, section 6.2.2), so that no path has two texts. */
function inOneForm(path: string): string {
  if (!path.includes("%")) return path
  return path.replaceAll(/%([\da-f]{2})/gi, (escape, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return /[A-Za-z0-9_~-]/.test(character) ? character : escape
  })
}

/** A proxy gets whole URLs (RFC 9112, section 3.2.2); one that names another host than `Host` has two readings. */
function originForm(url: string, host: string): string {
  if (url.startsWith("/")) return url
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url)
  if (!absolute) throw badRequest("the request's target is not a path")
  const [, authority = "", rest = ""] = absolute
  if (authority.toLowerCase() !== host.toLowerCase()) throw badRequest("the request's target and its Host differ")
  return rest.startsWith("/") ? rest : `/${rest}`
}

function parameterNames(search: string): string[] {
  const names: string[] = []
  for (const part of search.split("&", limits.http_query_names_max)) {
    const end = part.indexOf("=")
    // Without "=" it may be a value as well as a name, and a value may be a secret.
    if (end > 0) names.push(end > limits.http_query_name_chars_max ? "…" : part.slice(0, end))
    else if (end === -1 && part !== "") names.push("…")
  }
  return names
}

/** The body's declared size in bytes, "chunked", or 0 for none. Throws where two readings exist (RFC 9112, section 6.3). */
export function readFraming(request: IncomingMessage, headers: RequestHeaders): number | "chunked" {
  const { content_length, transfer_encoding } = headers
  if (transfer_encoding !== undefined) {
    if (request.httpVersion !== "1.1") throw badRequest("Transfer-Encoding is not part of HTTP/1.0")
    if (content_length !== undefined) throw badRequest("the body's length is told twice")
    if (transfer_encoding.toLowerCase() !== "chunked") throw unsupported("a transfer coding other than chunked")
    return "chunked"
  }
  if (content_length === undefined) return 0
  if (!/^\d{1,15}$/.test(content_length)) throw badRequest("the Content-Length is not a number")
  return Number(content_length)
}
