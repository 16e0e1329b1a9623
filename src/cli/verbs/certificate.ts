// `sluice certificate`: short-lived certificates for keys that are made here and never leave this machine. The SSH key goes into the
// running ssh-agent, which forgets it at its end; without one it lies in a file of one's own, as psql's does.
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises"
import { homedir, tmpdir } from "node:os"
import { join } from "node:path"
import type { Command } from "commander"
import type { ApiClient } from "../../api/client.ts"
import { generateOpensshKey } from "../../config/openssh_key.ts"
import { GatewayError } from "../../core/errors.ts"
import { visible } from "../../core/visible.ts"
import { jsonOption, show, type AddVerb, type JsonOption } from "../context.ts"
import type { AfterLogin } from "./login.ts"
import { until } from "../words.ts"

export interface Kept {
  readonly subject: string
  readonly expires_at: number
  /** Whether the ssh-agent has the SSH key; else it is in `identity_file`, its certificate beside it. */
  readonly agent: boolean
  readonly identity_file: string | null
  readonly sslcert: string
  readonly sslkey: string
}

export interface Keeping {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly now: number
  readonly signal: AbortSignal
}

/** Asks for both kinds and keeps them where ssh and psql look. */
export async function keepCertificates(api: ApiClient, { env, now, signal }: Keeping): Promise<Kept> {
  const { newCsr } = await import("../csr.ts") // what it needs takes a moment to load
  const ssh = generateOpensshKey("sluice")
  const client = await newCsr()
  const body = { ssh_public_key: ssh.public, csr: client.csr }
  const { subject, expires_at, ssh_certificate, certificate } = await api.call("certificates", { body }, { signal })
  if (ssh_certificate === null || certificate === null) throw new GatewayError("stale", {}, new Error("fewer certificates than asked for"))
  const folder = folderOf(env)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const [sslcert, sslkey] = [join(folder, "client.crt"), join(folder, "client.key")]
  await keep(sslkey, client.key.reveal())
  await keep(sslcert, certificate)
  const files: SshFiles = { key: ssh.private.reveal(), certificate: ssh_certificate }
  const agent = env["SSH_AUTH_SOCK"] ? await toAgent(files, { life_ms: expires_at - now, signal }) : false
  const identity_file = join(folder, "id_sluice")
  if (agent) await Promise.all([identity_file, `${identity_file}-cert.pub`].map((path) => rm(path, { force: true })))
  else {
    await keep(identity_file, files.key)
    await keep(`${identity_file}-cert.pub`, `${files.certificate}\n`)
  }
  return { subject, expires_at, agent, identity_file: agent ? null : identity_file, sslcert, sslkey }
}

interface SshFiles {
  readonly key: string
  readonly certificate: string
}

/** Whole or not at all, and never readable by others for a moment. */
async function keep(path: string, text: string): Promise<void> {
  const passing = `${path}.${process.pid}`
  await writeFile(passing, text, { mode: 0o600 })
  await rename(passing, path)
}

/** Whether it took them. ssh-add wants files: they lie in a folder of ours for as long as it runs. */
async function toAgent({ key, certificate }: SshFiles, { life_ms, signal }: { life_ms: number; signal: AbortSignal }): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-"))
  try {
    const file = join(folder, "sluice")
    await writeFile(file, key, { mode: 0o600 })
    await writeFile(`${file}-cert.pub`, `${certificate}\n`, { mode: 0o600 })
    const child = spawn("ssh-add", ["-q", "-t", String(Math.max(1, Math.floor(life_ms / 1000))), file], { stdio: "ignore", signal })
    return await new Promise((resolve) => {
      child.once("error", () => resolve(false))
      child.once("close", (status) => resolve(status === 0))
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** What to add to what `ssh-config` and `pg-service` print, where `sluice certificate` has kept files here; empty where it has not. */
export function certificateHint(verb: "ssh-config" | "pg-service", env: Keeping["env"]): string {
  const folder = folderOf(env)
  const there = (...names: readonly string[]): string[] | undefined => {
    const paths = names.map((name) => join(folder, name))
    return paths.every((path) => existsSync(path)) ? paths : undefined
  }
  if (verb === "ssh-config") {
    const [key] = there("id_sluice", "id_sluice-cert.pub") ?? []
    return key === undefined
      ? ""
      : `\n# your certificate (sluice certificate makes it anew): below each Host line\n#   IdentityFile ${key}\n`
  }
  const [sslcert, sslkey] = there("client.crt", "client.key") ?? []
  if (sslcert === undefined || sslkey === undefined) return ""
  return `# your certificate (sluice certificate makes it anew): in each service, and then PGPASSWORD is not needed\n# sslcert=${sslcert}\n# sslkey=${sslkey}\n`
}

const folderOf = (env: Keeping["env"]): string => join(env["XDG_CONFIG_HOME"] || join(homedir(), ".config"), "sluice")

/** What to paste. */
export function certificateText(kept: Kept, now: number): string {
  const { subject, expires_at, agent, identity_file, sslcert, sslkey } = kept
  const ssh = agent
    ? "  ssh   your agent has it: nothing else is needed"
    : `  ssh   ssh -i ${identity_file} …, or in ~/.ssh/config: IdentityFile ${identity_file}`
  return [
    `Certificates for ${visible(subject)}, good until ${until(expires_at, now)}.`,
    ssh,
    `  psql  sslcert=${sslcert} sslkey=${sslkey}`,
    `  curl  --cert ${sslcert} --key ${sslkey}`,
  ].join("\n")
}

/** What `sluice login` brings besides the login. */
export const bringCertificates: AfterLogin = async ({ io, now }, api) => {
  const kept = await keepCertificates(api, { env: process.env, now: now(), signal: io.signal })
  io.error(`${certificateText(kept, now())}\n`)
}

/** On somebody's own machine alone: the keys stay there. */
export const addCertificate: AddVerb = (program: Command, context) => {
  program
    .command("certificate")
    .description("short-lived certificates for ssh and psql, for keys made here")
    .option(...jsonOption)
    .action(async (options: JsonOption) => {
      const now = context.now()
      const kept = await keepCertificates(await context.api(), { env: process.env, now, signal: context.io.signal })
      show(context, options, kept, () => certificateText(kept, now))
    })
}
