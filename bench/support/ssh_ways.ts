// The ways to one real sshd that SSH is measured on: `ssh -J` through a plain sshd, as users would do without Sluice, and through
// Sluice.
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { keyPair } from "../../test/support/people.ts"
import { scratch } from "../../test/support/scratch.ts"
import { sshTarget } from "../../test/support/sluice_config.ts"
import { type Sshd, startSshd } from "../../test/support/sshd.ts"
import { startGateway } from "./gateway.ts"
import type { Settings } from "./settings.ts"

export interface SshWays {
  /** By name: the words of a command line, behind options and before the command. */
  readonly ways: ReadonlyMap<string, readonly string[]>
  /** What the others are divided by. */
  readonly bases: readonly string[]
  stop(): Promise<void>
}

/**
 * OpenSSH prefers ChaCha20-Poly1305 where it may; Sluice asks for AES-GCM. The plain way is there with both.
 */
export async function startSshWays(settings: Settings): Promise<SshWays> {
  const folder = scratch("bench-ssh")
  const user = keyPair("user")
  const [target, jump] = await Promise.all([startSshd({ authorized: [user.publicKey] }), startSshd({ authorized: [user.publicKey] })])
  const { sluice, alice, bob } = await startGateway([sshTarget("prod-host", target)], settings)
  await sluice.grant(alice, "prod-host", { by: bob, for: "2h" })
  const plain = (ciphers: string): string[] => {
    const config = plainConfig(folder, { jump, target, key: user.file, ciphers })
    return ["-F", config, "-J", "jump", `${target.login}@prod-host`]
  }
  const bases = ["ssh -J", "ssh -J, AES-GCM"]
  return {
    ways: new Map([
      ["ssh -J", plain("^chacha20-poly1305@openssh.com")],
      ["ssh -J, AES-GCM", plain("aes128-gcm@openssh.com")],
      ["sluice", [...sluice.ssh(alice), "-J", "gateway", `${target.login}@prod-host`]],
    ]),
    bases,
    async stop() {
      await sluice.stop()
      await Promise.all([target.stop(), jump.stop()])
    },
  }
}

interface Plain {
  readonly jump: Sshd
  readonly target: Sshd
  /** The user's private key file. */
  readonly key: string
  readonly ciphers: string
}

function plainConfig(folder: string, { jump, target, key, ciphers }: Plain): string {
  const file = join(folder, `ssh_config.${ciphers.replaceAll(/\W/g, "_")}`)
  const lines = `
Host jump
  HostName 127.0.0.1
  Port ${jump.address.port}
  User ${jump.login}
Host prod-host
  HostName 127.0.0.1
  Port ${target.address.port}
Host *
  IdentityFile ${key}
  IdentitiesOnly yes
  IdentityAgent none
  LogLevel ERROR
  Ciphers ${ciphers}
  StrictHostKeyChecking accept-new
  UserKnownHostsFile ${folder}/known_hosts
  GlobalKnownHostsFile /dev/null
`
  writeFileSync(file, lines)
  return file
}
