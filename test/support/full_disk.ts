// A disk that is full for chosen files: from then on writing to them fails as the kernel would say it.
import fs from "node:fs"
import { syncBuiltinESMExports } from "node:module"

const full = new Set<string>()
const write = fs.writeSync

function checked(...call: Parameters<typeof fs.writeSync>): number {
  if (full.has(fs.readlinkSync(`/proc/self/fd/${call[0]}`))) {
    throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC", syscall: "write" })
  }
  return write(...call)
}

/** Writing to the file at `path`, absolute, fails from now on. */
export function fillDisk(path: string): void {
  full.add(fs.realpathSync(path))
  fs.writeSync = checked as typeof fs.writeSync
  syncBuiltinESMExports()
}
