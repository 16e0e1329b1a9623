// What does it cost that Sluice ends the inner connection of `ssh -J` and records it? Against `ssh -J` through a plain sshd to the
// same real sshd: 300 MB each way through an exec, and commands connected anew, one after the other and several at once.
import { spawn } from "node:child_process"
import { randomFillSync } from "node:crypto"
import { closeSync, createReadStream, openSync, writeSync } from "node:fs"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { must, run } from "../test/support/run.ts"
import { scratch } from "../test/support/scratch.ts"
import { mustHave } from "../test/support/tools.ts"
import { inTurns } from "./support/rounds.ts"
import type { Settings } from "./support/settings.ts"
import { startSshWays } from "./support/ssh_ways.ts"
import { printMeasured } from "./support/table.ts"

const bulk_mb = 300
const connects_per_turn = 10
const connects_at_once = 8

export async function measure(settings: Settings): Promise<void> {
  const ssh = mustHave("ssh")
  const file = randomFile(scratch("bench-bulk"))
  const { ways, bases, stop } = await startSshWays(settings)
  try {
    for (const [name, words] of ways) console.log(`${name}: ${await ciphersOf(ssh, words)}`)
    const upload = (words: readonly string[]) => mbPerSecond(() => feed(ssh, [...words, "cat >/dev/null"], file))
    const download = (words: readonly string[]) => mbPerSecond(() => drain(ssh, [...words, `cat ${file}`]))
    const connects = async (words: readonly string[]): Promise<number> => {
      const start = performance.now()
      for (let count = 0; count < connects_per_turn; count++) await must(ssh, [...words, "true"])
      return (performance.now() - start) / connects_per_turn
    }
    const crowd = async (words: readonly string[]): Promise<number> => {
      const start = performance.now()
      const one = async (): Promise<void> => {
        for (let count = 0; count < connects_per_turn; count++) await must(ssh, [...words, "true"])
      }
      await Promise.all(Array.from({ length: connects_at_once }, one))
      return (connects_per_turn * connects_at_once * 1000) / (performance.now() - start)
    }
    const contenders = (turn: (words: readonly string[]) => Promise<number>) =>
      inTurns(settings.rounds, new Map([...ways].map(([name, words]) => [name, () => turn(words)])))
    const about = `${settings.rounds} rounds`
    printMeasured(await contenders(upload), { title: `SSH: ${bulk_mb} MB up, ${about}`, unit: "MB/s", bases })
    printMeasured(await contenders(download), { title: `SSH: ${bulk_mb} MB down, ${about}`, unit: "MB/s", bases })
    const title = `SSH: one command, connected anew each time, ${connects_per_turn} a round, ${about}`
    printMeasured(await contenders(connects), { title, unit: "ms", bases })
    const many = `SSH: commands, each connected anew, ${connects_at_once} at once, ${about}`
    printMeasured(await contenders(crowd), { title: many, unit: "a second", bases, digits: 1 })
  } finally {
    await stop()
  }
}

/** Random bytes: they do not compress, and no recording can make them shorter. */
function randomFile(folder: string): string {
  const path = join(folder, "random")
  const chunk = randomFillSync(Buffer.alloc(1_000_000))
  const descriptor = openSync(path, "w")
  for (let count = 0; count < bulk_mb; count++) writeSync(descriptor, chunk)
  closeSync(descriptor)
  return path
}

/** What the client negotiated on the way, outer connection first. */
async function ciphersOf(ssh: string, words: readonly string[]): Promise<string> {
  const { stderr } = await run(ssh, ["-v", ...words, "true"])
  const found = [...stderr.matchAll(/kex: server->client cipher: (\S+)/g)].map(([, cipher]) => cipher)
  return `ciphers ${found.join(", ") || "not said"}`
}

async function mbPerSecond(task: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await task()
  return (bulk_mb * 1000) / (performance.now() - start)
}

async function feed(program: string, args: readonly string[], file: string): Promise<void> {
  const child = spawn(program, args, { stdio: ["pipe", "ignore", "inherit"] })
  const ended = exit(child)
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), child.stdin)
  await ended
}

async function drain(program: string, args: readonly string[]): Promise<void> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] })
  let bytes = 0
  child.stdout.on("data", (chunk: Buffer) => void (bytes += chunk.length))
  await exit(child)
  if (bytes !== bulk_mb * 1_000_000) throw new Error(`${bytes} bytes arrived`)
}

function exit(child: ReturnType<typeof spawn>): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once("error", reject)
    child.once("close", (status) => (status === 0 ? resolve() : reject(new Error(`ssh ended with ${status}`))))
  })
}
