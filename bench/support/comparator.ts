// What users would pick instead, each with a configuration of its own in a temporary folder, as an ordinary user, ended by its id.
import { chmodSync, chownSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { answers, onFreePort } from "../../test/support/port.ts"
import { launch } from "../../test/support/run.ts"
import { scratch } from "../../test/support/scratch.ts"
import { mustHave } from "../../test/support/tools.ts"
import { eventually } from "../../test/support/wait.ts"

export interface Comparator {
  readonly port: number
  stop(): Promise<void>
}

export interface ComparatorOptions {
  readonly program: string
  /** Files to write first: name → content. `port` and `folder` are known by then. */
  files(at: { port: number; folder: string }): Readonly<Record<string, string>>
  args(at: { port: number; folder: string }): readonly string[]
}

const nobody = { uid: 65_534, gid: 65_534 } as const
const isRoot = process.getuid?.() === 0

export function startComparator(options: ComparatorOptions): Promise<Comparator> {
  const program = mustHave(options.program)
  return onFreePort(async (port) => {
    const folder = scratch(`bench-${options.program}`)
    own(folder, 0o700)
    const at = { port, folder }
    for (const [name, content] of Object.entries(options.files(at))) {
      writeFileSync(join(folder, name), content)
      own(join(folder, name), 0o600)
    }
    const running = launch(program, options.args(at), { ...(isRoot ? nobody : {}), cwd: folder, background: true })
    await eventually(`${options.program} to listen`, async () => !running.running || (await answers(port)))
    if (!running.running) throw new Error(`${options.program} did not start:\n${running.stdout}${running.stderr}`)
    return { port, stop: async () => void (await running.stop()) }
  })
}

function own(path: string, mode: number): void {
  chmodSync(path, mode)
  if (isRoot) chownSync(path, nobody.uid, nobody.gid)
}
