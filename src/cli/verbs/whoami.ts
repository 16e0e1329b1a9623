// `sluice whoami`: who the gateway takes you for.
import { visible } from "../../core/visible.ts"
import type { Whoami } from "../../api/schema.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { time, until } from "../words.ts"

export const addWhoami: AddVerb = (program, context) => {
  program
    .command("whoami")
    .description("who you are here")
    .option(...jsonOption)
    .action(async (options: JsonOption) => {
      const { signal } = context.io
      const me = await (await context.api()).call("whoami", {}, { signal })
      show(context, options, me, () =>
        [`${visible(me.subject)}${groups(me.groups)}${me.admin ? ", an administrator" : ""}`, ...login(me, context.now())].join("\n"),
      )
    })
}

const groups = (names: readonly string[]): string => (names.length === 0 ? "" : ` (${visible(names.join(", "))})`)

/** How, and until when; a token fetched with an SSH key has no login. */
function login({ login }: Whoami, now: number): string[] {
  if (!login) return []
  const proven = login.auth_time === null ? "" : `, proven at ${time(login.auth_time, now)}`
  return [`logged in by ${visible(login.via)}${proven}, until ${until(login.expires_at, now)}`]
}
