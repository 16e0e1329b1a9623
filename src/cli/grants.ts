// `sluice grants`: access that holds now, yours and what you may revoke.
import type { GrantView } from "../api/schema.ts"
import { visible } from "../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "./context.ts"
import { table } from "./table.ts"
import { columnTime, distance, targetAs } from "./words.ts"

const heads = ["GRANT", "WHO", "TARGET", "REQUEST", "STATUS (UTC)"]

export const addGrants: AddVerb = (program, context) => {
  program
    .command("grants")
    .description("grants: yours, and those you may revoke")
    .option("--all", "also those that are over")
    .option(...jsonOption)
    .action(async (options: JsonOption & { readonly all?: true }) => {
      const query = options.all ? { all: true } : {}
      const answer = await (await context.api()).call("grants", { query }, { signal: context.io.signal })
      show(context, options, answer, () => grantTable(answer.grants, context.now(), context.io.columns))
    })
}

export const grantTable = (grants: readonly GrantView[], now: number, columns: number): string =>
  table(
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

export function grantStatus({ status, starts_at, ends_at, ended_at, ended_by, ended_reason }: GrantView, now: number): string {
  if (status !== "active") {
    const by = ended_by === null ? "" : ` by ${visible(ended_by)}`
    const why = ended_reason === null || ended_reason === "" ? "" : `: ${visible(ended_reason)}`
    return `${status}${ended_at === null ? "" : ` ${columnTime(ended_at, now)}`}${by}${why}`
  }
  if (ends_at <= now) return `ended ${columnTime(ends_at, now)}`
  const ends = `ends ${columnTime(ends_at, now)}`
  return starts_at > now ? `starts ${columnTime(starts_at, now)}, ${ends}` : `${ends}, ${distance(ends_at, now)}`
}
