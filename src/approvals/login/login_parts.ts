// The parts that logging in is made of, put together: how people sign in, how programs get their logins, and what gateways ask.
import type { CurrentConfig } from "../../config/current_config.ts"
import { Kept } from "../../config/kept.ts"
import type { Clock } from "../../core/clock.ts"
import type { Secret } from "../../core/secret.ts"
import { createCompanyLogin } from "../../identity/oidc.ts"
import type { TokenIssuer } from "../../identity/tokens.ts"
import type { Log } from "../../observe/log.ts"
import type { Callers } from "../callers.ts"
import { Codes } from "./codes.ts"
import { Devices } from "./devices.ts"
import { GatewayLogin } from "./gateway_login.ts"
import { LoginFlows } from "./login_flow.ts"
import type { Logins } from "./logins.ts"
import { OAuth } from "./oauth.ts"
import type { PageSet } from "../pages/page_calls.ts"
import type { People } from "../people/people.ts"
import { ProviderLogout } from "./provider_logout.ts"
import type { PublicPlace } from "../public_place.ts"
import { SignIn } from "./sign_in.ts"
import type { Store } from "../store.ts"
import { TargetHosts } from "./target_host.ts"
import { WebSessions } from "./web_session.ts"

export interface LoginPartsOptions {
  readonly current: CurrentConfig
  readonly store: Store
  readonly people: People
  readonly logins: Logins
  readonly callers: Callers
  readonly issuer: TokenIssuer
  /** What gateways show: each service of one store has it. */
  readonly gatewayKey: Secret
  readonly place: PublicPlace
  readonly clock: Clock
  readonly log: Log
}

export interface LoginParts {
  readonly sessions: WebSessions
  readonly signIn: SignIn
  readonly oauth: OAuth
  readonly devices: Devices
  readonly providerLogout: ProviderLogout
  readonly gatewayLogin: GatewayLogin
  readonly hosts: TargetHosts
  readonly pages: PageSet
  close(): Promise<void>
}

export function loginParts(options: LoginPartsOptions): LoginParts {
  const { current, gatewayKey, place, clock } = options
  const company = new Kept({
    current,
    part: ({ identity }) => identity.oidc,
    make: (oidc) => oidc && createCompanyLogin({ config: oidc, clock }),
  })
  const sessions = new WebSessions(options)
  const codes = new Codes(clock)
  const parts = { ...options, sessions, codes }
  const signIn = new SignIn({ ...parts, company: () => company.now, flows: new LoginFlows({ secret: gatewayKey, place, clock }) })
  const providerLogout = new ProviderLogout({ ...parts, company: () => company.now })
  const devices = new Devices(parts)
  const oauth = new OAuth({ ...parts, devices })
  const gatewayLogin = new GatewayLogin(parts)
  const pages: PageSet = {
    reads: {
      "/sign-in": signIn.begin,
      "/sign-in/callback": signIn.callback,
      "/sign-in/link": signIn.showLink,
      "/signed-out": signIn.signedOut,
      "/oauth/authorize": oauth.authorize,
      "/device": devices.show,
      "/gateway-login": gatewayLogin.begin,
    },
    forms: {
      "/sign-in/link": signIn.takeLink,
      "/sign-out": signIn.signOut,
      "/oauth/authorize": oauth.decide,
      "/device": devices.decide,
    },
  }
  const hosts = new TargetHosts(options)
  return { sessions, signIn, oauth, devices, providerLogout, gatewayLogin, hosts, pages, close: () => company.close() }
}
