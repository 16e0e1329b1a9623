// Addresses, host names and URLs as the config writes them.
import { isIPv4, isIPv6 } from "node:net"
import type { Address } from "../core/target.ts"

/** A name of letters, digits and hyphens that can stand in a host name (RFC 1123, section 2.1), lower case. */
export const isLabel = (text: string): boolean => /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(text)

/** A host name in lower case. */
export const isHostname = (text: string): boolean => text.length <= 253 && text.split(".").every(isLabel)

/** "host:port" or "[v6]:port". Port 0 (any that is free) is for listening only. Undefined when it is neither. */
export function parseAddress(text: string, port_min: 0 | 1): Address | undefined {
  const [, v6, name, digits] = /^(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})$/.exec(text) ?? []
  const port = Number(digits)
  if (digits === undefined || port < port_min || port > 65_535) return undefined
  if (v6 !== undefined) return isIPv6(v6) ? { host: v6, port } : undefined
  if (name === undefined) return undefined
  // What looks like an IPv4 address must be one: resolvers read "10.0.5" in surprising ways.
  if (/^[\d.]+$/.test(name)) return isIPv4(name) ? { host: name, port } : undefined
  return isHostname(name.toLowerCase()) ? { host: name.toLowerCase(), port } : undefined
}

/** "host:port", an IPv6 host in brackets. */
export const formatAddress = ({ host, port }: Address): string => (isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`)

/** Whether two listeners cannot both be there. */
export function collide(a: Address, b: Address): boolean {
  const any = (host: string): boolean => host === "0.0.0.0" || host === "::"
  return a.port === b.port && a.port !== 0 && (a.host === b.host || any(a.host) || any(b.host))
}

/** An http or https URL without credentials, query or fragment. Throws with words for the operator. */
export function parseHttpUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || (url.protocol !== "http:" && url.protocol !== "https:"))
    throw new Error("expected a URL that begins with http:// or https://")
  if (url.username || url.password) throw new Error("a URL here holds no user and no password")
  if (url.search || url.hash) throw new Error("a URL here has no query and no fragment")
  return url
}
