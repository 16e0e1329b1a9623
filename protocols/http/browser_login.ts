// A browser without a token is sent to log in and comes back with a code, which becomes a cookie for this target alone. It answers what
// lies under `/.sluice/` on each target's name; whether somebody may use the target is asked later, as of everybody.
import { createHash, randomBytes, timingSafeEqual } from "node:crypto"
import type { ServerResponse } from "node:http"
import { GatewayError } from "../../src/core/errors.ts"
import { limits } from "../../src/core/limits.ts"
import { Secret } from "../../src/core/secret.ts"
import type { Gate, Host } from "../../src/gateway/contract.ts"
import type { RequestLine } from "./codec.ts"
import { loginCookie, loginCookieName, type OwnCookies, tokenCookie } from "./cookies.ts"
import { headerOf, type RequestHeaders } from "./headers.ts"

export interface Visit {
  readonly response: ServerResponse
  readonly gate: Gate
  readonly line: RequestLine
  readonly headers: RequestHeaders
  readonly cookies: OwnCookies
  readonly target: string
}

const own_path = /^\/\.sluice(\/|$)/

export const isOwnPath = ({ path }: RequestLine): boolean => own_path.test(path)

/** Whether to send a client to log in: somebody who looks at pages. A script is told 401. */
export const isBrowsing = ({ line, headers }: Pick<Visit, "line" | "headers">): boolean =>
  line.method === "GET" && headers.upgrade === undefined && headers.accept !== undefined && /\btext\/html\b/i.test(headers.accept)

/**
 * Whether a request that a browser sent by itself may act for its person: a page of another origin, a sibling target's too, can make
 * a browser send a form or open a WebSocket, with the cookie.
 */
export function isFromHere({ line, headers }: Pick<Visit, "line" | "headers">): boolean {
  if ((line.method === "GET" || line.method === "HEAD") && headers.upgrade === undefined) return true
  const origin = headerOf(headers, "origin")
  return origin === undefined ? headerOf(headers, "sec-fetch-site") === "same-origin" : origin === `https://${headers.host}`
}

/**
 * The same for who is known by a TLS certificate, which browsers show whatever page sends them. Programs, which have no page, say
 * nothing of where a request comes from.
 */
export function isFromElsewhere(visit: Pick<Visit, "line" | "headers">): boolean {
  const { headers } = visit
  if (isFromHere(visit)) return false
  const site = headerOf(headers, "sec-fetch-site")
  return headerOf(headers, "origin") !== undefined || (site !== undefined && site !== "none")
}

export class BrowserLogin {
  readonly #host: Host

  constructor(host: Host) {
    this.#host = host
  }

  /** Off to the service, to come back to what was asked for. */
  begin({ response, line, headers, cookies }: Visit): void {
    const state = randomBytes(32).toString("base64url")
    const back = line.url.length <= limits.http_return_chars_max ? line.url : "/"
    const max_age_s = limits.login_flow_ms / 1000
    const set = [loginCookie(loginCookieName(digest(state)), `${state}.${Buffer.from(back).toString("base64url")}`, max_age_s)]
    // Logins that were begun and left would grow the header until it is too large.
    if (cookies.logins.size >= limits.http_logins_max) set.unshift(...[...cookies.logins.keys()].map((name) => loginCookie(name, "", 0)))
    const query = new URLSearchParams({ host: headers.host.toLowerCase(), state: digest(state) })
    redirect(response, { to: `${this.#host.service.url}/gateway-login?${query.toString()}`, cookies: set })
  }

  /** Off to the service's page to ask for this target, to come back to what was asked for once it is approved. */
  ask({ response, line, headers, target }: Visit): void {
    const path = line.url.length <= limits.http_return_chars_max ? line.url : "/"
    const query = new URLSearchParams({ target, return: `https://${headers.host.toLowerCase()}${path}` })
    redirect(response, { to: `${this.#host.service.url}/ask?${query.toString()}`, cookies: [] })
  }

  /** What lies under `/.sluice/`. Throws `login_failed`, `not_found`, `forbidden`. */
  async answer(visit: Visit): Promise<void> {
    if (visit.line.path === "/.sluice/callback" && visit.line.method === "GET") return this.#callback(visit)
    if (visit.line.path === "/.sluice/logout" && (visit.line.method === "GET" || visit.line.method === "POST")) return this.#logout(visit)
    throw new GatewayError("not_found")
  }

  async #callback({ response, gate, line, headers, cookies }: Visit): Promise<void> {
    const query = new URLSearchParams(line.url.slice(line.path.length + 1))
    const [code, state] = [query.get("code") ?? "", query.get("state") ?? ""]
    const name = loginCookieName(state)
    const [begun = "", back = ""] = (cookies.logins.get(name) ?? "").split(".")
    // The code is good for the browser that began alone: somebody else's would log this one in as them.
    if (begun === "" || !same(digest(begun), state))
      throw new GatewayError("login_failed", { what: "this login was begun in another browser, or too long ago; open the page again" })
    const { token, expires_at } = await this.#host.service.redeem({ code, host: headers.host.toLowerCase(), state })
    const left_s = Math.max(0, Math.floor((expires_at - gate.clock.now()) / 1000))
    redirect(response, { to: returnPath(back), cookies: [tokenCookie(token, left_s), loginCookie(name, "", 0)] })
  }

  /** Ends the login everywhere, unless another site asks for it. */
  async #logout({ response, gate, headers, cookies, target }: Visit): Promise<void> {
    const site = headerOf(headers, "sec-fetch-site")
    if (site !== undefined && site !== "same-origin" && site !== "none") throw new GatewayError("forbidden")
    const { token } = cookies
    const credential = token === undefined ? undefined : ({ kind: "cookie", token: new Secret(token), target } as const)
    const identity = credential && (await gate.identify(credential).catch(() => undefined))
    if (identity?.login !== undefined) await this.#host.service.leave(identity.login)
    redirect(response, { to: `${this.#host.service.url}/signed-out`, cookies: [tokenCookie("", 0)] })
  }
}

function redirect(response: ServerResponse, { to, cookies }: { readonly to: string; readonly cookies: readonly string[] }): void {
  response.writeHead(303, {
    Location: to,
    "Set-Cookie": [...cookies],
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Length": "0",
  })
  response.end()
}

/** A path on this very host, whatever a cookie says. */
function returnPath(encoded: string): string {
  const path = Buffer.from(encoded, "base64url").toString("latin1")
  return /^\/(?![/\\])[!-[\]-~]*$/.test(path) && !own_path.test(path) ? path : "/"
}

const digest = (text: string): string => createHash("sha256").update(text).digest("base64url")
const same = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
