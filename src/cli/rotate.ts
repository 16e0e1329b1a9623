// `ca rotate`: an administrator's. A new CA signs people's certificates from now on.
import { Argument, type Command } from "commander"
import type { AuthorityKind, AuthorityView } from "../api/schema.ts"
import { jsonOption, show, type Context, type JsonOption } from "./context.ts"
import { table } from "./table.ts"
import { time } from "./words.ts"

interface Options extends JsonOption {
  readonly reason: string
  readonly distrust?: boolean
}

/** Below the verb `ca`. */
export function addRotate(ca: Command, context: Context): void {
  ca.command("rotate")
    .addArgument(new Argument("<kind>", "whose certificates: of ssh users, or of TLS clients").choices(["ssh-user", "client"]))
    .description("a new CA signs from now on; what the old one signed is good until its end")
    .option("--reason <words>", "why, for the record", "")
    .option("--distrust", "what the old one signed is good no longer")
    .option(...jsonOption)
    .action(async (kind: AuthorityKind, { reason, distrust = false, json }: Options) => {
      const api = await context.api()
      const answer = await api.call("rotate", { id: kind, body: { reason, distrust } }, { signal: context.io.signal })
      show(context, json ? { json } : {}, answer, () => text(answer.authorities, context))
    })
}

function text(authorities: readonly AuthorityView[], { now, io }: Context): string {
  const rows = authorities.map(({ id, kind, status, not_after }) => [
    id,
    kind,
    status,
    not_after === null ? "yes" : `until ${time(not_after, now())}`,
  ])
  return table(["CA", "OF", "IS", "TRUSTED"], rows, { columns: io.columns, nothing: "" })
}
