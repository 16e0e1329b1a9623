// Which addresses count as one when strangers are counted.

/** An IPv4 address, or the 64 bits of an IPv6 network, of which one host has all the addresses. */
export function networkOf(host: string): string {
  if (!host.includes(":")) return host
  const [head = "", tail] = host.replace(/%.*$/, "").split("::")
  const groups = head === "" ? [] : head.split(":")
  const rest = tail === undefined || tail === "" ? 0 : tail.split(":").length
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest
  const all = [...groups, ...Array.from({ length: zeros }, () => "0"), ...(tail ? tail.split(":") : [])]
  return all
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(":")
}
