// `sluice revoke`: ends somebody's grant, and every session on it, now.
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { visible } from "../../core/visible.ts"
import { grantId } from "../ids.ts"
import { targetAs } from "../words.ts"

export const addRevoke: AddVerb = (program, context) => {
  program
    .command("revoke")
    .argument("<grant>", "its id, as `grants` shows it", grantId)
    .description("end somebody's grant now, and every session on it")
    .option("--reason <words>", "why; it is kept", "")
    .option(...jsonOption)
    .action(async (id: string, options: JsonOption & { readonly reason: string }) => {
      const body = { reason: options.reason }
      const grant = await (await context.api()).call("revoke", { id, body }, { signal: context.io.signal })
      show(
        context,
        options,
        grant,
        () => `${visible(grant.subject)} has no access to ${targetAs(grant.target, grant.as)} any more (grant ${grant.id}).`,
      )
    })
}
