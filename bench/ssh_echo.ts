// How long does a key take to come back? A terminal with `cat` in it, through `ssh -J` over a plain sshd and through Sluice, both open
// at once: one key to each in turn, from its write to the byte that comes back.
import { spawn } from "node:child_process"
import { once } from "node:events"
import { setTimeout as sleep } from "node:timers/promises"
import { mustHave } from "../test/support/tools.ts"
import { quantile } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { startSshWays } from "./support/ssh_ways.ts"
import { printTable } from "./support/table.ts"

const keys_a_round = 400
const pause_ms = 4 // nobody types faster

export async function measure(settings: Settings): Promise<void> {
  const ssh = mustHave("ssh")
  const { ways, bases, stop } = await startSshWays(settings)
  const terminals = new Map<string, Terminal>()
  try {
    for (const [name, words] of ways) terminals.set(name, await openTerminal(ssh, words))
    const took = new Map<string, number[]>([...ways.keys()].map((name) => [name, []]))
    for (let round = 0; round <= settings.rounds; round++) {
      for (let count = 0; count < keys_a_round; count++) {
        for (const [name, terminal] of terminals) {
          const key_ms = await terminal.key()
          if (round > 0) took.get(name)?.push(key_ms)
          await sleep(pause_ms)
        }
      }
      process.stderr.write(round === 0 ? "w" : ".")
    }
    process.stderr.write("\n")
    const p99 = (name: string): number => quantile(took.get(name) ?? [], 0.99)
    printTable(
      `SSH: a key typed at a terminal until it is back, ${settings.rounds * keys_a_round} keys each`,
      ["", "p50 ms", "p99 ms", "max ms", ...bases.map((base) => `p99 beyond ${base}`)],
      [...took].map(([name, values]) => [
        name,
        quantile(values, 0.5).toFixed(2),
        p99(name).toFixed(2),
        Math.max(...values).toFixed(2),
        ...bases.map((base) => (p99(name) - p99(base)).toFixed(2)),
      ]),
    )
  } finally {
    for (const terminal of terminals.values()) terminal.close()
    await stop()
  }
}

interface Terminal {
  /** Types one key; the milliseconds until it came back. */
  key(): Promise<number>
  close(): void
}

async function openTerminal(ssh: string, words: readonly string[]): Promise<Terminal> {
  const [destination = "", ...options] = words.toReversed()
  const child = spawn(ssh, ["-tt", ...options.toReversed(), destination, "stty raw -echo && echo ready && exec cat"], {
    stdio: ["pipe", "pipe", "inherit"],
  })
  const { stdin, stdout } = child
  let heard = ""
  while (!heard.includes("ready")) heard += String((await once(stdout, "data"))[0])
  return {
    async key() {
      const began = performance.now()
      stdin.write("k")
      await once(stdout, "data")
      return performance.now() - began
    },
    close: () => void child.kill(),
  }
}
