// `ca targets`: what an SSH target must trust so that the gateway can log in to it by certificate.
import type { Command } from "commander"
import { jsonOption, show, type Context, type JsonOption } from "../context.ts"

/** Below the verb `ca`. */
export function addTargetCa(ca: Command, context: Context): void {
  ca.command("targets")
    .description("the keys for an SSH target's TrustedUserCAKeys file, for targets with auth: certificate")
    .option(...jsonOption)
    .action(async (options: JsonOption) => {
      const api = await context.api()
      const { authorities } = await api.call("authorities", { signal: context.io.signal })
      const keys = authorities.filter(({ kind, status }) => kind === "ssh-target" && status === "signing").map((one) => one.public)
      show(context, options, { keys }, () =>
        keys
          .map((key) => `${key} sluice\n`)
          .join("")
          .trimEnd(),
      )
    })
}
