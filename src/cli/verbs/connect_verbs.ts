// `sluice ssh-config`, `sluice pg-service` and `sluice ca` on a machine: with --config for an operator, from the config and the state folder; without,
// what the gateway says to this person.
import type { Command } from "commander"
import { askWith } from "../../config/ways_in.ts"
import { openState } from "../../config/state.ts"
import { readCa } from "./ca.ts"
import { certificateHint } from "./certificate.ts"
import { readConfig } from "../config_file.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { askGateway } from "../gateway_ssh.ts"
import type { Local } from "../local.ts"
import { pgService } from "../pg_service.ts"
import { addRotate } from "./rotate.ts"
import { addTargetCa } from "./target_ca.ts"
import { sshConfig, sshConfigText } from "../ssh_config.ts"

interface Options extends JsonOption {
  readonly config?: string
}

export const addConnectVerbs =
  ({ gateway }: Local): AddVerb =>
  (program, context) => {
    const forwarded = async (words: readonly string[]): Promise<void> =>
      context.io.write(await askGateway(await gateway(), words, context.io.signal))
    const verb = (name: string, description: string): Command =>
      program
        .command(name)
        .description(description)
        .option("--config <file>", "an operator's: from the config itself, for all of its targets")
    verb("ssh-config", "what to paste into ~/.ssh/config and ~/.ssh/known_hosts")
      .option(...jsonOption)
      .action(async (options: Options) => {
        if (options.config === undefined) {
          await forwarded(["ssh-config", ...(options.json ? ["--json"] : [])])
          if (!options.json) context.io.write(certificateHint("ssh-config", process.env))
          return
        }
        const config = await readConfig(options.config)
        const { keys } = await openState(config.state)
        const targets = config.targets.map((target) => target.name)
        const made = await sshConfig({ config, keys, targets })
        show(context, options, made, () => sshConfigText(made))
      })
    const ca = verb("ca", "the certificate to trust for TLS to the gateway")
    addRotate(ca, context)
    addTargetCa(ca, context)
    ca.action(async (options: Options) => {
      if (options.config === undefined) return forwarded(["ca"])
      context.io.write(await readCa(await readConfig(options.config)))
    })
    verb("pg-service", "what to paste into ~/.pg_service.conf").action(async (options: Options) => {
      if (options.config === undefined) {
        await forwarded(["pg-service"])
        context.io.write(certificateHint("pg-service", process.env))
        return
      }
      const config = await readConfig(options.config)
      context.io.write(
        `${pgService(
          config,
          config.targets.map((target) => target.name),
          askWith(config, undefined),
        )}\n`,
      )
    })
  }
