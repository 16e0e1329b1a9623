// The demo's two people, each with a key and an ssh_config that stock OpenSSH takes with -F. Nothing goes into anybody's ~/.ssh.
import { writeFileSync } from "node:fs"
import ssh2 from "ssh2"
import { generateOpensshKey } from "../src/config/openssh_key.ts"
import { kept, type Folder } from "./folder.ts"

export interface Person {
  readonly name: string
  readonly groups: readonly string[]
  /** One line, OpenSSH. */
  readonly publicKey: string
}

export function makePeople(folder: Folder): readonly Person[] {
  const person = (name: string, groups: readonly string[]): Person => ({
    name,
    groups,
    publicKey: keptKey(folder.path(name, "id_ed25519"), name),
  })
  return [person("alice", ["engineers"]), person("bob", ["oncall"])]
}

/** The public half of the key kept at `path`. */
export function keptKey(path: string, comment: string): string {
  return `${publicHalf(kept(path, () => generateOpensshKey(comment).private.reveal()))} ${comment}`
}

/** The public half of a private key in OpenSSH's format, as "type base64". */
export function publicHalf(privateKey: string): string {
  const parsed = ssh2.utils.parseKey(privateKey)
  if (parsed instanceof Error) throw parsed
  return `${parsed.type} ${parsed.getPublicSSH().toString("base64")}`
}

export interface SshFiles {
  readonly folder: Folder
  readonly people: readonly Person[]
  readonly port: number
  readonly login: string
  /** The gateway's host CA, as "type base64". */
  readonly hostCa: string
}

/** One line of trust for everything behind the gateway, and a configuration for each person. */
export function writeSshFiles({ folder, people, port, login, hostCa }: SshFiles): void {
  writeFileSync(folder.path("known_hosts"), `@cert-authority * ${hostCa} sluice\n`)
  for (const { name } of people) {
    const config = `# ${name}, for ssh -F
Host gateway
  HostName localhost
  Port ${port}
  User ${name}

Host demo-host
  User ${login}
  ProxyJump gateway

Host *
  IdentityFile "${folder.path(name, "id_ed25519")}"
  IdentitiesOnly yes
  IdentityAgent none
  UserKnownHostsFile "${folder.path("known_hosts")}"
  StrictHostKeyChecking yes
`
    writeFileSync(folder.path(name, "ssh_config"), config)
  }
}
