// `sluice sessions`: what was opened, by whom, and how it ended.
import type { SessionView } from "../api/schema.ts"
import { visible } from "../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "./context.ts"
import { table } from "./table.ts"
import { columnTime, targetAs } from "./words.ts"

const heads = ["SESSION", "WHO", "TARGET", "FROM", "STARTED (UTC)", "ENDED (UTC)"]

export const addSessions: AddVerb = (program, context) => {
  program
    .command("sessions")
    .description("sessions: yours, and those you may kill")
    .option("--live", "only those that are open now")
    .option(...jsonOption)
    .action(async (options: JsonOption & { readonly live?: true }) => {
      const query = options.live ? { live: true } : {}
      const answer = await (await context.api()).call("sessions", { query }, { signal: context.io.signal })
      const now = context.now()
      const rows = answer.sessions.map((session) => [
        session.id,
        visible(session.subject),
        `${targetAs(session.target, session.as === null ? null : [session.as])} (${session.protocol})`,
        visible(session.client),
        columnTime(session.started_at, now),
        ended(session, now),
      ])
      show(context, options, answer, () =>
        table(heads, rows, { columns: context.io.columns, nothing: options.live ? "Nobody is connected." : "There are no sessions." }),
      )
    })
}

function ended({ ended_at, ended_why }: SessionView, now: number): string {
  return ended_at === null ? "live" : `${columnTime(ended_at, now)}, ${visible(ended_why ?? "unknown")}`
}
