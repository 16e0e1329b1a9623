// `sluice gateway-key`: on a gateway's machine, the line that makes it known to the approval service.
import { openState } from "../../config/state.ts"
import { gatewayPublicKey } from "../../identity/gateway_assertion.ts"
import { config_default, readConfig } from "../config_file.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { gatewayKeyOf } from "../gateway_credential.ts"

export const addGatewayKey: AddVerb = (program, context) => {
  program
    .command("gateway-key")
    .description("this gateway's own key, to list under approvals.gateways of the approval service; made when there is none")
    .option("--config <file>", "the config", config_default)
    .option(...jsonOption)
    .action(async (options: JsonOption & { readonly config: string }) => {
      const config = await readConfig(options.config)
      const { type, blob } = gatewayPublicKey(await gatewayKeyOf(await openState(config.state)))
      const { name } = config.gateway
      const public_key = `${type} ${blob.toString("base64")}`
      show(context, options, { name, public_key }, () => `- { name: ${name}, public_key: "${public_key}" }`)
    })
}
