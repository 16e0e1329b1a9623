// What reading a rule needs to know of the rest of the file, and the names in it that must be somebody's.
import type { User } from "./config.ts"
import { groupsOf, isName } from "./people.ts"
import type { Reading } from "./reading.ts"
import type { Path } from "./source.ts"
import type { Targets } from "./targets.ts"

export interface Known extends Targets {
  readonly users: readonly User[]
  /** Whether people also come by company login: then there are groups that nobody in the file is in. */
  readonly company: boolean
}

export interface Context extends Known {
  readonly reading: Reading
}

/** Groups and users that exist, or that a company login could bring. */
export function people({ reading, users, company }: Context, path: Path, written: string | readonly string[]): string[] {
  const names = [...groupsOf(users), ...users.map(({ name }) => name)]
  return each(path, written, (at, name) => {
    if (!names.includes(name) && !(company && isName(name))) reading.unknown(at, "a group that somebody is in, nor a user", names)
  })
}

/** Checks one value or each of a list at its own place; answers the list. */
export function each(path: Path, written: string | readonly string[], check: (at: Path, value: string) => void): string[] {
  if (typeof written === "string") {
    check(path, written)
    return [written]
  }
  for (const [index, value] of written.entries()) check([...path, index], value)
  return [...written]
}
