// The routes about logins and people: each as one call.
import { GatewayError } from "../../core/errors.ts"
import type { TokenIssuer } from "../../identity/tokens.ts"
import type { Disabling } from "../people/disabling.ts"
import type { GatewayRoutes } from "../gateways/gateway_routes.ts"
import { byPerson } from "../journal.ts"
import type { LoginParts } from "./login_parts.ts"
import type { Logins } from "./logins.ts"
import type { People } from "../people/people.ts"
import type { PersonRoutes } from "../person_routes.ts"

export interface LoginRoutesOptions {
  readonly people: People
  readonly logins: Logins
  readonly disabling: Disabling
  readonly issuer: TokenIssuer
  readonly parts: Pick<LoginParts, "signIn" | "gatewayLogin">
}

export type LoginPersonRoutes = Pick<PersonRoutes, "whoami" | "logout" | "mint" | "people" | "disable" | "enable">

export function loginPersonRoutes({ logins, disabling, issuer }: LoginRoutesOptions): LoginPersonRoutes {
  return {
    whoami: async ({ caller: { person, login: id } }) => {
      const login = id === null ? undefined : await logins.live(id)
      const { name: subject, groups, admin, auditor } = person
      const about = login && { id: login.id, kind: login.kind, via: login.via, auth_time: login.auth_time, expires_at: login.expires_at }
      return { subject, groups: [...groups], admin, auditor, login: about ?? null }
    },
    logout: async ({ caller }) => {
      if (caller.login === null) throw new GatewayError("invalid", { what: "there is no login behind this call that could end" })
      await logins.end(caller.login, { actor: byPerson(caller), why: "logged out" })
      return {}
    },
    mint: async ({ caller, body: { target } }) => {
      const login = caller.login === null ? undefined : await logins.live(caller.login)
      // A token fetched with an SSH key is for the API alone: the key itself fetches the others.
      if (!login) throw new GatewayError("forbidden")
      const use = target === undefined ? { use: "targets" as const } : { use: "target" as const, target }
      return issuer.issue({ subject: login.subject, via: login.via, login, ...use })
    },
    people: async ({ caller, query }) => {
      const { items, next } = await disabling.list(caller, query)
      return { people: [...items], next }
    },
    disable: ({ caller, body: { subject, reason } }) => disabling.disable(caller, subject, reason),
    enable: ({ caller, body: { subject, reason } }) => disabling.enable(caller, subject, reason),
  }
}

export type LoginGatewayRoutes = Pick<GatewayRoutes, "person" | "login" | "link" | "redeem" | "leave">

export function loginGatewayRoutes({ people, logins, parts: { signIn, gatewayLogin } }: LoginRoutesOptions): LoginGatewayRoutes {
  return {
    person: async ({ query: { subject } }) => found(await people.standing(subject)),
    login: async ({ query: { id } }) => found(await logins.standing(id)),
    link: async ({ body: { subject, via } }) => {
      if (!(await people.find(subject))) throw new GatewayError("not_found")
      return signIn.linkFor(subject, via)
    },
    redeem: ({ body }) => gatewayLogin.redeem(body),
    leave: async ({ body: { login }, from }) => {
      await gatewayLogin.leave(login, from)
      return {}
    },
  }
}

function found<T>(thing: T | undefined): T {
  if (thing === undefined) throw new GatewayError("not_found")
  return thing
}
