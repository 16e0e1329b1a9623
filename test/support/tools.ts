// Programs that users have and a test needs. Missing on a person's machine, the test is skipped and says so; missing in CI, it fails.
import { accessSync, constants, existsSync } from "node:fs"
import { delimiter, join } from "node:path"

/** Debian's package for each program that is not named like its package. */
const packages: Readonly<Record<string, string>> = {
  ssh: "openssh-client",
  scp: "openssh-client",
  sftp: "openssh-client",
  "ssh-keygen": "openssh-client",
  "ssh-agent": "openssh-client",
  "ssh-add": "openssh-client",
  sshd: "openssh-server",
  psql: "postgresql-client",
  pgbench: "postgresql-contrib",
  pg_dump: "postgresql-client",
  pg_restore: "postgresql-client",
  pg_basebackup: "postgresql-client",
  pg_recvlogical: "postgresql-client",
  java: "default-jdk-headless",
  dbclient: "dropbear-bin",
  dropbearconvert: "dropbear-bin",
  plink: "putty-tools",
  psftp: "putty-tools",
  pscp: "putty-tools",
  puttygen: "putty-tools",
  "ansible-playbook": "ansible-core",
  script: "bsdutils",
  "newer-psql": "postgresql-client-18 and libpq-oauth of Debian 14, by .ci/newer_programs",
  "newer-pgbouncer": "pgbouncer of Debian 14, by .ci/newer_programs",
  "newer-ssh": "openssh-client of Debian 14, by .ci/newer_programs",
  "newer-sftp": "openssh-client of Debian 14, by .ci/newer_programs",
  "newer-scp": "openssh-client of Debian 14, by .ci/newer_programs",
}

/** The full path of a program, also of those in sbin that an ordinary user's PATH leaves out; undefined when it is not installed. */
export function tool(name: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/local/sbin", "/usr/sbin", "/sbin"]
  return folders.map((folder) => join(folder, name)).find(isExecutable)
}

/** As `tool`; throws, naming the Debian package, when it is missing. */
export function mustHave(name: string): string {
  const path = tool(name)
  if (!path) throw new Error(`${name} is not installed (Debian package: ${packages[name] ?? name})`)
  return path
}

/** For a test's options: `test("…", { skip: needs("ssh", "psql") }, …)`. False when all are there; throws in CI when one is not. */
export function needs(...names: readonly string[]): string | false {
  return notTested(names.filter((name) => !tool(name)).map((name) => `${name} (${packages[name] ?? name})`))
}

/** As `needs`, of a file of a Debian package that is no program. */
export const needsFile = (path: string, debian: string): string | false => notTested(existsSync(path) ? [] : [`${path} (${debian})`])

function notTested(missing: readonly string[]): string | false {
  if (missing.length === 0) return false
  const words = `NOT TESTED, missing: ${missing.join(", ")}`
  if (process.env["CI"]) throw new Error(words)
  console.error(words)
  return words
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}
