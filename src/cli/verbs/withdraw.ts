// `sluice withdraw`: takes back a request of one's own that nobody has decided about.
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { requestNumber } from "../ids.ts"
import { targetAs } from "../words.ts"

export const addWithdraw: AddVerb = (program, context) => {
  program
    .command("withdraw")
    .argument("<request>", "its number", requestNumber)
    .description("take back your own request")
    .option(...jsonOption)
    .action(async (id: number, options: JsonOption) => {
      const request = await (await context.api()).call("withdraw", { id, body: {} }, { signal: context.io.signal })
      show(context, options, request, () => `Request ${id} for ${targetAs(request.target, request.as)} is taken back.`)
    })
}
