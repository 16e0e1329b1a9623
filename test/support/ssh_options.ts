// How a person's OpenSSH is set up in a test: a config file in which `gateway` is the gateway, their key and no agent. Host keys
// are accepted when first seen, into a file of their own; a test about host keys says what is trusted, and then nothing else is.
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Person } from "./people.ts"

export interface SshSetup {
  readonly person: Person
  readonly port: number
  readonly folder: string
  /** Lines of known_hosts. */
  readonly trust?: string
}

/** `["-F", file]`: the jump of `-J gateway` reads the same file. */
export function sshOptions({ person, port, folder, trust }: SshSetup): string[] {
  const name = person.name.replaceAll(/[^a-z0-9]/g, "_")
  const kind = trust === undefined ? "new" : "strict"
  const file = join(folder, `ssh_config.${name}.${port}.${kind}`)
  const known = join(folder, `known_hosts.${name}.${kind}`)
  if (trust !== undefined) writeFileSync(known, trust)
  if (!existsSync(file)) {
    const lines = [
      "Host gateway",
      "  HostName 127.0.0.1",
      `  Port ${port}`,
      "Host *",
      `  User ${name}`,
      `  IdentityFile ${person.file}`,
      "  IdentitiesOnly yes",
      "  IdentityAgent none",
      `  StrictHostKeyChecking ${trust === undefined ? "accept-new" : "yes"}`,
      `  UserKnownHostsFile ${known}`,
      "  GlobalKnownHostsFile /dev/null",
      "  BatchMode no",
      "  NumberOfPasswordPrompts 1",
      "  ConnectTimeout 30",
    ]
    writeFileSync(file, lines.join("\n") + "\n", { mode: 0o600 })
  }
  return ["-F", file]
}
