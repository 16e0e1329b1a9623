// The verbs on somebody's own machine: who they are is proven with their login, where a service is named, or with their ssh key; in a
// CI job with the token of its platform. Then the approval service is called from here.
import { createApiClient, type ApiClient } from "../api/client.ts"
import { GatewayError } from "../core/errors.ts"
import { Secret } from "../core/secret.ts"
import { type AddVerb, type Context, type Io, show } from "./context.ts"
import { askGateway, findGateway, type Gateway } from "./gateway_ssh.ts"
import { useLogin } from "./kept_login.ts"
import { forgetProof, type Proof, proveWhoIAm } from "./proof.ts"
import { findService, type Service } from "./service.ts"
import { type Minter, printToken, tokenCommand, type TokenOptions } from "./verbs/token.ts"
import { connectWorkload, type Workload, workloadOf } from "./workload.ts"

export interface Local {
  readonly context: Context
  /** This is a CI job or a service, which proves who it is without ssh. */
  readonly machine: boolean
  /** Where --gateway leads; asked for when a verb needs it. */
  gateway(): Promise<Gateway>
  /** Where --service leads; undefined when nobody names one. */
  service(): Promise<Service | undefined>
  close(): Promise<void>
}

export interface Places {
  readonly gateway?: string | undefined
  readonly service?: string | undefined
}

/** `options`: what --gateway and --service said, once the line was parsed. */
export function localContext(io: Io, options: () => Places): Local {
  let foundGateway: Promise<Gateway> | undefined
  const gateway = (): Promise<Gateway> => (foundGateway ??= findGateway(options().gateway))
  let foundService: Promise<Service | undefined> | undefined
  const service = (): Promise<Service | undefined> => (foundService ??= findService(options().service))
  const clients: ApiClient[] = []
  const connect = async (): Promise<ApiClient> => {
    const prove = async (): Promise<Proof> => proveWhoIAm({ gateway: await gateway(), now: Date.now(), signal: io.signal })
    const { url, ca } = await prove()
    // Asked each time: a verb that waits for hours outlives many proofs.
    const client = createApiClient({ url, ca, credential: async () => new Secret((await prove()).token) })
    clients.push(client)
    return client
  }
  const workload = (): Workload | undefined => (options().gateway === undefined ? workloadOf(process.env) : undefined)
  const api = async (): Promise<ApiClient> => {
    const machine = workload()
    if (machine) {
      const own = await connectWorkload(machine, { now: Date.now, signal: io.signal })
      clients.push(own)
      return own
    }
    const named = await service()
    if (named) {
      await useLogin(named, io.signal)
      // Asked each time: a verb that waits for hours outlives many tokens.
      const credential = async (): Promise<Secret> => new Secret((await useLogin(named, io.signal)).access_token)
      const client = createApiClient({ ...named, credential })
      clients.push(client)
      return client
    }
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
    get machine() {
      return workload() !== undefined
    },
    gateway,
    service,
    context: {
      io,
      call: "sluice",
      own: true,
      callOfOthers: "sluice",
      now: Date.now,
      api: () => (connected ??= api()),
      useLine: () => undefined,
      pageOf: () => undefined,
      status: 0,
    },
    close: async () => void (await Promise.all(clients.map((client) => client.close()))),
  }
}

/** `sluice token`: from one's login, or as `ssh gateway token`, through the same ssh; a machine asks the approval service itself. */
export const addLocalToken =
  (local: Local): AddVerb =>
  (program, context) => {
    const { gateway, service } = local
    const { io } = context
    const command = tokenCommand(program)
    command.action(async (argument: string | undefined, options: TokenOptions) => {
      if (local.machine) {
        if (options.api) command.error("error: a machine's token for the API is its own affair: the verbs fetch it")
        const target = argument ?? options.for
        const minted = await (await context.api()).call("mint", { body: target === undefined ? {} : { target } }, { signal: io.signal })
        return show(context, options, minted, () => minted.token)
      }
      const named = await service()
      if (named) {
        const minter: Minter = {
          apiUrl: named.url,
          async mint({ use, target }) {
            if (use !== "api")
              return (await context.api()).call("mint", { body: target === undefined ? {} : { target } }, { signal: io.signal })
            const { access_token, expires_at } = await useLogin(named, io.signal)
            return { token: access_token, expires_at }
          },
        }
        return printToken(command, { context, argument, options, minter })
      }
      const target = [...(argument === undefined ? [] : [argument]), ...(options.for === undefined ? [] : ["--for", options.for])]
      const words = ["token", ...target, ...(options.api ? ["--api"] : []), ...(options.json ? ["--json"] : [])]
      io.write(await askGateway(await gateway(), words, io.signal))
    })
  }
