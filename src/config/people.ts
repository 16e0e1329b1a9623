// The section `identity`: the users, their groups and keys.
import type { SshPublicKey } from "../identity/credential.ts"
import type { User } from "./config.ts"
import type { Reading } from "./reading.ts"
import { part } from "./schema.ts"
import { parsePublicKey } from "./openssh_key.ts"
import type { Path } from "./source.ts"

interface Placed {
  readonly user: User
  readonly path: Path
}

export function readUsers(reading: Reading): User[] {
  reading.section(part.identity, ["identity"])
  const list: Path = ["identity", "users"]
  const users = Array.from({ length: reading.countAt(list) }, (_, index) => readUser(reading, [...list, index]))
  const placed = users.flatMap((user, index) => (user ? [{ user, path: [...list, index] }] : []))
  checkNames(reading, placed)
  checkKeys(reading, placed)
  return placed.map(({ user }) => user)
}

/** The groups there are: those that somebody is in. */
export const groupsOf = (users: readonly User[]): string[] => [...new Set(users.flatMap(({ groups }) => groups))]

/** The users whom a list of groups and users names. */
export const namedBy = (names: readonly string[], users: readonly User[]): User[] =>
  users.filter((user) => names.includes(user.name) || user.groups.some((group) => names.includes(group)))

/** What may name a person or a group: it is shown to approvers and written in recordings, so nothing in it can look like something else. */
const isName = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._@+:-]{0,127}$/.test(text)
const name_words = "letters, digits and . _ @ + : - make a name"

function readUser(reading: Reading, path: Path): User | undefined {
  const file = reading.section(part.user, path)
  if (!file) return asFarAsKnown(reading, path)
  if (!isName(file.name)) reading.problem([...path, "name"], name_words)
  for (const [index, group] of file.groups.entries()) if (!isName(group)) reading.problem([...path, "groups", index], name_words)
  const ssh_keys = file.ssh_keys.flatMap((line, index): SshPublicKey[] => {
    try {
      return [parsePublicKey(line)]
    } catch (failure) {
      reading.problem([...path, "ssh_keys", index], (failure as Error).message)
      return []
    }
  })
  return { name: file.name, groups: [...new Set(file.groups)], ssh_keys }
}

/** The name and groups of a user who could not be read, so that rules which name them are not blamed. */
function asFarAsKnown(reading: Reading, path: Path): User | undefined {
  const name = reading.at([...path, "name"])
  const groups = reading.at([...path, "groups"])
  if (typeof name !== "string") return undefined
  return { name, groups: Array.isArray(groups) ? groups.filter((group) => typeof group === "string") : [], ssh_keys: [] }
}

/** One name is one person: not two that differ in case, and not a group as well, or a rule could mean either. */
function checkNames(reading: Reading, placed: readonly Placed[]): void {
  const groups = new Set(groupsOf(placed.map(({ user }) => user)))
  for (const [index, { user, path }] of placed.entries()) {
    const same = placed.slice(0, index).find((other) => other.user.name.toLowerCase() === user.name.toLowerCase())
    if (same)
      reading.problem(
        [...path, "name"],
        `${reading.written([...path, "name"])} is there already${same.user.name === user.name ? "" : ", in other case"}`,
      )
    else if (groups.has(user.name))
      reading.problem([...path, "name"], `${reading.written([...path, "name"])} is the name of a group as well`)
  }
}

/** A key proves who somebody is only if it is one person's. */
function checkKeys(reading: Reading, placed: readonly Placed[]): void {
  const owners = new Map<string, string>()
  for (const { user, path } of placed) {
    for (let index = 0; index < reading.countAt([...path, "ssh_keys"]); index++) {
      const blob = String(reading.at([...path, "ssh_keys", index]))
        .trim()
        .split(/\s+/)[1]
      if (blob === undefined) continue
      const owner = owners.get(blob)
      if (owner !== undefined)
        reading.problem([...path, "ssh_keys", index], owner === user.name ? "this key is listed twice" : `this key is ${owner}'s already`)
      owners.set(blob, user.name)
    }
  }
}
