// The verbs on somebody's own machine: who they are is proven with their ssh key, then the approval service is called from here.
import { createApiClient, type ApiClient } from "../api/client.ts"
import { GatewayError } from "../core/errors.ts"
import { Secret } from "../core/secret.ts"
import type { AddVerb, Context, Io } from "./context.ts"
import { askGateway, findGateway, type Gateway } from "./gateway_ssh.ts"
import { forgetProof, proveWhoIAm } from "./proof.ts"
import { tokenCommand, type TokenOptions } from "./token.ts"

export interface Local {
  readonly context: Context
  /** Where --gateway leads; asked for when a verb needs it. */
  gateway(): Promise<Gateway>
  close(): Promise<void>
}

/** `option`: what --gateway said, once the line was parsed. */
export function localContext(io: Io, option: () => string | undefined): Local {
  let found: Promise<Gateway> | undefined
  const gateway = (): Promise<Gateway> => (found ??= findGateway(option()))
  const clients: ApiClient[] = []
  const connect = async (): Promise<ApiClient> => {
    const { url, token } = await proveWhoIAm({ gateway: await gateway(), now: Date.now(), signal: io.signal })
    const client = createApiClient({ url, credential: () => new Secret(token) })
    clients.push(client)
    return client
  }
  const api = async (): Promise<ApiClient> => {
    const client = await connect()
    try {
      await client.call("whoami", {}, { signal: io.signal })
      return client
    } catch (failure) {
      if (!(failure instanceof GatewayError) || failure.code !== "unauthenticated") throw failure
      // A kept proof may be from before the service was set up anew: one new proof, and then its word counts.
      await forgetProof(await gateway())
      return connect()
    }
  }
  let connected: Promise<ApiClient> | undefined
  return {
    gateway,
    context: { io, call: "sluice", now: Date.now, api: () => (connected ??= api()), useLine: () => undefined, status: 0 },
    close: async () => void (await Promise.all(clients.map((client) => client.close()))),
  }
}

/** `sluice token`: as `ssh gateway token`, through the same ssh. */
export const addForwardedToken =
  ({ gateway }: Local): AddVerb =>
  (program, { io }) => {
    tokenCommand(program).action(async (argument: string | undefined, options: TokenOptions) => {
      const target = [...(argument === undefined ? [] : [argument]), ...(options.for === undefined ? [] : ["--for", options.for])]
      const words = ["token", ...target, ...(options.api ? ["--api"] : []), ...(options.json ? ["--json"] : [])]
      io.write(await askGateway(await gateway(), words, io.signal))
    })
  }
