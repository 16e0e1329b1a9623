// Where a login name leads: `login@target` or `login%target` to a target, anything else to the gateway itself.

export type Route = { readonly to: "target"; readonly login: string; readonly target: string } | { readonly to: "gateway" }

/** Split at the last sign, so that a login may have one in it: `ana@corp.example@prod-host`. */
export function routeOf(user: string): Route {
  const at = Math.max(user.lastIndexOf("@"), user.lastIndexOf("%"))
  return at < 0 ? { to: "gateway" } : { to: "target", login: user.slice(0, at), target: user.slice(at + 1) }
}
