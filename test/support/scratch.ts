// A folder of its own for one test file or one benchmark, removed when the process ends. It owns nothing that is put into it.
import { chmodSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const folders: string[] = []
process.once("exit", () => {
  for (const folder of folders) {
    try {
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 })
    } catch {
      // A server that was just killed may still have been writing into it.
    }
  }
})

/** A new empty folder. 0755, because servers that refuse to run as root must be able to walk through it. */
export function scratch(name = "test"): string {
  const folder = mkdtempSync(join(tmpdir(), `sluice-${name}-`))
  chmodSync(folder, 0o755)
  folders.push(folder)
  return folder
}
