// What the company's provider sends when somebody has logged out there (OpenID Connect Back-Channel Logout 1.0): their logins here end,
// with every token and cookie made from them. What is open lives by its grant, as after any other end of a login.
import type { Clock } from "../../core/clock.ts"
import { GatewayError } from "../../core/errors.ts"
import { limits } from "../../core/limits.ts"
import type { CompanyLogin } from "../../identity/oidc.ts"
import type { Log } from "../../observe/log.ts"
import { byService } from "../journal.ts"
import { endLogin } from "./logins.ts"
import { OAuthError } from "./oauth_error.ts"
import type { Store } from "../store.ts"

export interface ProviderLogoutOptions {
  readonly store: Store
  /** Undefined: people have SSH keys alone. */
  readonly company: () => CompanyLogin | undefined
  readonly clock: Clock
  readonly log: Log
}

export class ProviderLogout {
  readonly #options: ProviderLogoutOptions

  constructor(options: ProviderLogoutOptions) {
    this.#options = options
  }

  /** Throws `not_found`, `provider_away`, and an OAuthError when it is not the provider's word (section 2.8). */
  async take(form: URLSearchParams, from: string): Promise<void> {
    const { store, company: companyNow, clock, log } = this.#options
    const company = companyNow()
    if (!company) throw new GatewayError("not_found")
    const { iss, sub, at } = await company.loggedOut(form.get("logout_token") ?? "").catch((failure: unknown) => {
      if (!(failure instanceof GatewayError) || failure.code !== "login_failed") throw failure
      log.warn({ err: failure, from }, "a logout was refused")
      throw new OAuthError("invalid_request", "this is no logout token of the provider, for this client, of now")
    })
    const ended = await store.change(async (change) => {
      const now = clock.now()
      const person = await change.personOf(iss, sub)
      const logins = person ? await change.liveLogins(person.subject, now) : []
      // Said again later, or by somebody who has read it on its way, it ends nothing that began after it.
      const meant = logins.filter((login) => login.sub === sub && login.created_at <= at + limits.oidc_clock_skew_ms_max)
      for (const login of meant) await endLogin(change, login, { actor: { ...byService, from }, why: "logged out at the provider", now })
      return { subject: person?.subject, count: meant.length }
    })
    log.info({ ...ended, from }, "somebody has logged out at the provider")
  }
}
