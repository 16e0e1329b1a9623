// An approval service whose people log in at a real provider, and browsers to do it with.
import assert from "node:assert/strict"
import { createHash, randomBytes } from "node:crypto"
import type { TestContext } from "node:test"
import type { OidcConfig, User } from "../../../src/config/config.ts"
import { Secret } from "../../../src/core/secret.ts"
import { Browser, type Visit } from "../../support/browser.ts"
import { FakeClock } from "../../support/fake_clock.ts"
import { scratch } from "../../support/scratch.ts"
import { giveBack, newStore } from "../../support/store.ts"
import { type Account, type OidcProvider, oidcClient, startOidcProvider } from "../../support/oidc_provider.ts"
import { hour, type Service, startService, testConfig } from "./service.ts"

export const olga: Account = {
  sub: "sub-olga",
  claims: { email: "olga@corp.example", email_verified: true, preferred_username: "olga", groups: ["engineers", "oncall"] },
}
export const pavel: Account = { sub: "sub-pavel", claims: { email: "pavel@corp.example", groups: ["oncall"] } }

export function oidcConfig(issuer: string, change: Partial<OidcConfig> = {}): OidcConfig {
  return {
    issuer,
    client_id: oidcClient.client_id,
    client_secret: new Secret(oidcClient.client_secret),
    groups_claim: "groups",
    name_claim: "email",
    scopes: ["openid", "profile", "email"],
    login_for_ms: 12 * hour,
    ca: undefined,
    ...change,
  }
}

export interface Company {
  readonly service: Service
  readonly provider: OidcProvider
  readonly clock: FakeClock
  browser(): Browser
  /** Signs somebody in; where they end. */
  signIn(browser: Browser, account: Account, path?: string): Promise<Visit>
}

export interface CompanyOptions {
  readonly claimsInUserInfo?: boolean
  readonly oidc?: Partial<OidcConfig>
  readonly users?: readonly User[]
}

/** The clock stands at the present, as the provider's does. */
export async function startCompany(t: TestContext, options: CompanyOptions = {}): Promise<Company> {
  const provider = await startOidcProvider(options)
  t.after(() => provider.stop())
  const clock = new FakeClock(Date.now())
  const { approvals, identity } = testConfig(scratch("company"))
  const store = await newStore()
  const change = {
    approvals: { ...approvals, store, public_url: "http://127.0.0.1:0" },
    identity: { ...identity, users: options.users ?? identity.users, oidc: oidcConfig(provider.issuer, options.oidc) },
  }
  const service = await startService(t, change, clock)
  t.after(() => giveBack(store)) // after the service has ended, which was said first
  await provider.serve(`${service.url}/sign-in/callback`)
  const browsers: Browser[] = []
  t.after(() => Promise.all(browsers.map((browser) => browser.close())))
  return {
    service,
    provider,
    clock,
    browser() {
      const browser = new Browser()
      browsers.push(browser)
      return browser
    },
    signIn(browser, account, path = "/device") {
      provider.account = account
      return browser.get(`${service.url}/sign-in?return=${encodeURIComponent(path)}`)
    },
  }
}

/** What a program keeps while its person is in the browser. */
export function pkce(): { readonly verifier: string; readonly challenge: string } {
  const verifier = randomBytes(32).toString("base64url")
  return { verifier, challenge: createHash("sha256").update(verifier).digest("base64url") }
}

export interface Tokens {
  readonly access_token: string
  readonly refresh_token: string
  readonly expires_in: number
  readonly login_expires_at: number
}

export interface OAuthReply {
  readonly status: number
  readonly body: Tokens & { readonly error: string; readonly error_description: string } & {
    readonly device_code: string
    readonly user_code: string
    readonly interval: number
    readonly verification_uri: string
    readonly verification_uri_complete: string
  }
}

/** A call of an OAuth endpoint. */
export async function oauth(service: Service, path: string, form: Readonly<Record<string, string>>): Promise<OAuthReply> {
  const response = await fetch(service.url + path, { method: "POST", body: new URLSearchParams({ client_id: "sluice-cli", ...form }) })
  return { status: response.status, body: (await response.json()) as OAuthReply["body"] }
}

export const redirect_uri = "http://127.0.0.1:52001/"

export function authorizeUrl(service: Service, challenge: string, change: Readonly<Record<string, string>> = {}): string {
  const asked = {
    response_type: "code",
    client_id: "sluice-cli",
    redirect_uri,
    code_challenge: challenge,
    code_challenge_method: "S256",
    state: "the program's state",
  }
  return `${service.url}/oauth/authorize?${new URLSearchParams({ ...asked, ...change }).toString()}`
}

/** The whole of it: what `sluice login` gets when somebody says yes. */
export async function logInProgram({ service, signIn }: Company, browser: Browser, account: Account): Promise<Tokens> {
  await signIn(browser, account)
  const { verifier, challenge } = pkce()
  const page = await browser.get(authorizeUrl(service, challenge))
  const { url } = await browser.submit(page, { decision: "allow" }, { until: /^http:\/\/127\.0\.0\.1:52001\// })
  const code = url.searchParams.get("code")
  assert(code)
  const { status, body } = await oauth(service, "/oauth/token", {
    grant_type: "authorization_code",
    code,
    redirect_uri,
    code_verifier: verifier,
  })
  assert.equal(status, 200)
  return body
}

/** A call of the API with a token. */
export async function apiAs(
  service: Service,
  token: string,
  line: string,
  body?: unknown,
): Promise<{ status: number; body: Record<string, unknown> }> {
  const [method = "GET", path = "/"] = line.split(" ")
  const response = await fetch(service.url + path, {
    method,
    headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}
