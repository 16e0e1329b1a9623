// `sluice whoami`: who the gateway takes you for.
import { visible } from "../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "./context.ts"

export const addWhoami: AddVerb = (program, context) => {
  program
    .command("whoami")
    .description("who you are here")
    .option(...jsonOption)
    .action(async (options: JsonOption) => {
      const { signal } = context.io
      const me = await (await context.api()).call("whoami", {}, { signal })
      show(context, options, me, () => `${visible(me.subject)}${groups(me.groups)}${me.admin ? ", an administrator" : ""}`)
    })
}

const groups = (names: readonly string[]): string => (names.length === 0 ? "" : ` (${visible(names.join(", "))})`)
