// What to paste into ~/.ssh/config and ~/.ssh/known_hosts so that `ssh root@prod-host` goes through the gateway without a prompt.
//
// OpenSSH looks a host up in known_hosts by the name that was typed (or HostKeyAlias), as [name]:port unless the port is 22; a
// certificate must name the host without the port. Behind -J the name is the target's, its port 22 (sshd(8), SSH_KNOWN_HOSTS FILE
// FORMAT; ssh_config(5), HostKeyAlias).
import ssh2 from "ssh2"
import type { Config } from "../config/config.ts"
import type { Keys } from "../core/keys.ts"
import { jumpWith, tunnelWith } from "../config/ways_in.ts"

const ssh_port = 22

export interface SshConfig {
  /** For ~/.ssh/config. */
  readonly config: string
  /** For ~/.ssh/known_hosts. */
  readonly known_hosts: string
}

/** `targets`: names of the ssh and tcp targets this person may know about. */
export async function sshConfig(options: {
  readonly config: Config
  readonly keys: Keys
  readonly targets: readonly string[]
}): Promise<SshConfig> {
  const { gateway } = options.config
  const port = gateway.ssh?.listen.port ?? ssh_port
  const alias = jumpWith(gateway.ask_with).split(" ").at(-1)!.replace(/:\d+$/, "").replace(/^.*@/, "")
  const those = options.config.targets.filter(({ name }) => options.targets.includes(name))
  const targets = those.flatMap(({ name, protocol }) => (protocol === "ssh" ? [name] : []))
  const tunnels = those.flatMap((target) => (target.protocol === "tcp" ? [`# ${target.name}: ${tunnelWith(`ssh ${alias}`, target)}`] : []))
  const host = [
    `Host ${alias}`,
    `  HostName ${gateway.name}`,
    ...(port === ssh_port ? [] : [`  Port ${port}`]),
    `  HostKeyAlias ${gateway.name}`,
  ]
  const through = targets.length === 0 ? [] : ["", `Host ${targets.join(" ")}`, `  ProxyJump ${alias}`]
  const names = [gateway.name, ...(port === ssh_port ? [] : [`[${gateway.name}]:${port}`]), ...targets]
  return {
    config: [...host, ...through, ...(tunnels.length === 0 ? [] : ["", ...tunnels])].join("\n"),
    known_hosts: `@cert-authority ${names.join(",")} ${await authority(options.keys)} ${gateway.name} host CA`,
  }
}

/** "ssh-ed25519 AAAA…" */
async function authority(keys: Keys): Promise<string> {
  const key = ssh2.utils.parseKey((await keys.private("ssh_host_ca", "ssh-ed25519")).reveal())
  if (key instanceof Error) throw new Error("the host CA's key cannot be read", { cause: key })
  return `${key.type} ${key.getPublicSSH().toString("base64")}`
}

export const sshConfigText = ({ config, known_hosts }: SshConfig): string =>
  `# into ~/.ssh/config\n${config}\n\n# into ~/.ssh/known_hosts\n${known_hosts}`
