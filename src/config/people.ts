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
  /** The user's keys, each with its place. */
  readonly keys: readonly { readonly key: SshPublicKey; readonly path: Path }[]
}

export function readUsers(reading: Reading): User[] {
  reading.section(part.identity, ["identity"])
  const list: Path = ["identity", "users"]
  if (reading.countAt(list) === 0 && reading.at(["identity"]) !== undefined && reading.at(["identity", "oidc"]) === undefined)
    reading.problem(list, "nobody could log in: list at least one user, or say where people log in with `oidc`")
  const users = Array.from({ length: reading.countAt(list) }, (_, index) => readUser(reading, [...list, index]))
  const placed = users.filter((user) => user !== undefined)
  checkNames(reading, placed)
  checkKeys(reading, placed)
  checkSubs(reading, placed)
  return placed.map(({ user }) => user)
}

/** The groups there are: those that somebody is in. */
export const groupsOf = (users: readonly User[]): string[] => [...new Set(users.flatMap(({ groups }) => groups))]

/** The users whom a list of groups and users names. */
export const namedBy = (names: readonly string[], users: readonly User[]): User[] =>
  users.filter((user) => names.includes(user.name) || user.groups.some((group) => names.includes(group)))

/** What may name a person or a group: it is shown to approvers and written in recordings, so nothing in it can look like something else. */
export const isName = (text: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._@+:-]{0,127}$/.test(text)
const name_words = "letters, digits and . _ @ + : - make a name"

function readUser(reading: Reading, path: Path): Placed | undefined {
  const file = reading.section(part.user, path)
  if (!file) return asFarAsKnown(reading, path)
  if (!isName(file.name)) reading.problem([...path, "name"], name_words)
  for (const [index, group] of file.groups.entries()) if (!isName(group)) reading.problem([...path, "groups", index], name_words)
  const keys = file.ssh_keys.flatMap((line, index) => {
    const at = [...path, "ssh_keys", index]
    try {
      return [{ key: parsePublicKey(line, { tokens: true }), path: at }]
    } catch (failure) {
      reading.problem(at, (failure as Error).message)
      return []
    }
  })
  if (file.oidc_sub !== undefined && reading.at(["identity", "oidc"]) === undefined)
    reading.problem([...path, "oidc_sub"], "there is no `oidc` whose `sub` this could be")
  const user = { name: file.name, groups: [...new Set(file.groups)], ssh_keys: keys.map(({ key }) => key), oidc_sub: file.oidc_sub }
  return { user, path, keys }
}

/** The name and groups of a user who could not be read, so that rules which name them are not blamed. */
function asFarAsKnown(reading: Reading, path: Path): Placed | undefined {
  const name = reading.at([...path, "name"])
  const groups = reading.at([...path, "groups"])
  if (typeof name !== "string") return undefined
  const named = Array.isArray(groups) ? groups.filter((group) => typeof group === "string") : []
  return { user: { name, groups: named, ssh_keys: [] }, path, keys: [] }
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
  for (const { user, keys } of placed) {
    for (const { key, path } of keys) {
      const blob = key.blob.toString("base64")
      const owner = owners.get(blob)
      if (owner !== undefined) reading.problem(path, owner === user.name ? "this key is listed twice" : `this key is ${owner}'s already`)
      owners.set(blob, user.name)
    }
  }
}

/** One login is one person's. */
function checkSubs(reading: Reading, placed: readonly Placed[]): void {
  const owners = new Map<string, string>()
  for (const { user, path } of placed) {
    if (user.oidc_sub === undefined) continue
    const owner = owners.get(user.oidc_sub)
    if (owner !== undefined) reading.problem([...path, "oidc_sub"], `this is ${owner}'s already`)
    owners.set(user.oidc_sub, user.name)
  }
}
