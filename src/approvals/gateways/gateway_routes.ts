// The routes that gateways use, but the feed, which is a stream of its own.
import type { RouteName, Shapes } from "../../api/routes.ts"
import { GatewayError } from "../../core/errors.ts"
import type { TokenIssuer } from "../../identity/tokens.ts"
import type { Log } from "../../observe/log.ts"
import type { AskingRoutes } from "../requests/asking_routes.ts"
import type { Gateways } from "./gateways.ts"
import type { GrantUses } from "../grants/grant_uses.ts"
import type { Grants } from "../grants/grants.ts"
import type { Estimates } from "../requests/estimates.ts"
import type { Holds } from "../requests/holds.ts"
import type { LoginGatewayRoutes } from "../login/login_routes.ts"
import type { Logins } from "../login/logins.ts"
import type { People } from "../people/people.ts"
import type { Sessions } from "../grants/sessions.ts"
import type { TargetCertificates } from "../authorities/target_certificates.ts"
import type { Input } from "../wire.ts"

export interface GatewayDomain {
  readonly people: People
  readonly logins: Logins
  readonly loginRoutes: LoginGatewayRoutes
  readonly asking: AskingRoutes
  readonly grants: Grants
  readonly uses: GrantUses
  readonly targetCertificates: TargetCertificates
  readonly holds: Holds
  readonly estimates: Estimates
  readonly sessions: Sessions
  readonly gateways: Gateways
  readonly issuer: TokenIssuer
  readonly log: Log
}

export type GatewayRoute =
  | "token"
  | "lookup"
  | "begin"
  | "use"
  | "certify"
  | "hold"
  | "redeemHold"
  | "withdrawHold"
  | "estimated"
  | "person"
  | "login"
  | "link"
  | "redeem"
  | "leave"
  | "report"
  | "offer"
  | "ask_here"
  | "leave_here"
  | "presence"

export interface GatewayCall<Name extends RouteName> extends Input<Name> {
  /** The network address of the gateway. */
  readonly from: string
}

export type GatewayRoutes = { readonly [Name in GatewayRoute]: (call: GatewayCall<Name>) => Promise<Shapes[Name]["answer"]> }

export function gatewayRoutes({
  people,
  logins,
  loginRoutes,
  asking,
  grants,
  uses,
  targetCertificates,
  holds,
  estimates,
  sessions,
  gateways,
  issuer,
  log,
}: GatewayDomain): GatewayRoutes {
  return {
    token: async ({ body: { subject, use, target, via, login: id }, from }) => {
      if (!(await people.find(subject))) throw new GatewayError("not_found")
      if ((use === "target") !== (target !== undefined))
        throw new GatewayError("invalid", { what: 'a target goes with use "target", and only with that' })
      const login = id === undefined ? undefined : await logins.live(id)
      if (id !== undefined && login?.subject !== subject) throw new GatewayError("login_over")
      const issued = await issuer.issue({ subject, via, use, login, ...(target === undefined ? {} : { target }) })
      log.info({ subject, use, target, via, from }, "token issued")
      return issued
    },
    lookup: ({ query: { subject, target } }) => grants.lookup(subject, target),
    begin: ({ params, body: { gateway }, from }) => uses.begin(params.id, { gateway, from }),
    use: ({ params, body: { gateway, session, action }, from }) => uses.use(params.id, { gateway, from, session, action }),
    certify: ({ params, body, from }) => targetCertificates.issue(params.id, { ...body, from }),
    hold: ({ body, from }) => holds.ask(body, { gateway: body.gateway, from }),
    redeemHold: ({ params, body, from }) => holds.redeem(params.id, { ...body, from }),
    estimated: async ({ params, body, from }) => {
      await estimates.answer(params.id, { ...body, from })
      return {}
    },
    withdrawHold: ({ params, body, from }) => holds.withdraw(params.id, { ...body, from }),
    ...loginRoutes,
    presence: ({ body, from }) => gateways.hear(body, from),
    ...asking,
    report: async ({ body, from }) => {
      await sessions.report(body, from)
      return {}
    },
  }
}
