// `sluice grants`: access that holds now, yours and what you may revoke.
import type { GrantView } from "../../api/schema.ts"
import { formatDuration } from "../../core/duration.ts"
import { visible } from "../../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import { requestNumber } from "../ids.ts"
import { andNext, inPages, limitOption, type PageOptions } from "../pages.ts"
import { table } from "../table.ts"
import { columnTime, distance, listing, targetAs, usesOf } from "../words.ts"

const heads = ["GRANT", "WHO", "TARGET", "REQUEST", "STATUS (UTC)"]

export const addGrants: AddVerb = (program, context) => {
  program
    .command("grants")
    .description("grants: yours, and those you may revoke")
    .option("--all", "also those that are over")
    .option(...limitOption)
    .option("--before <request>", "only those of requests before this one: the next page", requestNumber)
    .option(...jsonOption)
    .action(async (options: JsonOption & PageOptions<number> & { readonly all?: true }) => {
      const query = options.all ? { all: true } : {}
      const api = await context.api()
      const { items: grants, next } = await inPages(options, async (page) => {
        const answer = await api.call("grants", { query: { ...query, ...page } }, { signal: context.io.signal })
        return { items: answer.grants, next: answer.next }
      })
      show(context, options, { grants, next }, () =>
        andNext(grantTable(grants, context.now(), context.io.columns), `${context.call} grants${options.all ? " --all" : ""}`, {
          limit: options.limit,
          next,
        }),
      )
    })
}

/** The table, and below it what those are held to that do not cover everything. */
export function grantTable(grants: readonly GrantView[], now: number, columns: number): string {
  const rows = table(
    heads,
    grants.map((grant) => [
      grant.id,
      visible(grant.subject),
      targetAs(grant.target, grant.as),
      String(grant.request),
      grantStatus(grant, now),
    ]),
    { columns, nothing: "There are no grants." },
  )
  const held = grants.filter((grant) => grant.actions !== null && isOpen(grant, now))
  return [rows, ...held.flatMap(({ id, actions }) => listing(id, actions ?? [], columns))].join("\n")
}

const isOpen = ({ status, ends_at }: GrantView, now: number): boolean => status === "active" && now < ends_at

export function grantStatus(grant: GrantView, now: number): string {
  const { status, starts_at, ends_at, first_use_ms, ended_at, ended_by, ended_reason } = grant
  if (status !== "active") {
    const by = ended_by === null ? "" : ` by ${visible(ended_by)}`
    const why = ended_reason === null || ended_reason === "" ? "" : `: ${visible(ended_reason)}`
    return `${status}${ended_at === null ? "" : ` ${columnTime(ended_at, now)}`}${by}${why}`
  }
  const at = columnTime(ends_at, now)
  if (ends_at <= now) return first_use_ms === null ? `ended ${at}` : `ended ${at}, never used`
  const left = usesOf(grant)
  const uses = left === undefined ? "" : `, ${left}`
  const starts = starts_at > now ? `starts ${columnTime(starts_at, now)}, ` : ""
  if (first_use_ms !== null) return `${starts}${formatDuration(first_use_ms)} from its first use, before ${at}${uses}`
  return `${starts}ends ${at}${starts === "" ? `, ${distance(ends_at, now)}` : ""}${uses}`
}
