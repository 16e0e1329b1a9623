// `sluice review`: somebody else has looked at what a break-glass was used for.
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { visible } from "../../core/visible.ts"
import { requestNumber } from "../ids.ts"
import { targetAs } from "../words.ts"

export const addReview: AddVerb = (program, context) => {
  program
    .command("review")
    .argument("<request>", "its number, as `requests --unreviewed` shows it", requestNumber)
    .description("say that you have looked at what a break-glass was used for; never your own")
    .requiredOption("--note <words>", "what you found; it is kept")
    .option(...jsonOption)
    .action(async (id: number, options: JsonOption & { readonly note: string }) => {
      const body = { reason: options.note }
      const request = await (await context.api()).call("review", { id, body }, { signal: context.io.signal })
      const what = `${visible(request.subject)}'s break-glass on ${targetAs(request.target, request.as)}`
      show(context, options, request, () => `Request ${id}, ${what}, is reviewed.`)
    })
}
