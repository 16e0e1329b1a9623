// `sluice kill`: ends one session now; the grant stays.
import { visible } from "../../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { sessionId } from "../ids.ts"

export const addKill: AddVerb = (program, context) => {
  program
    .command("kill")
    .argument("<session>", "its id, as `sessions` shows it", sessionId)
    .description("end one session now; the grant stays")
    .requiredOption("--reason <words>", "why; it is kept")
    .option(...jsonOption)
    .action(async (id: string, options: JsonOption & { readonly reason: string }) => {
      const body = { reason: options.reason }
      const session = await (await context.api()).call("kill", { id, body }, { signal: context.io.signal })
      show(
        context,
        options,
        session,
        () => `Session ${session.id} of ${visible(session.subject)} on ${visible(session.target)} is being ended.`,
      )
    })
}
