// `sluice sessions`: what was opened, by whom, and how it ended.
import type { SessionView } from "../../api/schema.ts"
import { visible } from "../../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { andNext, inPages, limitOption, type PageOptions } from "../pages.ts"
import { table } from "../table.ts"
import { columnTime, targetAs } from "../words.ts"

const heads = ["SESSION", "WHO", "TARGET", "FROM", "STARTED (UTC)", "ENDED (UTC)"]

export const addSessions: AddVerb = (program, context) => {
  program
    .command("sessions")
    .description("sessions: yours, and those you may kill")
    .option("--live", "only those that are open now")
    .option(...limitOption)
    .option("--before <place>", "only those before this place: the next page")
    .option(...jsonOption)
    .action(async (options: JsonOption & PageOptions<string> & { readonly live?: true }) => {
      const query = options.live ? { live: true } : {}
      const api = await context.api()
      const { items: sessions, next } = await inPages(options, async (page) => {
        const answer = await api.call("sessions", { query: { ...query, ...page } }, { signal: context.io.signal })
        return { items: answer.sessions, next: answer.next }
      })
      show(context, options, { sessions, next }, () => {
        const nothing = options.live ? "Nobody is connected." : "There are no sessions."
        const text = table(heads, rowsOf(sessions, context.now()), { columns: context.io.columns, nothing })
        return andNext(text, `${context.call} sessions${options.live ? " --live" : ""}`, { limit: options.limit, next })
      })
    })
}

const rowsOf = (sessions: readonly SessionView[], now: number): string[][] =>
  sessions.map((session) => [
    session.id,
    visible(session.subject),
    `${targetAs(session.target, session.as === null ? null : [session.as])} (${session.protocol})`,
    visible(session.client),
    columnTime(session.started_at, now),
    ended(session, now),
  ])

function ended({ ended_at, ended_why }: SessionView, now: number): string {
  return ended_at === null ? "live" : `${columnTime(ended_at, now)}, ${visible(ended_why ?? "unknown")}`
}
