// `sluice targets`: what you may ask for.
import { formatDuration } from "../core/duration.ts"
import { visible } from "../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "./context.ts"
import { table } from "./table.ts"
import { listing } from "./words.ts"

const heads = ["TARGET", "PROTOCOL", "FOR UP TO", "APPROVED BY", "AS", "LABELS"]

export const addTargets: AddVerb = (program, context) => {
  program
    .command("targets")
    .description("what you may ask for")
    .option(...jsonOption)
    .action(async (options: JsonOption) => {
      const { signal, columns } = context.io
      const answer = await (await context.api()).call("targets", {}, { signal })
      const rows = answer.targets.map((target) => [
        visible(target.name),
        target.protocol,
        formatDuration(target.max_ms),
        (target.approve === "auto" ? "a rule" : "people") + (target.reason_required ? ", with a reason" : ""),
        visible(target.accounts.join(", ")),
        visible(
          Object.entries(target.labels)
            .map((pair) => pair.join("="))
            .join(" "),
        ),
      ])
      const held = answer.targets.flatMap(({ name, actions }) => (actions === null ? [] : listing(visible(name), actions)))
      show(context, options, answer, () =>
        [table(heads, rows, { columns, nothing: "No rule lets you ask for anything." }), ...held].join("\n"),
      )
    })
}
