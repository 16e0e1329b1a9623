// Assembles a running Sluice from a config: the approval service, the gateway, or both in one process. Between the two there is
// HTTP even here, so that one process and twenty are the same code.
import { createVerbs } from "../over_ssh.ts"
import { startApprovals } from "../../approvals/approvals.ts"
import type { AboutConfig } from "../../approvals/reloading.ts"
import type { Config } from "../../config/config.ts"
import type { ConfigSource } from "../../config/config_source.ts"
import { openState, type State } from "../../config/state.ts"
import { type Clock, systemClock } from "../../core/clock.ts"
import type { Address, ProtocolName } from "../../core/target.ts"
import type { AnyProtocol } from "../../gateway/contract.ts"
import { countBuffersWithHeap } from "../../gateway/external_memory.ts"
import { Gateway } from "../../gateway/gateway.ts"
import type { Siblings } from "../../gateway/siblings.ts"
import { type Ready, startHealth } from "../../observe/health.ts"
import type { Log } from "../../observe/log.ts"
import { nativeCrypto } from "../../observe/native_crypto.ts"
import { ownRecordings } from "../../record/folder_lock.ts"
import { gatewayCredential, sharedKey } from "../gateway_credential.ts"
import type { Listening } from "./worker_messages.ts"
import { workerCount, Workers } from "./workers.ts"

export type Role = "all" | "gateway" | "approvals"

export interface StartOptions {
  readonly config: Config
  readonly role: Role
  /** Every protocol there is; those the config gives a port are served. */
  readonly protocols: readonly AnyProtocol[]
  readonly log: Log
  /** Where the gateway may be several processes: the words after `sluice` that make one. Left out: it is this one alone. */
  readonly fork?: { readonly words: readonly string[]; readonly source: ConfigSource }
}

export interface Running {
  /** What is listened on, with the real port where the config said 0. */
  readonly addresses: Readonly<Partial<Record<ProtocolName | "approvals" | "health", Address>>>
  /** PEM of the CA that clients must trust for TLS, when it is our own. */
  readonly ca: string | undefined
  readonly state: State
  /**
   * Puts another config in the place of the one in use, in the service and in the gateway, or in neither. Rejects with words for the
   * operator, and then nothing has changed. What `config/restart_only.ts` lists must be the same.
   */
  reload(next: { readonly config: Config; readonly source: ConfigSource }, about: AboutConfig): Promise<void>
  /** Puts on record that a config could not be used, where there is a record. */
  refused(about: AboutConfig): Promise<void>
  /** Ends gracefully: no new sessions, live ones get a little time, then they are cut. */
  drain(time_ms_max?: number): Promise<void>
}

export async function start({ config, role, protocols, log, fork }: StartOptions): Promise<Running> {
  const state = await openState(config.state)
  const clock = systemClock()
  const approvals =
    role === "gateway"
      ? undefined
      : await startApprovals({ config, keys: state.keys, gatewayKey: await sharedKey(config, state), clock, log })
  // In one process the service is where it listens, whatever its name is outside.
  const url = approvals ? `http://${hostPort(approvals.address)}` : config.approvals.url
  if (approvals) log.info({ listener: "approvals", ...approvals.address }, "listening")
  const stopAll: ((time_ms_max?: number) => Promise<void>)[] = [async () => approvals?.close()]
  try {
    const gateway = role === "approvals" ? undefined : await runGateway({ config, role, protocols, log, state, clock, url, fork })
    if (gateway) stopAll.unshift((time_ms_max?: number) => gateway.drain(time_ms_max))
    const health =
      config.gateway.health &&
      (await startHealth({ listen: config.gateway.health.listen, ready: () => gateway?.ready() ?? { ready: true, why: "" } }))
    if (health) {
      log.info({ listener: "health", ...health.address }, "listening")
      stopAll.push(() => health.close())
    }
    return {
      addresses: {
        ...gateway?.listening,
        ...(approvals ? { approvals: approvals.address } : {}),
        ...(health ? { health: health.address } : {}),
      },
      ca: gateway?.ca,
      state,
      async reload(next, about) {
        // Whatever may fail comes first.
        const prepared = await gateway?.prepare(next)
        try {
          await approvals?.reload(next.config, about)
        } catch (failure) {
          prepared?.drop()
          throw failure
        }
        await prepared?.use()
      },
      refused: async (about) => approvals?.refused(about),
      drain: async (time_ms_max) => {
        for (const stop of stopAll) await stop(time_ms_max)
      },
    }
  } catch (failure) {
    for (const stop of stopAll) await stop(0)
    throw failure
  }
}

/** The gateway, in this process or in several. */
interface RunningGateway {
  readonly listening: Listening
  readonly ca: string | undefined
  ready(): Ready | Promise<Ready>
  prepare(next: { readonly config: Config; readonly source: ConfigSource }): Promise<{ use(): void | Promise<void>; drop(): void }>
  drain(time_ms_max?: number): Promise<void>
}

async function runGateway(options: GatewayStart & { readonly fork: StartOptions["fork"] }): Promise<RunningGateway> {
  const { config, log } = options
  const folder = await ownRecordings({ ...config.recordings, log })
  try {
    const gateway = await runProcesses(options)
    return {
      ...gateway,
      async drain(time_ms_max) {
        await gateway.drain(time_ms_max)
        folder.release()
      },
    }
  } catch (failure) {
    folder.release()
    throw failure
  }
}

async function runProcesses({ fork, ...options }: GatewayStart & { readonly fork: StartOptions["fork"] }): Promise<RunningGateway> {
  const { config, role, clock, log, url } = options
  const count = workerCount(config.gateway.workers)
  if (!fork || count === 1) {
    const { gateway, listening } = await startGateway(options)
    return {
      listening,
      ca: gateway.ca,
      ready: () => gateway.ready,
      prepare: (next) => gateway.prepare(next.config),
      drain: (time_ms_max) => gateway.drain(time_ms_max),
    }
  }
  const place = { url, role: role === "gateway" ? ("gateway" as const) : ("all" as const) }
  const workers = new Workers({ count, ...fork, place, clock, log })
  try {
    return {
      ...(await workers.start()),
      ready: () => workers.ready(),
      prepare: ({ source }) => workers.prepare(source),
      drain: (time_ms_max) => workers.drain(time_ms_max),
    }
  } catch (failure) {
    await workers.drain(0)
    throw failure
  }
}

export interface GatewayStart {
  readonly config: Config
  /** "all": the approval service is beside it, so it is waited for. */
  readonly role: Role
  readonly protocols: readonly AnyProtocol[]
  readonly log: Log
  readonly state: State
  readonly clock: Clock
  readonly url: string
  readonly siblings?: Siblings
}

/** One gateway, in this process. */
export async function startGateway({ config, role, protocols, log, state, clock, url, siblings }: GatewayStart) {
  countBuffersWithHeap()
  log.info(
    { native: nativeCrypto() },
    nativeCrypto() ? "ssh2's native crypto is in use" : "ssh2's native crypto is not built: SSH will be slower",
  )
  // With a port of 0 only we know where people reach it.
  const public_url = config.approvals.public_url.endsWith(":0") ? url : config.approvals.public_url
  const gateway = new Gateway({
    config,
    protocols,
    approvals: { url, public_url, credential: await gatewayCredential({ config, state, clock }) },
    keys: state.keys,
    clock,
    log,
    ...(siblings ? { siblings } : {}),
    verbs: (gatewayApi, current) =>
      createVerbs({
        current,
        keys: state.keys,
        gatewayApi,
        apiUrl: public_url,
      }),
  })
  try {
    const listening = await gateway.start()
    if (role === "all") await gateway.heard()
    return { gateway, listening }
  } catch (failure) {
    await gateway.cut()
    throw failure
  }
}

const hostPort = ({ host, port }: Address): string => (host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`)
