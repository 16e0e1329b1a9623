// `sluice drop`: gives back one's own grant early.
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { grantId } from "../ids.ts"
import { targetAs } from "../words.ts"

export const addDrop: AddVerb = (program, context) => {
  program
    .command("drop")
    .argument("<grant>", "its id, as `grants` shows it", grantId)
    .description("give back your own grant, and end every session on it")
    .option(...jsonOption)
    .action(async (id: string, options: JsonOption) => {
      const grant = await (await context.api()).call("drop", { id, body: {} }, { signal: context.io.signal })
      show(context, options, grant, () => `You gave back ${targetAs(grant.target, grant.as)} (grant ${grant.id}).`)
    })
}
