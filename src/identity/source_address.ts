// The critical option `source-address` of an SSH certificate: addresses and networks in CIDR form with commas between them
// (ssh-keygen(1)). What cannot be read matches nobody.
import { BlockList, isIP } from "node:net"

/** `from`: the client's address and port, such as "203.0.113.7:52044" or "[2001:db8::1]:52044". */
export function comesFrom(from: string, list: string): boolean {
  const host = from.slice(0, from.lastIndexOf(":")).replace(/^\[|\]$/g, "")
  const family = isIP(host)
  if (family === 0) return false
  const allowed = new BlockList()
  for (const entry of list.split(",")) {
    const [, address = "", prefix] = /^([0-9a-fA-F.:]+)(?:\/(\d{1,3}))?$/.exec(entry) ?? []
    const version = isIP(address)
    const bits = version === 4 ? 32 : 128
    if (version === 0 || Number(prefix ?? bits) > bits) return false
    allowed.addSubnet(address, Number(prefix ?? bits), version === 4 ? "ipv4" : "ipv6")
  }
  return allowed.check(host, family === 4 ? "ipv4" : "ipv6")
}
