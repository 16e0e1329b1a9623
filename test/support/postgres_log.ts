// What a PostgreSQL server says in its log that it ran, for one role: the other side of the story that a recording tells.
import type { Postgres } from "./postgres.ts"

/** For `PostgresOptions.settings`: each statement in the log, with what tells one role's from another's. */
export const logged_statements = { log_statement: "all", log_line_prefix: "'<%u> '", log_error_verbosity: "default" } as const

export interface Logged {
  readonly sql: string
  /** As the server writes them: `1`, `it''s`; NULL as null. */
  readonly values: readonly (string | null)[]
}

/** In the order of the log. */
export function loggedBy(role: string, postgres: Postgres): Logged[] {
  const found: { sql: string; values: (string | null)[] }[] = []
  for (const entry of entries(postgres.log())) {
    const [, user, level, words = ""] = /^<([^>]*)> (LOG|DETAIL): {2}([\s\S]*)$/.exec(entry) ?? []
    if (user !== role) continue
    const [, sql] = /^(?:statement|execute (?:fetch from )?[^:]*): ([\s\S]*)$/.exec(words) ?? []
    if (level === "LOG" && sql !== undefined) found.push({ sql, values: [] })
    if (level === "DETAIL" && /^parameters: /i.test(words)) found.at(-1)?.values.push(...valuesIn(words))
  }
  return found
}

/** Lines that begin with a tab go on with the one before. */
function entries(log: string): string[] {
  return log
    .replaceAll("\n\t", "\u0000")
    .split("\n")
    .map((entry) => entry.replaceAll("\u0000", "\n"))
}

function valuesIn(words: string): (string | null)[] {
  return [...words.matchAll(/\$\d+ = (?:NULL|'((?:[^']|'')*)')/g)].map(([, value]) => value?.replaceAll("''", "'") ?? null)
}
