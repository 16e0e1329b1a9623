// A browser's login at an HTTP target: the gateway sends the browser here, we send it back with a code that is good once, for that
// host and for the browser that began, and the gateway exchanges it for a token of that target alone.
import { timingSafeEqual } from "node:crypto"
import { z } from "zod"
import type { TokenAnswer } from "../../api/schema.ts"
import type { CurrentConfig } from "../../config/current_config.ts"
import { GatewayError } from "../../core/errors.ts"
import { isLoginId, type LoginId } from "../../core/ids.ts"
import { limits } from "../../core/limits.ts"
import type { TokenIssuer } from "../../identity/tokens.ts"
import type { CodeKind, Codes } from "./codes.ts"
import type { Logins } from "./logins.ts"
import type { PageAnswer, PageCall } from "../pages/page_calls.ts"
import type { PublicPlace } from "../public_place.ts"
import type { Store } from "../store.ts"
import { TargetHosts } from "./target_host.ts"
import type { WebSessions } from "./web_session.ts"

export interface GatewayLoginOptions {
  readonly current: CurrentConfig
  readonly store: Store
  readonly logins: Logins
  readonly sessions: WebSessions
  readonly codes: Codes
  readonly issuer: TokenIssuer
  readonly place: PublicPlace
}

const visit: CodeKind<{ login: string; host: string; state: string }> = {
  name: "visit",
  life_ms: limits.authorization_code_ms,
  detail: z.object({ login: z.string(), host: z.string(), state: z.string() }),
}

export class GatewayLogin {
  readonly #options: GatewayLoginOptions
  readonly #hosts: TargetHosts

  constructor(options: GatewayLoginOptions) {
    this.#options = options
    this.#hosts = new TargetHosts(options)
  }

  /** `host`: the target's, with its port; `state`: the digest of what the gateway gave the browser. */
  begin = async ({ query, message }: PageCall): Promise<PageAnswer> => {
    const { store, sessions, codes } = this.#options
    const host = query.get("host") ?? ""
    const state = query.get("state") ?? ""
    if (this.#hosts.targetAt(host) === undefined) throw new GatewayError("invalid", { what: "this is no application behind this gateway" })
    if (!/^[A-Za-z0-9_-]{43}$/.test(state)) throw new GatewayError("invalid")
    const { login } = await sessions.visitor(message)
    const code = await store.change((change) => codes.make(change, visit, { login: login.id, host, state }))
    return { to: `https://${host}/.sluice/callback?code=${code}&state=${state}` }
  }

  /** For a gateway. Throws `login_failed`. */
  async redeem({ code, host, state }: { readonly code: string; readonly host: string; readonly state: string }): Promise<TokenAnswer> {
    const { store, logins, codes, issuer } = this.#options
    const found = await store.change((change) => codes.take(change, visit, code))
    const target = this.#hosts.targetAt(host)
    const sound = found !== undefined && target !== undefined && found.host === host && same(found.state, state)
    const login = sound && isLoginId(found.login) ? await logins.live(found.login) : undefined
    if (!login || target === undefined) throw new GatewayError("login_failed")
    return issuer.issue({ subject: login.subject, via: login.via, use: "cookie", target, login })
  }

  /** For a gateway whose user said goodbye there. */
  async leave(id: LoginId, from: string): Promise<void> {
    const login = await this.#options.logins.live(id)
    if (login) await this.#options.logins.end(id, { actor: { actor: "person", by: login.subject, from }, why: "signed out at a target" })
  }
}

const same = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
