// A real OpenSSH server on loopback: its own host key, configuration and one authorized key. It lets the user in who runs the
// tests (root too), because only root could become somebody else; asked for, root uses an ordinary account of this machine.
//
//   const sshd = await startSshd()
//   target: { name: "prod-host", ssh: { address: sshd.at, logins: [sshd.login], auth: { key: `file:${sshd.key.file}` }, host_key: sshd.hostKey } }
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import { type KeyPair, keyPair } from "./people.ts"
import { type LocalAddress, answers, onFreePort } from "./port.ts"
import { launch } from "./run.ts"
import { scratch } from "./scratch.ts"
import { mustHave } from "./tools.ts"
import { eventually } from "./wait.ts"

export interface Sshd {
  readonly address: LocalAddress
  /** "127.0.0.1:52044" */
  readonly at: string
  /** The account that can log in. */
  readonly login: string
  /** Whether it passes signals on to a command without a terminal: OpenSSH does not when root logs in (no privilege separation). */
  readonly signals: boolean
  /** The key that is let in. */
  readonly key: KeyPair
  /** "ssh-ed25519 AAAA…" */
  readonly hostKey: string
  /** Its log so far (LogLevel VERBOSE). */
  log(): string
  stop(): Promise<void>
}

export interface SshdOptions {
  /** More public keys to let in. */
  readonly authorized?: readonly string[]
  /** Lines for sshd_config; the first value of an option wins, and these come first. */
  readonly config?: readonly string[]
  /** Run by root: lets an ordinary account in, if this machine has one with a shell. */
  readonly ordinary?: boolean
}

export async function startSshd(options: SshdOptions = {}): Promise<Sshd> {
  const program = mustHave("sshd")
  const folder = scratch("sshd")
  const host = keyPair("host")
  const key = keyPair("target")
  // sshd run by root wants its empty privilege separation folder, which only a service start would have made.
  if (process.getuid?.() === 0 && !existsSync("/run/sshd")) mkdirSync("/run/sshd", { mode: 0o755 })
  const authorized = join(folder, "authorized_keys")
  writeFileSync(authorized, [key.publicKey, ...(options.authorized ?? [])].join("\n") + "\n", { mode: 0o644 })
  const login = (options.ordinary ? ordinaryAccount() : undefined) ?? userInfo().username

  return onFreePort(async (port) => {
    const config = join(folder, `sshd_config.${port}`)
    writeFileSync(config, [...(options.config ?? []), ...settings({ port, hostKey: host.file, authorized, folder })].join("\n") + "\n")
    const server = launch(program, ["-D", "-e", "-f", config], { background: true })
    await eventually("sshd to listen", async () => !server.running || (await answers(port)))
    if (!server.running) throw new Error(`sshd did not start: ${server.stderr}`)
    return {
      address: { host: "127.0.0.1", port },
      at: `127.0.0.1:${port}`,
      login,
      signals: login !== "root",
      key,
      hostKey: host.publicKey.split(" ").slice(0, 2).join(" "),
      log: () => server.stderr,
      async stop() {
        await server.stop()
        endMarked(`SLUICE_TEST_SSHD=${folder}`)
      },
    }
  })
}

interface Settings {
  readonly port: number
  readonly hostKey: string
  readonly authorized: string
  readonly folder: string
}

function settings({ port, hostKey, authorized, folder }: Settings): readonly string[] {
  return [
    "ListenAddress 127.0.0.1",
    `Port ${port}`,
    `HostKey ${hostKey}`,
    `AuthorizedKeysFile ${authorized}`,
    "PidFile none",
    "UsePAM no",
    "PermitRootLogin prohibit-password",
    "PasswordAuthentication no",
    "KbdInteractiveAuthentication no",
    "StrictModes no", // the keys are in a temporary folder
    "UseDNS no",
    "PrintMotd no",
    "PrintLastLog no",
    "MaxStartups 200",
    "MaxSessions 200",
    "AcceptEnv LANG LC_* SLUICE_*",
    "Subsystem sftp internal-sftp",
    "LogLevel VERBOSE",
    `SetEnv SLUICE_TEST_SSHD=${folder}`,
  ]
}

/** Somebody with a real shell who is not locked out; undefined when we are not root and could not become them. */
function ordinaryAccount(): string | undefined {
  if (process.getuid?.() !== 0) return undefined
  const rows = (file: string): string[][] =>
    readFileSync(file, "utf8")
      .split("\n")
      .map((line) => line.split(":"))
  const open = new Set(rows("/etc/shadow").flatMap(([name = "", secret = "!"]) => (secret.startsWith("!") ? [] : [name])))
  return rows("/etc/passwd").find(([name = "", , uid, , , , shell = ""]) => uid !== "0" && open.has(name) && /\/(ba)?sh$/.test(shell))?.[0]
}

/** What was started in a login outlives sshd and its connection; the mark in its environment tells that it is ours. */
function endMarked(mark: string): void {
  if (!existsSync("/proc/self/environ")) return
  for (const name of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (readFileSync(`/proc/${name}/environ`, "latin1").split("\0").includes(mark)) process.kill(Number(name), "SIGKILL")
    } catch {
      // ended meanwhile, or somebody else's
    }
  }
}
