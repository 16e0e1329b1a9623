// People with real ed25519 keys in files, as ssh wants them.
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { generateOpensshKey } from "../../src/config/openssh_key.ts"
import { scratch } from "./scratch.ts"

export interface KeyPair {
  /** OpenSSH private key text. */
  readonly privateKey: string
  /** "ssh-ed25519 AAAA… comment" */
  readonly publicKey: string
  /** A file with the private key, mode 0600; its public half beside it as `.pub`. */
  readonly file: string
}

export interface Person extends KeyPair {
  readonly name: string
  readonly groups: readonly string[]
}

let folder: string | undefined
let count = 0

/** A new key pair in files. */
export function keyPair(comment: string): KeyPair {
  folder ??= scratch("keys")
  const inside = join(folder, String(++count))
  mkdirSync(inside, { mode: 0o700 })
  const made = generateOpensshKey(comment)
  const privateKey = made.private.reveal()
  const publicKey = made.public
  const file = join(inside, "id_ed25519")
  writeFileSync(file, privateKey, { mode: 0o600 })
  writeFileSync(`${file}.pub`, `${publicKey}\n`)
  return { privateKey, publicKey, file }
}

/** `person("alice", "engineers")` is alice@example.com with a key of her own. */
export function person(name: string, ...groups: readonly string[]): Person {
  const address = name.includes("@") ? name : `${name}@example.com`
  return { name: address, groups, ...keyPair(address) }
}

/** Who most tests need: alice asks, bob approves, carol is neither, dana administers. */
export interface People {
  readonly alice: Person
  readonly bob: Person
  readonly carol: Person
  readonly dana: Person
}

export const people = (): People => ({
  alice: person("alice", "engineers"),
  bob: person("bob", "oncall"),
  carol: person("carol", "engineers"),
  dana: person("dana", "admins"),
})
