// The gateway's own cookies in a browser's Cookie header, and the header without them: they never reach an application. What is not
// well-formed, or is there twice, is no cookie of ours.
import { createHash } from "node:crypto"

/** `__Host-` (RFC 6265bis, section 4.1.3.2): set by this host itself, over TLS, and by no sibling. */
const token_name = "__Host-sluice"
const login_prefix = "__Host-sluice-login-"

export interface OwnCookies {
  /** What shows who this is; undefined when there is none, or two. */
  readonly token: string | undefined
  /** Logins under way, by name. */
  readonly logins: ReadonlyMap<string, string>
  /** The header for the application; undefined when nothing is left. */
  readonly rest: string | undefined
}

const nothing: ReadonlyMap<string, string> = new Map()

export function readCookies(header: string | undefined): OwnCookies {
  if (header === undefined || !/__host-sluice/i.test(header)) return { token: undefined, logins: nothing, rest: header }
  const rest: string[] = []
  const tokens: string[] = []
  const logins = new Map<string, string>()
  for (const pair of header.split(";")) {
    const mark = pair.indexOf("=")
    const name = (mark === -1 ? pair : pair.slice(0, mark)).trim()
    const value = mark === -1 ? "" : pair.slice(mark + 1).trim()
    if (name === token_name) tokens.push(value)
    else if (name.startsWith(login_prefix)) logins.set(name, value)
    // In another case it is none of ours, and an application that folds case must not take it for one.
    else if (!name.toLowerCase().startsWith(token_name.toLowerCase())) rest.push(pair.trim())
  }
  const [token] = tokens
  const sound = tokens.length === 1 && token !== undefined && /^[\w.-]+$/.test(token)
  return { token: sound ? token : undefined, logins, rest: rest.length > 0 ? rest.join("; ") : undefined }
}

const attributes = "Path=/; HttpOnly; Secure; SameSite=Lax"

/** `max_age_s` 0: it is forgotten. */
export const tokenCookie = (token: string, max_age_s: number): string => `${token_name}=${token}; ${attributes}; Max-Age=${max_age_s}`

/** A name of its own for each login, so that two tabs do not disturb each other. */
export const loginCookieName = (state: string): string => login_prefix + createHash("sha256").update(state).digest("hex").slice(0, 12)

export const loginCookie = (name: string, value: string, max_age_s: number): string =>
  `${name}=${value}; ${attributes}; Max-Age=${max_age_s}`

/**
 * A Set-Cookie of an application, as a browser may have it: for this very host, so that no application sets a cookie for another one
 * or for the gateway, and for the path as it is here. Undefined when it would be one of ours. `publicPath`: of the target's.
 */
export function applicationCookie(line: string, publicPath: (path: string) => string): string | undefined {
  // One without a name is sent back as its value alone, which then looks like a name and a value (RFC 6265bis, section 5.7).
  if (/^[\s=]*__host-sluice/i.test(line)) return undefined
  const [pair = "", ...attributes] = line.split(";")
  const kept = attributes.flatMap((attribute) => {
    const [, name = "", value = ""] = /^\s*([^=]*?)\s*(?:=\s*(.*?)\s*)?$/.exec(attribute) ?? []
    if (/^domain$/i.test(name)) return []
    return /^path$/i.test(name) && value.startsWith("/") ? [` ${name}=${publicPath(value)}`] : [attribute]
  })
  return [pair, ...kept].join(";")
}
