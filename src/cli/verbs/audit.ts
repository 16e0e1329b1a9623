// `sluice audit`: the audit log, for auditors and administrators: who did what, when, from where, why, and by which rule.
import type { AuditEvent } from "../../api/schema.ts"
import { visible } from "../../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { count, duration } from "../ids.ts"
import { table } from "../table.ts"
import { columnTime, reasonOf } from "../words.ts"

interface Options extends JsonOption {
  readonly since?: number
  readonly who?: string
  readonly kind?: string
  readonly before?: number
  readonly limit: number
}

const heads = ["EVENT", "AT (UTC)", "KIND", "BY", "FROM", "ABOUT", "RULE", "REASON"]

export const addAudit: AddVerb = (program, context) => {
  program
    .command("audit")
    .description("the audit log, newest first; for auditors and administrators")
    .option("--since <duration>", "only what happened within this time, such as 7d", duration)
    .option("--who <name>", "only what this person, rule or gateway did")
    .option("--kind <kind>", "only this kind, such as grant.made, or a family, such as grant.*")
    .option("--before <event>", "only events before this number: the next page", count)
    .option("--limit <count>", "at most so many", count, 100)
    .option(...jsonOption)
    .action(async (options: Options) => {
      const { since, who, kind, before, limit } = options
      const query = {
        limit,
        ...(since === undefined ? {} : { since: context.now() - since }),
        ...(who === undefined ? {} : { by: who }),
        ...(kind === undefined ? {} : { kind }),
        ...(before === undefined ? {} : { before }),
      }
      const answer = await (await context.api()).call("audit", { query }, { signal: context.io.signal })
      show(context, options, answer, () => {
        const rows = table(
          heads,
          answer.events.map((event) => row(event, context.now())),
          { columns: context.io.columns, nothing: "There are no such events." },
        )
        const last = answer.events.at(-1)
        return last && answer.events.length >= limit ? `${rows}\n\nThe next page: ${context.call} audit --before ${last.sequence}` : rows
      })
    })
}

function row({ sequence, at, kind, by, from, request, grant, session, rule, reason }: AuditEvent, now: number): string[] {
  const about = [
    ...(request === null ? [] : [`request ${request}`]),
    ...(grant === null ? [] : [grant]),
    ...(session === null ? [] : [session]),
  ]
  return [
    String(sequence),
    columnTime(at, now),
    kind,
    visible(by),
    visible(from ?? ""),
    about.join(" "),
    visible(rule ?? ""),
    reason === "" ? "" : reasonOf(reason),
  ]
}
