// Where a forward leads, or where a target listens for one: as a client writes it in SSH, brought into the one form that is decided
// about, put on record and passed on; and the patterns with which an operator or an approver names such places. Pure: nothing is ever
// looked up, because what a name means is for the target to say, later.
//
//   10.0.0.9:6379         this address and port             10.0.0.0/8:443        an address of this network, written as an address
//   db.internal:5432      this name, not what it means      *.internal:443        any name that ends so
//   [fd00::1]:8000-8999   one of these ports                *:443  host:*         any host; any port
//   /run/app.sock         a socket on the target            /run/app/*.sock       a * is part of one name
import { BlockList, isIPv4, isIPv6 } from "node:net"
import { limits } from "./limits.ts"

export type Destination =
  /** Lower case, an address in its shortest form; `*` where a target listens on all of its addresses. Port 0: one that the target chooses. */
  | { readonly host: string; readonly port: number }
  /** A Unix socket's path on the target. */
  | { readonly path: string }

/** Where a client wants to be connected to; undefined for what nobody could decide about. */
export function parseDestination(host: string, port: number): Destination | undefined {
  const canonical = port >= 1 && port <= port_max ? canonicalHost(host) : undefined
  return canonical === undefined ? undefined : { host: canonical, port }
}

/** Where a client wants the target to listen (RFC 4254, section 7.1). */
export function parseListening(host: string, port: number): Destination | undefined {
  const canonical = port >= 0 && port <= port_max ? (host === "" || host === "*" ? "*" : canonicalHost(host)) : undefined
  return canonical === undefined ? undefined : { host: canonical, port }
}

/** A socket's path: absolute and without a way around, so that a pattern for its folder is about its folder. */
export function parseSocketPath(path: string): Destination | undefined {
  const plain =
    path.startsWith("/") &&
    path.length > 1 &&
    path.isWellFormed() &&
    !/[\p{C}\p{Zl}\p{Zp}\ufffd]/u.test(path) &&
    Buffer.byteLength(path) <= limits.socket_path_bytes_max &&
    path
      .slice(1)
      .split("/")
      .every((name) => name !== "" && name !== "." && name !== "..")
  return plain ? { path } : undefined
}

/** Where a connection came from, as a peer says: an address and a port, and nothing else that it might have written there. */
export function originOf(host: string, port: number): { readonly host: string; readonly port: number } {
  return { host: isIPv4(host) || (isIPv6(host) && !host.includes("%")) ? host : "0.0.0.0", port: port <= port_max ? port : 0 }
}

/** "10.0.0.9:6379", "[fd00::1]:443", "*:8080", "/run/app.sock" */
export function destinationText(destination: Destination): string {
  if ("path" in destination) return destination.path
  const { host, port } = destination
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
}

/** What `destinationText` wrote. */
export function readDestination(text: string): Destination | undefined {
  if (text.startsWith("/")) return parseSocketPath(text)
  const [, v6, name = v6, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? []
  return name === undefined ? undefined : parseListening(name, Number(port))
}

export interface DestinationPattern {
  /** Canonical. */
  readonly text: string
  /** The one destination it covers, where it is one. */
  readonly exact: string | undefined
  covers(destination: Destination): boolean
  /** Whether it may come to one that is covered: what a name stands for, and which address or port a target chooses, is not known here. */
  mayCover(destination: Destination): boolean
}

/** Throws an Error with words for the one who wrote it. */
export function destinationPattern(written: string): DestinationPattern {
  if (written.startsWith("/")) return socketPattern(written)
  const [, v6, v6Bits, name, ports = ""] = /^(?:\[([^\]/]+)(?:\/(\d{1,3}))?\]|([^:[\]\s]+)):([\d*-]+)$/.exec(written) ?? []
  const port = portPattern(ports)
  const host = v6 === undefined ? name && hostPattern(name) : networkPattern(v6, v6Bits)
  if (!port || !host) throw new Error(`expected host:port, such as 10.0.0.9:6379, *.internal:443 or 10.0.0.0/8:*, or the path of a socket`)
  const text = `${host.text.includes(":") ? `[${host.text}]` : host.text}:${port.text}`
  return {
    text,
    exact: host.exact && port.exact ? text : undefined,
    covers: (destination) => !("path" in destination) && port.covers(destination.port) && host.covers(destination.host),
    mayCover: (destination) => {
      if ("path" in destination) return false
      const named = isName(destination.host)
      const unknown = destination.host === "*" || (host.text !== "*" && named !== isName(host.text.replace(/^\*\./, "")))
      return (destination.port === 0 || port.covers(destination.port)) && (unknown || host.covers(destination.host))
    },
  }
}

/** Else it is an address, or a network of them. */
const isName = (host: string): boolean => !isIPv4(host.split("/")[0] ?? "") && !host.includes(":")

const port_max = 65_535

interface Part<T> {
  readonly text: string
  readonly exact: boolean
  covers(value: T): boolean
}

function canonicalHost(host: string): string | undefined {
  // Resolvers read 10.1, 0x0a000001, 010.0.0.1 and 167772161 as addresses too, so what ends in a number must be a plain one.
  if (isIPv4(host)) return host
  if (host.includes(":")) return canonicalIPv6(host)
  const name = host.toLowerCase()
  const labels = name.split(".")
  if (name.length > 253 || !labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label))) return undefined
  return /^(\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? "") ? undefined : name
}

/** Undefined for a zone, which only means something on one machine, and for an IPv4 address in disguise. */
function canonicalIPv6(host: string): string | undefined {
  if (!isIPv6(host) || host.includes("%")) return undefined
  const shortest = new URL(`http://[${host}]`).hostname.slice(1, -1)
  return v4InDisguise.check(shortest, "ipv6") && shortest !== "::1" && shortest !== "::" ? undefined : shortest
}

const v4InDisguise = new BlockList()
v4InDisguise.addSubnet("::ffff:0:0", 96, "ipv6") // mapped (RFC 4291, section 2.5.5.2)
v4InDisguise.addSubnet("::", 96, "ipv6") // compatible (section 2.5.5.1)
v4InDisguise.addSubnet("64:ff9b::", 96, "ipv6") // translated (RFC 6052, section 2.1)

function portPattern(text: string): Part<number> | undefined {
  if (text === "*") return { text, exact: false, covers: () => true }
  const [, first, last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? []
  const [low, high] = [Number(first), Number(last)]
  if (first === undefined || low > high || high > port_max) return undefined
  return { text: low === high ? `${low}` : `${low}-${high}`, exact: low === high, covers: (port) => port >= low && port <= high }
}

function hostPattern(written: string): Part<string> | undefined {
  if (written === "*") return { text: "*", exact: false, covers: () => true }
  const [address = "", bits, ...more] = written.split("/")
  if (bits !== undefined) return more.length === 0 && isIPv4(address) ? networkPattern(address, bits) : undefined
  if (written.startsWith("*.")) {
    const suffix = canonicalHost(written.slice(2))
    if (suffix === undefined || isIPv4(suffix)) return undefined
    return { text: `*.${suffix}`, exact: false, covers: (host) => host.endsWith(`.${suffix}`) }
  }
  const host = canonicalHost(written)
  return host === undefined ? undefined : { text: host, exact: true, covers: (other) => other === host }
}

/** A network holds addresses that are written as addresses; of a name nobody knows yet where it leads. */
function networkPattern(written: string, bits: string | undefined): Part<string> | undefined {
  const address = canonicalHost(written)
  const family = address === undefined ? undefined : isIPv4(address) ? "ipv4" : isIPv6(address) ? "ipv6" : undefined
  if (address === undefined || !family) return undefined
  if (bits === undefined) return { text: address, exact: true, covers: (other) => other === address }
  const length = Number(bits)
  if (!/^\d{1,3}$/.test(bits) || length > (family === "ipv4" ? 32 : 128)) return undefined
  const network = new BlockList()
  network.addSubnet(address, length, family)
  const isOne = family === "ipv4" ? isIPv4 : isIPv6
  return { text: `${address}/${length}`, exact: false, covers: (host) => isOne(host) && network.check(host, family) }
}

function socketPattern(written: string): DestinationPattern {
  if (!parseSocketPath(written)) {
    throw new Error(`the path of a socket has at most ${limits.socket_path_bytes_max} bytes, and no . .. // or / at its end in it`)
  }
  const names = written.split("/").map(namePattern)
  const covers = (destination: Destination): boolean => {
    if (!("path" in destination)) return false
    const parts = destination.path.split("/")
    return parts.length === names.length && names.every((matches, at) => matches(parts[at] ?? ""))
  }
  return { text: written, exact: written.includes("*") ? undefined : written, covers, mayCover: covers }
}

/** Whether a name is the pattern's, in which each `*` is any part of it: time in proportion to both. */
function namePattern(pattern: string): (name: string) => boolean {
  const [first = "", ...rest] = pattern.split("*")
  const last = rest.pop()
  if (last === undefined) return (name) => name === first
  return (name) => {
    if (!name.startsWith(first) || !name.endsWith(last) || name.length < first.length + last.length) return false
    let at = first.length
    for (const part of rest) {
      const found = name.indexOf(part, at)
      if (found < 0) return false
      at = found + part.length
    }
    return at <= name.length - last.length
  }
}
