// The command line as an OAuth client of the approval service: the code flow over a loopback port (RFC 8252) and the device flow
// (RFC 8628). It gets tokens; keeping them is another's.
import { createHash, randomBytes } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { Agent, request } from "undici"
import { z } from "zod"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import { Failure } from "./failure.ts"
import type { Service } from "./service.ts"

const client_id = "sluice-cli"

const tokens = z.object({ access_token: z.string(), expires_in: z.number(), refresh_token: z.string(), login_expires_at: z.number() })
export type Tokens = z.output<typeof tokens>
const refusal = z.object({ error: z.string(), error_description: z.string().default("") })
const device = z.object({
  device_code: z.string(),
  user_code: z.string(),
  verification_uri: z.string(),
  verification_uri_complete: z.string(),
  interval: z.number(),
})
export type Device = z.output<typeof device>

export interface Refusal {
  readonly error: string
  readonly words: string
}

/** A call of the token endpoint. Throws `stale` when the service does not answer as one. */
export async function tokensOf(service: Service, form: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Tokens | Refusal> {
  return parsed(tokens, await post(service, "/oauth/token", form, signal))
}

/** What the login must be proven by; left out: whatever the browser's own login was. */
export interface Wanted {
  /** 0 asks for a proof anew. */
  readonly max_age_s?: number | undefined
  /** OpenID Connect's `acr`. */
  readonly acr?: string | undefined
}

export interface CodeFlow {
  readonly service: Service
  readonly wanted: Wanted
  readonly signal: AbortSignal
  /** Shows the person where to say yes. */
  open(url: string): void
}

/** Waits for the person's browser to come back to a port of this machine. Throws a Failure when they say no. */
export async function codeFlow({ service, wanted, signal, open }: CodeFlow): Promise<Tokens> {
  const verifier = randomBytes(32).toString("base64url")
  const state = randomBytes(16).toString("base64url")
  const back = Promise.withResolvers<URLSearchParams>()
  const server = createServer((incoming, response) => {
    const url = new URL(incoming.url ?? "/", "http://127.0.0.1")
    // Whoever else knocks on this port does not know the state.
    const ours = url.pathname === "/" && url.searchParams.get("state") === state
    response.writeHead(ours ? 200 : 404, {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": "default-src 'none'",
      connection: "close",
    })
    response.end(ours ? page(url.searchParams.has("code")) : "")
    if (ours) back.resolve(url.searchParams)
  })
  server.listen(0, "127.0.0.1")
  await new Promise((resolve, reject) => server.once("listening", resolve).once("error", reject))
  const onAbort = (): void => back.reject(signal.reason)
  signal.addEventListener("abort", onAbort, { once: true })
  try {
    const redirect_uri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const challenge = createHash("sha256").update(verifier).digest("base64url")
    const asked = { response_type: "code", client_id, redirect_uri, state, code_challenge: challenge, code_challenge_method: "S256" }
    const query = new URLSearchParams({ ...asked, ...wantedQuery(wanted, "acr_values") })
    open(`${service.url}/oauth/authorize?${query.toString()}`)
    const answer = await back.promise
    // RFC 9207: an answer of another server is no answer.
    if (answer.get("iss") !== service.url)
      throw new Failure(`the answer came from ${answer.get("iss") ?? "nobody"}`, `Is ${service.url} the service's own name for itself?`)
    const code = answer.get("code")
    if (code === null)
      throw new Failure(
        answer.get("error") === "access_denied"
          ? "the login was refused"
          : `the login failed: ${answer.get("error_description") ?? "no reason given"}`,
        "",
      )
    const form = { grant_type: "authorization_code", code, redirect_uri, code_verifier: verifier }
    return sure(await tokensOf(service, form, signal))
  } finally {
    signal.removeEventListener("abort", onAbort)
    server.close()
    server.closeAllConnections()
  }
}

function wantedQuery({ max_age_s, acr }: Wanted, acrName: string): Record<string, string> {
  return { ...(max_age_s !== undefined && { max_age: String(max_age_s) }), ...(acr !== undefined && { [acrName]: acr }) }
}

/** Where a code is entered: by way of signing in, where a proof is wanted. */
export function devicePage({ verification_uri }: Device, wanted: Wanted): string {
  const query = new URLSearchParams(wantedQuery(wanted, "acr"))
  if (query.size === 0) return verification_uri
  query.set("return", new URL(verification_uri).pathname)
  return `${new URL("/sign-in", verification_uri).href}?${query.toString()}`
}

/** Throws a Failure when the person says no, or takes too long. */
export async function deviceFlow(service: Service, show: (device: Device) => void, signal: AbortSignal): Promise<Tokens> {
  const begun = parsed(device, await post(service, "/oauth/device_authorization", {}, signal))
  if ("error" in begun) throw new Failure(`the service refuses: ${begun.words || begun.error}`, "")
  show(begun)
  let interval_ms = begun.interval * 1000
  for (;;) {
    await sleep(interval_ms, undefined, { signal })
    const form = { grant_type: "urn:ietf:params:oauth:grant-type:device_code", device_code: begun.device_code }
    const answer = await tokensOf(service, form, signal)
    if (!("error" in answer)) return answer
    if (answer.error === "slow_down") interval_ms += limits.device_poll_ms
    else if (answer.error !== "authorization_pending") return sure(answer)
  }
}

function sure(answer: Tokens | Refusal): Tokens {
  if (!("error" in answer)) return answer
  if (answer.error === "access_denied") throw new Failure("the login was refused", "")
  if (answer.error === "expired_token") throw new Failure("nobody entered the code in time", "Start again: sluice login --device")
  throw new Failure(`the login failed: ${answer.words || answer.error}`, "Start again: sluice login")
}

async function post(service: Service, path: string, form: Readonly<Record<string, string>>, signal: AbortSignal): Promise<unknown> {
  const agent = new Agent({
    maxResponseSize: limits.control_body_bytes_max,
    connect: { timeout: limits.control_call_ms_max, ...(service.ca === undefined ? {} : { ca: service.ca }) },
  })
  try {
    const { body } = await request(service.url + path, {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", accept: "application/json" },
      body: new URLSearchParams({ client_id, ...form }).toString(),
      headersTimeout: limits.control_call_ms_max,
      bodyTimeout: limits.control_call_ms_max,
      dispatcher: agent,
      signal,
    })
    return await body.json()
  } catch (failure) {
    if (signal.aborted) throw signal.reason
    throw new GatewayError("stale", {}, failure)
  } finally {
    await agent.destroy()
  }
}

function parsed<Schema extends z.ZodType>(schema: Schema, answer: unknown): z.output<Schema> | Refusal {
  const good = schema.safeParse(answer)
  if (good.success) return good.data
  const refused = refusal.safeParse(answer)
  if (!refused.success) throw new GatewayError("stale", {}, refused.error)
  return { error: refused.data.error, words: refused.data.error_description }
}

const page = (done: boolean): string =>
  `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>Sluice</title><h1>${done ? "You are logged in" : "You are not logged in"}</h1><p>You can close this page and go back to the terminal.</p></html>`
