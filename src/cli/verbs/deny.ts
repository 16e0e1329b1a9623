// `sluice deny`: the request is over, and who asked reads why.
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { facts, readingIn } from "./approve.ts"
import { requestNumber } from "../ids.ts"

export const addDeny: AddVerb = (program, context) => {
  program
    .command("deny")
    .argument("<request>", "its number", requestNumber)
    .description("deny a request")
    .requiredOption("--reason <words>", "why; who asked reads it")
    .option(...jsonOption)
    .action(async (id: number, options: JsonOption & { readonly reason: string }) => {
      const body = { reason: options.reason }
      const request = await (await context.api()).call("deny", { id, body }, { signal: context.io.signal })
      show(context, options, request, () => `Request ${id} is denied.\n${facts(request, readingIn(context))}`)
    })
}
