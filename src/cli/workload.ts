// `sluice` inside a CI job or a service: who it is is proven with the token of its platform, found in the environment, and the
// approval service is called at once, without ssh. Nothing is kept on the disk: the next job on this machine is somebody else.
import { readFile } from "node:fs/promises"
import { z } from "zod"
import { type ApiClient, createApiClient } from "../api/client.ts"
import { GatewayError } from "../core/errors.ts"
import { limits } from "../core/limits.ts"
import { Secret } from "../core/secret.ts"
import { Failure } from "./failure.ts"
import { type FetchedToken, freshToken } from "./fresh_token.ts"

type Environment = Readonly<Record<string, string | undefined>>

/** Where the token of this machine comes from, and whom to show it. */
export interface Workload {
  readonly service: string
  token(): Promise<Secret>
}

/**
 * Undefined when this is no machine with a token: then a person's ssh proves who it is. SLUICE_SERVICE says where the approval
 * service is; the token is SLUICE_WORKLOAD_TOKEN (as GitLab gives it), in the file SLUICE_WORKLOAD_TOKEN_FILE (as Kubernetes
 * does), or asked for where GitHub Actions says. Throws a Failure when the service's address cannot be used.
 */
export function workloadOf(env: Environment): Workload | undefined {
  const service = env["SLUICE_SERVICE"]
  if (!service || env["SLUICE_GATEWAY"]) return undefined
  const token = source(env)
  if (!token) return undefined
  checkService(service)
  return { service, token }
}

function source(env: Environment): Workload["token"] | undefined {
  const { SLUICE_WORKLOAD_TOKEN: token, SLUICE_WORKLOAD_TOKEN_FILE: file } = env
  if (token) return async () => new Secret(token.trim())
  if (file) return () => fromFile(file)
  const { ACTIONS_ID_TOKEN_REQUEST_URL: url, ACTIONS_ID_TOKEN_REQUEST_TOKEN: bearer } = env
  if (url && bearer) return () => fromActions({ url, bearer: new Secret(bearer), audience: env["SLUICE_AUDIENCE"] || "sluice" })
  return undefined
}

/** A token is shown to nobody on the way. */
function checkService(service: string): void {
  const url = URL.canParse(service) ? new URL(service) : undefined
  const safe =
    url && (url.protocol === "https:" || (url.protocol === "http:" && /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(url.hostname)))
  if (!safe)
    throw new Failure("SLUICE_SERVICE is not where a token can be sent", "It looks like https://access.example.com.", { status: 2 })
}

async function fromFile(path: string): Promise<Secret> {
  try {
    return new Secret((await readFile(path, "utf8")).trim())
  } catch (failure) {
    throw new Failure(`the token cannot be read: ${(failure as Error).message}`, "SLUICE_WORKLOAD_TOKEN_FILE says where it is.")
  }
}

interface Actions {
  readonly url: string
  readonly bearer: Secret
  readonly audience: string
}

/** GitHub's documentation, "OpenID Connect reference: methods for requesting the OIDC token". */
async function fromActions({ url, bearer, audience }: Actions): Promise<Secret> {
  const wrong = (why: string): Failure =>
    new Failure(`the platform gives no token: ${why}`, "In GitHub Actions the job needs `permissions: { id-token: write }`.")
  const where = new URL(url)
  where.searchParams.set("audience", audience)
  const headers = { authorization: `Bearer ${bearer.reveal()}` }
  const response = await fetch(where, { headers, signal: AbortSignal.timeout(limits.oidc_call_ms_max) }).catch(() => undefined)
  if (!response) throw wrong("it does not answer")
  if (!response.ok) throw wrong(`it answers ${response.status}`)
  const answer = z.object({ value: z.string().min(1) }).safeParse(await response.json().catch(() => undefined))
  if (!answer.success) throw wrong("it answers with something else")
  return new Secret(answer.data.value)
}

/** The API as this machine, logged in. A call that waits longer than the API's token lasts shows the platform's once more. */
export async function connectWorkload(
  { service, token }: Workload,
  { now, signal }: { now(): number; signal: AbortSignal },
): Promise<ApiClient> {
  const anybody = createApiClient({ url: service, credential: () => new Secret("anybody") })
  const logIn = async (): Promise<FetchedToken> => {
    const body = { token: (await token()).reveal() }
    return anybody.call("workload", { body }, { signal }).catch(refused)
  }
  const credential = freshToken(logIn, now)
  await credential()
  const api = createApiClient({ url: service, credential })
  return { ...api, close: async () => void (await Promise.all([api.close(), anybody.close()])) }
}

function refused(failure: unknown): never {
  if (!(failure instanceof GatewayError) || failure.code !== "unauthenticated") throw failure
  const advice = "The platform's token is not one of a workload here: its issuer, audience or claims are others, or it has ended."
  throw new Failure(failure.message, advice)
}
