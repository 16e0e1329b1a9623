// `sluice targets`: what you may ask for.
import type { AskableTarget } from "../../api/schema.ts"
import { formatDuration } from "../../core/duration.ts"
import { visible } from "../../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { table } from "../table.ts"
import { listing } from "../words.ts"

function approvedBy({ approve, break_glass, reason_required }: AskableTarget): string {
  const who = { auto: "a rule", people: "people", break_glass: "nobody: --break-glass" }[approve]
  return [
    who,
    ...(reason_required ? ["with a reason"] : []),
    ...(break_glass && approve !== "break_glass" ? ["or --break-glass"] : []),
  ].join(", ")
}

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
        approvedBy(target),
        visible(target.accounts.join(", ")),
        visible(
          Object.entries(target.labels)
            .map((pair) => pair.join("="))
            .join(" "),
        ),
      ])
      const held = answer.targets.flatMap(({ name, actions }) => (actions === null ? [] : listing(visible(name), actions, columns)))
      show(context, options, answer, () =>
        [table(heads, rows, { columns, nothing: "No rule lets you ask for anything." }), ...held].join("\n"),
      )
    })
}
