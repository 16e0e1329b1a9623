// A real OpenID Connect provider (oidc-provider) on loopback, whose people need no password: the account that the test names is
// the one who logs in.
import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { generateKeyPair, exportJWK } from "jose"
import { Provider, type Configuration, type KoaContextWithOIDC } from "oidc-provider"

export interface Account {
  readonly sub: string
  readonly claims: Readonly<Record<string, unknown>>
}

export interface OidcProvider {
  readonly issuer: string
  /** Who logs in next; undefined: they press "cancel". */
  account: Account | undefined
  /** The class the login is said to be of. */
  acr: string | undefined
  /** Whether it answers at all. */
  away: boolean
  /** Makes it known where the client lives; a new key each time. */
  serve(redirect_uri: string): Promise<void>
  /** Tells the client that the account has logged out, as it would when they do. Rejects when the client does not take it. */
  sayLoggedOut(sub: string): Promise<void>
  /** The form in which it said so last. */
  said: string
  stop(): Promise<void>
}

export const oidcClient = { client_id: "sluice", client_secret: "the client secret of the tests" } as const

export async function startOidcProvider(options: { readonly claimsInUserInfo?: boolean } = {}): Promise<OidcProvider> {
  let handle: ((request: IncomingMessage, response: ServerResponse) => unknown) | undefined
  const server = createServer((request, response) => {
    if (!handle || made.away) return void response.destroy()
    void handle(request, response)
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  let serving: Provider | undefined
  const made: OidcProvider = {
    issuer,
    account: undefined,
    acr: undefined,
    away: false,
    said: "",
    async serve(redirect_uri) {
      const provider = new Provider(issuer, await configuration(made, redirect_uri, options.claimsInUserInfo ?? false))
      const serve = provider.callback()
      serving = provider
      handle = (request, response) =>
        request.url?.startsWith("/interaction/") ? interact(provider, made, request, response) : serve(request, response)
    },
    async sayLoggedOut(sub) {
      // The types leave it out.
      const client = (await serving?.Client.find(oidcClient.client_id)) as {
        backchannelLogout?: (sub: string, sid: string) => Promise<void>
      }
      await client.backchannelLogout?.(sub, "a session of theirs")
    },
    async stop() {
      server.close()
      server.closeAllConnections()
      await once(server, "close")
    },
  }
  return made
}

async function configuration(made: OidcProvider, redirect_uri: string, claimsInUserInfo: boolean): Promise<Configuration> {
  const { privateKey } = await generateKeyPair("RS256", { extractable: true })
  const known = new Map<string, Account>()
  return {
    clients: [
      {
        ...oidcClient,
        redirect_uris: [redirect_uri],
        response_types: ["code"],
        grant_types: ["authorization_code"],
        application_type: "web",
        require_auth_time: true,
        backchannel_logout_uri: new URL("/sign-in/back-channel-logout", redirect_uri).href,
      },
    ],
    jwks: { keys: [{ ...(await exportJWK(privateKey)), alg: "RS256", use: "sig" }] },
    cookies: { keys: ["a key of the tests"] },
    scopes: ["openid", "profile", "email", "groups"],
    claims: {
      openid: ["sub"],
      email: ["email", "email_verified"],
      profile: ["preferred_username", "groups"],
      acr: null,
      auth_time: null,
      iss: null,
    },
    acrValues: ["urn:mfa"],
    conformIdTokenClaims: claimsInUserInfo,
    ttl: { Interaction: 600, Grant: 600, Session: 600, AccessToken: 600, IdToken: 600 },
    // Its own does not go to loopback.
    fetch(url, options = {}) {
      made.said = options.body instanceof URLSearchParams ? options.body.toString() : ""
      return fetch(url, { method: "POST", headers: options.headers ?? {}, body: made.said })
    },
    pkce: { required: () => true },
    features: { devInteractions: { enabled: false }, backchannelLogout: { enabled: true }, claimsParameter: { enabled: true } },
    interactions: { url: (_context: KoaContextWithOIDC, { uid }: { uid: string }) => `/interaction/${uid}` },
    findAccount: (_context: KoaContextWithOIDC, sub: string) => {
      if (made.account?.sub === sub) known.set(sub, made.account)
      const account = known.get(sub)
      return { accountId: sub, claims: async () => ({ sub, ...account?.claims }) }
    },
    async loadExistingGrant({ oidc: { client, session, provider, params } }: KoaContextWithOIDC) {
      const before = session?.grantIdFor(client?.clientId ?? "")
      if (before !== undefined) return provider.Grant.find(before)
      const grant = new provider.Grant({ clientId: client?.clientId ?? "", accountId: session?.accountId ?? "" })
      grant.addOIDCScope(typeof params?.["scope"] === "string" ? params["scope"] : "openid")
      await grant.save()
      return grant
    },
  }
}

async function interact(provider: Provider, made: OidcProvider, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { account, acr } = made
  const result = account
    ? { login: { accountId: account.sub, ...(acr === undefined ? {} : { acr }), ts: Math.floor(Date.now() / 1000) } }
    : { error: "access_denied", error_description: "the person pressed cancel" }
  await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false })
}
