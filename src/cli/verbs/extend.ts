// `sluice extend`: a later end for one's own grant. What is open under it goes on.
import { answer, decided } from "../asked.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { duration, grantId } from "../ids.ts"

interface Options extends JsonOption {
  readonly for: number
  readonly reason: string
  readonly wait?: true
}

export const addExtend: AddVerb = (program, context) => {
  program
    .command("extend")
    .argument("<grant>", "its id, as `grants` shows it", grantId)
    .description("ask for a later end of your own grant; open sessions go on")
    .requiredOption("--for <duration>", "how much later, such as 30m, 1h", duration)
    .option("--reason <words>", "why; those who approve read it", "")
    .option("--wait", "until somebody has decided; Ctrl-C takes the request back")
    .option(...jsonOption)
    .action(async (id: string, options: Options) => {
      const body = { duration_ms: options.for, reason: options.reason }
      const asked = await (await context.api()).call("extend", { id, body }, { signal: context.io.signal })
      const request = options.wait && asked.status === "pending" ? await decided(context, asked) : asked
      if (request.status !== "approved" && (options.wait || request.status !== "pending")) context.status = 1
      show(context, options, request, () => answer(context, request))
    })
}
