// What a gateway shows the approval service: the key that all share, where the config has one, or else what it signs with a key of
// its own.
import type { Credential } from "../api/client.ts"
import type { Config } from "../config/config.ts"
import type { State } from "../config/state.ts"
import type { Clock } from "../core/clock.ts"
import type { Secret } from "../core/secret.ts"
import { gatewaySigner } from "../identity/gateway_assertion.ts"

/** Of a service: what its gateways may share. Left out of the config it never leaves the state folder. */
export const sharedKey = async ({ approvals }: Config, state: State): Promise<Secret> =>
  approvals.gateway_key ?? (await state.secret("gateway"))

export const gatewayKeyOf = ({ keys }: Pick<State, "keys">): Promise<Secret> => keys.private("gateway", "ssh-ed25519")

export async function gatewayCredential(options: {
  readonly config: Config
  readonly state: State
  readonly clock: Clock
}): Promise<Credential> {
  const { config, state, clock } = options
  const { gateway_key, gateways } = config.approvals
  const { name } = config.gateway
  // One file for all machines may hold both: a gateway that is listed with a key of its own uses that.
  const listed = gateways?.some((one) => one.name === name && one.key !== undefined) ?? false
  if (gateway_key && !listed) return () => gateway_key
  return gatewaySigner({ name, privateKey: await gatewayKeyOf(state), clock })
}
