// The routes that gateways use, but the feed, which is a stream of its own.
import type { RouteName, Shapes } from "../api/routes.ts"
import type { Config } from "../config/config.ts"
import { GatewayError } from "../core/errors.ts"
import type { TokenIssuer } from "../identity/tokens.ts"
import type { Log } from "../observe/log.ts"
import type { GrantUses } from "./grant_uses.ts"
import type { Grants } from "./grants.ts"
import type { Sessions } from "./sessions.ts"
import type { Input } from "./wire.ts"

export interface GatewayDomain {
  readonly config: Config
  readonly grants: Grants
  readonly uses: GrantUses
  readonly sessions: Sessions
  readonly issuer: TokenIssuer
  readonly log: Log
}

export type GatewayRoute = "token" | "lookup" | "begin" | "use" | "report"

export interface GatewayCall<Name extends RouteName> extends Input<Name> {
  /** The network address of the gateway. */
  readonly from: string
}

export type GatewayRoutes = { readonly [Name in GatewayRoute]: (call: GatewayCall<Name>) => Promise<Shapes[Name]["answer"]> }

export function gatewayRoutes({ config, grants, uses, sessions, issuer, log }: GatewayDomain): GatewayRoutes {
  return {
    token: async ({ body: { subject, use, target, via }, from }) => {
      if (!config.identity.users.some(({ name }) => name === subject)) throw new GatewayError("not_found")
      if ((use === "target") !== (target !== undefined))
        throw new GatewayError("invalid", { what: 'a target goes with use "target", and only with that' })
      const issued = await issuer.issue({ subject, via, use, ...(target === undefined ? {} : { target }) })
      log.info({ subject, use, target, via, from }, "token issued")
      return issued
    },
    lookup: ({ query: { subject, target } }) => grants.lookup(subject, target),
    begin: ({ params, body: { gateway }, from }) => uses.begin(params.id, { gateway, from }),
    use: ({ params, body: { gateway, session, action }, from }) => uses.use(params.id, { gateway, from, session, action }),
    report: async ({ body, from }) => {
      await sessions.report(body, from)
      return {}
    },
  }
}
