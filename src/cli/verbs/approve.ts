// `sluice approve`: gives one approval, and shows what was approved.
import type { RequestView } from "../../api/schema.ts"
import { formatDuration } from "../../core/duration.ts"
import { visible } from "../../core/visible.ts"
import { jsonOption, show, type AddVerb, type Context, type JsonOption } from "../context.ts"
import { factLines } from "../fact_lines.ts"
import { heldFacts, isHeld, type Reading } from "../held_words.ts"
import { requestNumber } from "../ids.ts"
import { accounts, reasonOf, stillNeeded, until, usesOf } from "../words.ts"

export const addApprove: AddVerb = (program, context) => {
  program
    .command("approve")
    .argument("<request>", "its number", requestNumber)
    .description("approve a request; never your own")
    .option("--reason <words>", "why; it is kept", "")
    .option(...jsonOption)
    .action(async (id: number, options: JsonOption & { readonly reason: string }) => {
      const body = { reason: options.reason }
      const request = await (await context.api()).call("approve", { id, body }, { signal: context.io.signal })
      show(context, options, request, () => `${verdict(request)}\n${facts(request, readingIn(context))}`)
    })
}

function verdict({ id, status, approvals_needed, decisions }: RequestView): string {
  if (status === "approved") return `Request ${id} is approved.`
  const given = new Set(decisions.filter(({ verdict }) => verdict === "approve").map(({ by }) => by)).size
  return `Your approval of request ${id} is counted: ${given} of ${approvals_needed}.`
}

export const readingIn = ({ now, io }: Context): Reading => ({ now: now(), columns: io.columns })

/** What somebody just decided about, every word of it escaped. */
export function facts(request: RequestView, reading: Reading): string {
  if (isHeld(request)) return heldFacts(request, reading)
  const { now, columns } = reading
  const fact = (label: string, text: string): string => factLines(label, text, columns)
  const { subject, target, as, reason, grant, duration_ms, actions, uses, extends_grant } = request
  const used = usesOf({ actions, uses_max: uses, uses_left: uses })
  return [
    fact("who", visible(subject)),
    fact("target", visible(target)),
    fact("as", accounts(as)),
    ...(actions ?? []).map((action) => fact("action", visible(action))),
    ...(used === undefined ? [] : [`  uses    ${used}`]),
    fact("reason", reasonOf(reason)),
    `  for     ${formatDuration(duration_ms)}${extends_grant === null ? "" : " more"}`,
    `  rule    ${visible(request.rule)}`,
    ...times(request, now),
    ...(request.status === "pending" ? stillNeeded(request, now).map((line) => `  ${line}`) : []),
    ...(grant ? [`  grant   ${grant.id}`] : []),
  ].join("\n")
}

function times({ status, grant, starts_at, first_use_within_ms, extends_to }: RequestView, now: number): string[] {
  const from = starts_at !== null && starts_at > now ? `from ${until(starts_at, now)} ` : ""
  if (extends_to !== null) return [`  end     until ${until(extends_to, now)}`]
  if (first_use_within_ms !== null) {
    const by =
      status === "approved" && grant?.first_use_ms != null
        ? `before ${until(grant.ends_at, now)}`
        : `within ${formatDuration(first_use_within_ms)}`
    return [`  start   ${from}with its first use, ${by}`]
  }
  if (grant) return [`  end     ${from}until ${until(grant.ends_at, now)}`]
  return from === "" ? [] : [`  start   ${from.trim()}`]
}
