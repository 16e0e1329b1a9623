// Assembles a running Sluice from a config: the approval service, the gateway, or both in one process. Between the two there is
// HTTP even here, so that one process and twenty are the same code.
import { createVerbs } from "./over_ssh.ts"
import { startApprovals } from "../approvals/approvals.ts"
import type { Config } from "../config/config.ts"
import { openState, type State } from "../config/state.ts"
import { systemClock } from "../core/clock.ts"
import type { Secret } from "../core/secret.ts"
import type { Address, ProtocolName } from "../core/target.ts"
import type { Protocol } from "../gateway/contract.ts"
import { Gateway } from "../gateway/gateway.ts"
import { startHealth } from "../observe/health.ts"
import type { Log } from "../observe/log.ts"
import { nativeCrypto } from "../observe/native_crypto.ts"

export type Role = "all" | "gateway" | "approvals"

export interface StartOptions {
  readonly config: Config
  readonly role: Role
  /** Every protocol there is; those the config gives a port are served. */
  readonly protocols: readonly Protocol[]
  readonly log: Log
}

export interface Running {
  /** What is listened on, with the real port where the config said 0. */
  readonly addresses: Readonly<Partial<Record<ProtocolName | "approvals" | "health", Address>>>
  /** PEM of the CA that clients must trust for TLS, when it is our own. */
  readonly ca: string | undefined
  readonly state: State
  /** Ends gracefully: no new sessions, live ones get a little time, then they are cut. */
  drain(time_ms_max?: number): Promise<void>
}

export async function start({ config, role, protocols, log }: StartOptions): Promise<Running> {
  const state = await openState(config.state)
  const key = config.approvals.gateway_key ?? (await state.secret("gateway"))
  const clock = systemClock()
  const approvals = role === "gateway" ? undefined : await startApprovals({ config, keys: state.keys, gatewayKey: key, clock, log })
  // In one process the service is where it listens, whatever its name is outside.
  const url = approvals ? `http://${hostPort(approvals.address)}` : config.approvals.url
  if (approvals) log.info({ listener: "approvals", ...approvals.address }, "listening")
  const stopAll: ((time_ms_max?: number) => Promise<void>)[] = [async () => approvals?.close()]
  try {
    const gateway = role === "approvals" ? undefined : await startGateway({ config, role, protocols, log, state, clock, url, key })
    if (gateway) stopAll.unshift((time_ms_max?: number) => gateway.gateway.drain(time_ms_max))
    const health =
      config.gateway.health &&
      (await startHealth({ listen: config.gateway.health.listen, ready: () => gateway?.gateway.ready ?? { ready: true, why: "" } }))
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
      ca: gateway?.gateway.ca,
      state,
      drain: async (time_ms_max) => {
        for (const stop of stopAll) await stop(time_ms_max)
      },
    }
  } catch (failure) {
    for (const stop of stopAll) await stop(0)
    throw failure
  }
}

interface GatewayStart extends StartOptions {
  readonly state: State
  readonly clock: ReturnType<typeof systemClock>
  readonly url: string
  readonly key: Secret
}

async function startGateway({ config, role, protocols, log, state, clock, url, key }: GatewayStart) {
  log.info(
    { native: nativeCrypto() },
    nativeCrypto() ? "ssh2's native crypto is in use" : "ssh2's native crypto is not built: SSH will be slower",
  )
  const gateway = new Gateway({
    config,
    protocols,
    approvals: { url, key },
    keys: state.keys,
    clock,
    log,
    verbs: (gatewayApi) =>
      createVerbs({
        config,
        keys: state.keys,
        gatewayApi,
        apiUrl: config.approvals.public_url.endsWith(":0") ? url : config.approvals.public_url,
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
