// Which target a Host header means. It only reads the name: whether the target exists is nobody's business before the grant check.

export type Route =
  /** `<target>.<domain>` */
  | { readonly to: "target"; readonly target: string }
  /** The gateway itself, where its public keys are. */
  | { readonly to: "gateway" }
  /** A host that is not served here. */
  | { readonly to: "elsewhere" }

export type Router = (host: string) => Route

/** RFC 9110, section 7.2: a host and perhaps a port, which says nothing about the target. */
const authority = /^([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i

export function createRouter({ name, domain }: { readonly name: string; readonly domain: string }): Router {
  const suffix = `.${domain.toLowerCase()}`
  const own = new Set([name.toLowerCase(), domain.toLowerCase()])
  return (header) => {
    const host = authority.exec(header)?.[1]?.toLowerCase().replace(/\.$/, "")
    if (host === undefined) return { to: "elsewhere" }
    if (own.has(host)) return { to: "gateway" }
    if (!host.endsWith(suffix)) return { to: "elsewhere" }
    const target = host.slice(0, -suffix.length)
    return target.includes(".") || target === "" ? { to: "elsewhere" } : { to: "target", target }
  }
}
