// `sluice people`, `sluice disable` and `sluice enable`: who there is, and who may no longer come in. For administrators.
import { visible } from "../../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { inPages, andNext, limitOption, type PageOptions } from "../pages.ts"
import { table } from "../table.ts"

interface Options extends JsonOption {
  readonly reason: string
}

export const addPeople: AddVerb = (program, context) => {
  const { io } = context
  program
    .command("people")
    .description("everybody there is (administrators)")
    .option(...limitOption)
    .option("--before <name>", "go on after this name: the next page")
    .option(...jsonOption)
    .action(async (options: JsonOption & PageOptions<string>) => {
      const api = await context.api()
      const { items: people, next } = await inPages(options, async (page) => {
        const answer = await api.call("people", { query: page }, { signal: io.signal })
        return { items: answer.people, next: answer.next }
      })
      const rows = people.map(({ name, groups, known_from, disabled }) => [
        visible(name),
        visible(groups.join(", ")),
        known_from,
        disabled ? `disabled by ${visible(disabled.by)}${disabled.reason === "" ? "" : `: ${visible(disabled.reason)}`}` : "",
      ])
      show(context, options, people, () =>
        andNext(table(["NAME", "GROUPS", "FROM", ""], rows, { columns: io.columns, nothing: "Nobody." }), `${context.call} people`, {
          limit: options.limit,
          next,
        }),
      )
    })
  program
    .command("disable")
    .argument("<name>")
    .description("let somebody in no more: ends their logins, requests and grants (administrators)")
    .requiredOption("--reason <words>", "why")
    .option(...jsonOption)
    .action(async (subject: string, options: Options) => {
      const person = await (await context.api()).call("disable", { body: { subject, reason: options.reason } }, { signal: io.signal })
      show(context, options, person, () => `${visible(person.name)} is disabled: logged out everywhere, and without access.`)
    })
  program
    .command("enable")
    .argument("<name>")
    .description("let somebody in again; what they had does not come back (administrators)")
    .option("--reason <words>", "why", "")
    .option(...jsonOption)
    .action(async (subject: string, options: Options) => {
      const person = await (await context.api()).call("enable", { body: { subject, reason: options.reason } }, { signal: io.signal })
      show(context, options, person, () => `${visible(person.name)} may come in again.`)
    })
}
