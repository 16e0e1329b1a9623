// `ca rotate`: an administrator's. A new CA signs people's certificates, or a new key their tokens, from now on.
import { Argument, type Command } from "commander"
import type { AuthorityKind, AuthorityView } from "../../api/schema.ts"
import { jsonOption, show, type Context, type JsonOption } from "../context.ts"
import { table } from "../table.ts"
import { time } from "../words.ts"

interface Options extends JsonOption {
  readonly reason: string
  readonly distrust?: boolean
}

/** Below the verb `ca`. */
export function addRotate(ca: Command, context: Context): void {
  ca.command("rotate")
    .addArgument(
      new Argument(
        "<kind>",
        "what signs: the certificates of ssh users, those of TLS clients, gateways' logins at ssh targets, or tokens",
      ).choices(["ssh-user", "client", "ssh-target", "token"]),
    )
    .description("a new CA, or key, signs from now on; what the old one signed is good until its end")
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
  return table(["KEY", "OF", "IS", "TRUSTED"], rows, { columns: io.columns, nothing: "" })
}
